"""What is put together from the workers' parts."""

from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile

from analysis.detections import Detections
from analysis.results import FrameResult, MovieFacts, save_results
from analysis.scores import score
from analysis.target import Target
from apps.analyse import collect
from data_prep.labels import LabelledFrame
from data_prep.objects import Objects

SHAPE = (64, 80)
PERIOD_PX = 8.0


def at(*places: tuple[float, float]) -> Objects:
    return Objects(np.array(places, float).reshape(-1, 2), np.ones(len(places)), np.zeros(SHAPE, np.int32))


def frame(number: int, *found: tuple[float, float]) -> FrameResult:
    """A frame with vacancies at (20, 20) and (40, 60), of which the Fourier filter finds the first."""
    truth = LabelledFrame(np.zeros(SHAPE, np.uint8), at((20, 20), (40, 60)), np.array([1, 1]), ("vacancy",), "by hand")
    network = Detections(at(*found), np.full(len(found), 2), np.ones(len(found), int), np.ones(len(found)))
    scores = {
        "fourier": score(at((20, 20)), truth, PERIOD_PX),
        "network": score(network.objects, truth, PERIOD_PX, ["vacancy"] * len(found)),
    }
    assert scores["network"].confusion != Counter()
    return FrameResult("film", number, PERIOD_PX, np.zeros(SHAPE, np.float32), network, at((20, 20)), scores)


def test_scores_and_maps_are_written(tmp_path: Path) -> None:
    counts = np.random.default_rng(0).poisson(100, (3, *SHAPE)).astype(np.uint16)
    tifffile.imwrite(tmp_path / "film.tif", counts, imagej=True, metadata={"axes": "TYX"})
    attributes: dict[str, object] = {"class_names": ["hole", "vacancy"]}
    facts = {"film": MovieFacts(0.05, None, None)}
    save_results(iter([frame(1, (21, 20), (40, 63))]), attributes, tmp_path / "0.h5", facts)
    save_results(iter([frame(2, (20, 22), (50, 40))]), attributes, tmp_path / "1.h5", facts)
    (tmp_path / "run" / "parts").mkdir(parents=True)
    target = Target("film", tmp_path / "film.tif", (1, 2), None, (), 0.05, None)
    collect(tmp_path / "run", (target,), tmp_path / "0.h5", tmp_path / "1.h5")
    scores = pd.read_parquet(tmp_path / "run" / "scores.parquet").set_index(["frame", "method"])
    assert list(scores.index) == [(n, method) for n in ("1", "2", "all") for method in ("fourier", "network")]
    overall = scores.loc[("all", "network")]
    assert (overall["true_positives"], overall["false_positives"], overall["false_negatives"]) == (3, 1, 1)
    assert overall["position_error_px"] == pytest.approx((1 + 3 + 2) / 3)
    assert overall["position_error_nm"] == pytest.approx(0.1)
    with tifffile.TiffFile(tmp_path / "run" / "maps_film.tif") as stack:
        assert stack.series[0].shape == (2, *SHAPE)
