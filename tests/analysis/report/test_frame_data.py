"""What the frame viewer is given, against the movie and the truth behind it."""

import base64
import io
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile
from PIL import Image

from analysis.detections import Detections
from analysis.report.frame_data import frame_data
from analysis.results import FrameResult
from analysis.target import Target
from data_prep.errors import InputError
from data_prep.objects import Objects

SHAPE = (96, 150)


@pytest.fixture
def target(tmp_path):
    """A movie of three frames with a bright square in the upper right corner, and a truth of two defects."""
    frames = np.random.default_rng(0).normal(100, 5, (3, *SHAPE)).astype(np.float32)
    frames[:, :20, 130:] += 100
    tifffile.imwrite(tmp_path / "m.tif", frames, photometric="minisblack")
    (tmp_path / "t.csv").write_text("frame,y_px,x_px,site\n1,30,40,vacancy\n2,50,60,vacancy\n2,70,20,dopant\n")
    return Target("m", tmp_path / "m.tif", (0, 1, 2), tmp_path / "t.csv", ("vacancy", "dopant"), 0.05, None, (), 2.0)


def result(number):
    """A defect at a point, and a hole: a disk with a disk cut out of it."""
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    distance = np.hypot(y - 60, x - 100)
    regions = np.where((distance <= 15) & (distance >= 5), 1, 0).astype(np.int32)
    objects = Objects(np.array([[60.0, 100.0], [30.0, 40.0]]), np.array([0.9, 0.8]), regions)
    probability = (regions > 0).astype(np.float32)
    return FrameResult(
        "m",
        number,
        8.0,
        probability,
        Detections(objects, np.array([1, 2]), np.array([600, 20]), objects.scores),
        objects,
    )


def rows(*frames):
    columns = ["frame", "y_px", "x_px", "kind", "probability", "track", "extended", "found_by"]
    found = [
        r
        for f in frames
        for r in [(f, 60.0, 100.0, "hole", 0.9, 7, True, "network"), (f, 30.0, 40.0, "gap", 0.8, -1, False, "history")]
    ]
    return pd.DataFrame(found, columns=columns)


def picture(address):
    kind, content = address.split(",")
    assert kind == "data:image/webp;base64"
    return Image.open(io.BytesIO(base64.b64decode(content)))


def test_things_are_where_they_are_in_the_table_and_the_truth(target):
    data = frame_data(target, map(result, (1, 2)), rows(1, 2), ["gap", "hole"])
    assert (data.shape, data.pixel_nm, data.period_px) == (SHAPE, 0.05, 8.0)
    assert [(frame["number"], frame["t"]) for frame in data.frames] == [(1, 2.0), (2, 4.0)]
    assert [frame["points"] for frame in data.frames] == [[[30.0, 40.0, 0, 0.8, -1, 1]]] * 2
    assert [frame["holes"][0][:6] for frame in data.frames] == [[60.0, 100.0, 1, 0.9, 7, 0]] * 2
    truth = [[(y, x, data.classes[kind]) for y, x, kind in frame["truth"]] for frame in data.frames]
    assert truth == [[(30.0, 40.0, "vacancy")], [(50.0, 60.0, "vacancy"), (70.0, 20.0, "dopant")]]


def test_an_outline_encloses_what_the_region_covers(target):
    outline = frame_data(target, iter([result(1)]), rows(1), ["gap", "hole"]).frames[0]["holes"][0][6]
    parts = [np.array([corner.split() for corner in part.split("L")], float) for part in re.findall("M(.*?)Z", outline)]
    x, y = np.concatenate(parts).T
    assert (x.min(), x.max(), y.min(), y.max()) == pytest.approx((85, 116, 45, 76), abs=1)  # corners of pixels
    areas = [abs(np.sum(p[:, 0] * np.roll(p[:, 1], 1) - p[:, 1] * np.roll(p[:, 0], 1))) / 2 for p in parts]
    assert max(areas) - min(areas) == pytest.approx((result(1).network.objects.regions > 0).sum(), rel=0.05)


def test_a_picture_shows_the_frame_and_the_map_the_right_way_up(target):
    frame = frame_data(target, iter([result(1)]), rows(1), ["gap", "hole"]).frames[0]
    grey = np.asarray(picture(frame["picture"]).convert("L"), float)
    assert grey.shape == SHAPE
    assert grey[:18, 132:].mean() > 150 + grey[:, :120].mean() / 2
    opacity = np.asarray(picture(frame["heat"]).convert("RGBA"))[..., 3]
    assert opacity[60, 110] > 190
    assert opacity[:40].max() < 5


def test_large_frames_become_small_pictures_of_bounded_size(tmp_path):
    noise = np.random.default_rng(0).poisson(5, (2, 1000, 1400)).astype(np.uint16)
    tifffile.imwrite(tmp_path / "m.tif", noise, photometric="minisblack")
    target = Target("m", tmp_path / "m.tif", tuple(range(60)), None, (), None, None)
    results = [replace(result(n), probability=np.zeros((1000, 1400), np.float32)) for n in (0, 1)]
    data = frame_data(target, iter(results), rows(), [])
    assert (data.pixel_nm, data.frames[0]["t"]) == (None, None)
    assert picture(data.frames[0]["picture"]).size == (640, 457)
    assert max(len(frame["picture"]) for frame in data.frames) < 3_500_000 / 60 * 4 / 3 * 1.1


def test_frames_that_could_not_be_read_are_left_out(target):
    data = frame_data(target, iter([FrameResult("m", 0, error="torn"), result(1)]), rows(1), ["gap", "hole"])
    assert [frame["number"] for frame in data.frames] == [1]
    with pytest.raises(InputError, match="none of its frames"):
        frame_data(target, iter([FrameResult("m", 0, error="torn")]), rows(), [])
    with pytest.raises(InputError, match=r"gone\.tif"):
        frame_data(replace(target, movie=Path("gone.tif")), iter([result(1)]), rows(1), ["gap", "hole"])
