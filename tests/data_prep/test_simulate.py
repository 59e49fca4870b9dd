import csv
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray

from data_prep.simulate import MovieSettings, simulate_movie

Rows = list[dict[str, str]]
Simulated = Callable[..., tuple[NDArray[np.uint16], Rows]]


def places(rows: Rows, site: str, frame: int = 0) -> NDArray[np.float64]:
    """Positions (n, 2) of the defects of a kind in a frame."""
    here = [(row["y_px"], row["x_px"]) for row in rows if row["site"] == site and int(row["frame"]) == frame]
    return np.array(here, float).reshape(-1, 2)


def inner(positions: NDArray[np.float64], shape: tuple[int, ...], margin: int = 8) -> NDArray[np.float64]:
    return positions[((positions > margin) & (positions < np.array(shape) - 1 - margin)).all(axis=1)]


def counts_at(image: NDArray[np.uint16], positions: NDArray[np.float64]) -> NDArray[np.float64]:
    y, x = np.round(inner(positions, image.shape)).astype(int).T
    return np.mean([image[y + i, x + j] for i in (-1, 0, 1) for j in (-1, 0, 1)], axis=0)


def test_the_file_holds_its_scale_and_the_truth_its_columns(tmp_path: Path) -> None:
    settings = MovieSettings(frames=3, size_px=(90, 120), field_nm=4.8, frame_interval_s=0.25)
    simulate_movie(tmp_path / "m.tif", tmp_path / "t.csv", settings)
    with tifffile.TiffFile(tmp_path / "m.tif") as tiff:
        assert tiff.series[0].shape == (3, 90, 120)
        assert tiff.pages[0].dtype == np.uint16
        assert tiff.imagej_metadata is not None
        assert tiff.imagej_metadata["unit"] == "nm"
        assert tiff.imagej_metadata["finterval"] == 0.25
        count, per = tiff.pages[0].tags["XResolution"].value
        assert per / count == pytest.approx(0.04)
    with (tmp_path / "t.csv").open(newline="") as rows:
        truth = list(csv.DictReader(rows))
    assert list(truth[0]) == ["frame", "y_px", "x_px", "site", "object"]
    assert {row["site"] for row in truth} <= {"molybdenum", "sulphur_vacancy", "sulphur_pair_vacancy", "hole"}
    for row in truth:
        assert 0 <= float(row["y_px"]) <= 89
        assert 0 <= float(row["x_px"]) <= 119


def test_the_seed_decides_all(simulated: Simulated) -> None:
    first, first_rows = simulated(vacancy_share=0.1, seed=3)
    again, again_rows = simulated(vacancy_share=0.1, seed=3)
    other, other_rows = simulated(vacancy_share=0.1, seed=4)
    np.testing.assert_array_equal(first, again)
    assert first_rows == again_rows
    assert (first != other).any()
    assert first_rows != other_rows


def centroid(image: NDArray[np.uint16], at: NDArray[np.float64]) -> NDArray[np.float64]:
    """Centre of mass (y, x) of the 5 x 5 px around a place, above their darkest."""
    row, column = np.round(at).astype(int)
    patch = image[row - 2 : row + 3, column - 2 : column + 3].astype(float)
    patch -= patch.min()
    offset = np.arange(-2, 3)
    return np.array([row + patch.sum(axis=1) @ offset / patch.sum(), column + patch.sum(axis=0) @ offset / patch.sum()])


@pytest.mark.parametrize("size_px", [(128, 192), (192, 128)])
def test_dopants_are_drawn_where_the_truth_says_in_every_frame(simulated: Simulated, size_px: tuple[int, int]) -> None:
    frames, rows = simulated(
        size_px=size_px, frames=3, molybdenum_share=0.15, dose=4000.0, drift_px=3.0, jitter_px=0.3, seed=2
    )
    for number, image in enumerate(frames):
        wanted = inner(places(rows, "molybdenum", number), size_px)
        assert len(wanted) > 10
        errors = np.array([centroid(image, place) - place for place in wanted])
        assert np.abs(errors.mean(axis=0)).max() < 0.2
        assert np.sqrt(np.mean(errors**2)) < 0.5


def test_scan_distortion_moves_a_column_along_its_row_as_the_truth_does(simulated: Simulated) -> None:
    (first, second), rows = simulated(molybdenum_share=0.3, dose=4000.0, jitter_px=0.8, seed=3)
    before, after = ({row["object"]: row for row in rows if row["frame"] == number} for number in ("0", "1"))
    true, seen = [], []
    for name in before.keys() & after.keys():
        start, end = (np.array([row["y_px"], row["x_px"]], float) for row in (before[name], after[name]))
        assert start[0] == end[0]
        if len(inner(np.array([start, end]), first.shape)) == 2:
            true.append(end[1] - start[1])
            seen.append(centroid(second, end)[1] - centroid(first, start)[1])
    assert len(true) > 20
    assert np.std(true) > 0.5
    assert np.corrcoef(true, seen)[0, 1] > 0.7


def test_brightness_follows_what_a_column_holds(simulated: Simulated) -> None:
    (image, _), rows = simulated(molybdenum_share=0.1, vacancy_share=0.1, pair_vacancy_share=0.1, seed=1)
    one_missing = counts_at(image, places(rows, "sulphur_vacancy")).mean()
    both_missing = counts_at(image, places(rows, "sulphur_pair_vacancy")).mean()
    molybdenum = counts_at(image, places(rows, "molybdenum")).mean()
    tungsten = np.percentile(image, 99)
    assert both_missing < one_missing < molybdenum < tungsten
    assert 0.4 < molybdenum / tungsten < 0.75  # (42 / 74) ** 1.1 = 0.54, and the neighbours' tails


def test_counts_follow_the_dose_and_scatter_as_electrons_do(simulated: Simulated) -> None:
    """Two frames of a still, calm scene differ by shot noise alone: the variance is the mean."""
    for dose in (100.0, 1000.0):
        first, second = simulated(dose=dose)[0].astype(float)
        assert np.var(first - second) / 2 == pytest.approx(first.mean(), rel=0.05)
    faint, bright = (simulated(dose=dose)[0].mean() for dose in (100.0, 1000.0))
    assert bright == pytest.approx(10 * faint, rel=0.01)


def test_shares_are_those_asked_for(simulated: Simulated) -> None:
    shape, field_nm = (200, 300), 12.0
    _, rows = simulated(
        size_px=shape, field_nm=field_nm, molybdenum_share=0.2, vacancy_share=0.3, pair_vacancy_share=0.1, seed=9
    )
    cells = 12.0 * 8.0 / (0.3153**2 * np.sqrt(3) / 2)
    for site, share in (("molybdenum", 0.2), ("sulphur_vacancy", 0.3), ("sulphur_pair_vacancy", 0.1)):
        expected = share * cells
        assert len(places(rows, site)) == pytest.approx(expected, abs=4 * np.sqrt(expected))


def test_the_beam_takes_sulphur_and_never_gives_it_back(simulated: Simulated) -> None:
    _, rows = simulated(frames=6, vacancies_per_frame=10.0, seed=5)
    missing: dict[str, list[int]] = defaultdict(lambda: [0] * 6)
    for row in rows:
        missing[row["object"]][int(row["frame"])] = {"sulphur_vacancy": 1, "sulphur_pair_vacancy": 2}[row["site"]]
    assert all(history == sorted(history) for history in missing.values())
    totals = [sum(history[frame] for history in missing.values()) for frame in range(6)]
    assert totals[0] == 0
    assert totals[5] > 5


def test_the_hole_opens_grows_and_is_one_dark_object(simulated: Simulated) -> None:
    frames, rows = simulated(frames=5, hole_from_frame=2, hole_radius_nm=1.0, seed=6)
    counts = [len(places(rows, "hole", frame)) for frame in range(5)]
    assert counts[:2] == [0, 0]
    assert 0 < counts[2] < counts[3] < counts[4]
    assert {row["object"] for row in rows if row["site"] == "hole"} == {"hole"}
    columns = places(rows, "hole", 4)
    centre = columns.mean(axis=0)
    radius_nm = np.linalg.norm(columns - centre, axis=1).max() * 6.0 / 192
    assert radius_nm == pytest.approx(1.0, abs=0.35)
    y, x = np.round(centre).astype(int)
    core = np.s_[y - 8 : y + 9, x - 8 : x + 9]
    assert frames[4][core].mean() < 0.1 * frames[0][core].mean()


def test_drift_moves_all_columns_alike(simulated: Simulated) -> None:
    frames, rows = simulated(frames=4, vacancy_share=0.1, drift_px=3.0, seed=7)
    by_frame = [
        {row["object"]: (float(row["y_px"]), float(row["x_px"])) for row in rows if row["frame"] == str(frame)}
        for frame in range(4)
    ]
    moved = []
    for frame in (1, 2, 3):
        common = by_frame[0].keys() & by_frame[frame].keys()
        steps = np.array([np.subtract(by_frame[frame][name], by_frame[0][name]) for name in common])
        assert len(steps) > 10
        assert np.ptp(steps, axis=0).max() < 0.01
        moved.append(np.abs(steps).max())
    assert max(moved) > 1.0
    assert frames.shape == (4, 128, 192)


def test_contamination_builds_up(simulated: Simulated) -> None:
    frames, _ = simulated(frames=4, contamination=1.0)
    darkest = [float(np.percentile(frame, 20)) for frame in frames]
    assert darkest == sorted(darkest)
    assert darkest[3] > darkest[0] + 20
