from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path

import h5py
import numpy as np
import pytest

from analysis.detections import Detections
from analysis.results import FrameResult, load_results, merge_results, save_results
from analysis.scores import Score
from data_prep.objects import Objects

SHAPE = (40, 60)
Points = Callable[..., Objects]


def result(movie: str, frame: int, seed: int = 0, scores: dict[str, Score] | None = None) -> FrameResult:
    """A frame with a vacancy at (10, 50.25), and a hole of 48 px around (25, 20)."""
    regions = np.zeros(SHAPE, np.int32)
    regions[22:28, 16:24] = 2
    found = Objects(np.array([[10.0, 50.25], [24.5, 19.5]]), np.array([0.75, 0.9]), regions)
    fourier = Objects(np.array([[3.0, 4.0]]), np.array([1.5]), np.zeros(SHAPE, np.int32))
    probability = np.random.default_rng(seed).random(SHAPE).astype(np.float32)
    return FrameResult(
        movie,
        frame,
        8.5,
        probability,
        Detections(found, np.array([2, 1]), np.array([5, 48]), np.array([0.5, 0.8])),
        fourier,
        scores or {},
    )


def same_objects(first: Objects | None, second: Objects | None) -> None:
    assert first is not None
    assert second is not None
    np.testing.assert_array_equal(first.positions, second.positions)
    np.testing.assert_array_equal(first.scores, second.scores)
    np.testing.assert_array_equal(first.regions, second.regions)


def test_a_stored_frame_comes_back(tmp_path: Path) -> None:
    objects, pixels = np.array([[1, 2, 3], [0, 4, 0]]), np.array([[5, 6, 7, 800], [0, 0, 0, 900]])
    confusion = Counter({("hole", "missed"): 3, ('S vacancy, "odd"', "hole"): 1})
    scores = {
        "fourier": Score(objects, pixels, np.zeros(0), np.zeros(0, np.int64), Counter(), 4.5),
        "network": Score(objects + 1, pixels, np.array([0.25, 1 / 3]), np.array([1, 0]), confusion, 4.5),
    }
    made = result("film", 7, scores=scores)
    save_results(iter([made]), {"class_names": ["hole", "vacancy"]}, tmp_path / "maps.h5")
    (read,) = load_results(tmp_path / "maps.h5")
    assert (read.movie, read.frame, read.period_px, read.error) == ("film", 7, 8.5, "")
    assert list(read.scores) == list(scores)
    for name, stored in read.scores.items():
        for part in fields(Score):
            np.testing.assert_array_equal(getattr(stored, part.name), getattr(scores[name], part.name))
    assert read.network is not None
    assert made.network is not None
    same_objects(read.network.objects, made.network.objects)
    np.testing.assert_array_equal(read.network.kinds, made.network.kinds)
    same_objects(read.fourier, made.fourier)
    assert read.probability is not None
    # Kept as whole percents.
    np.testing.assert_allclose(read.probability, made.probability, atol=0.00501)


def test_a_frame_without_defects_comes_back(tmp_path: Path, points: Points) -> None:
    nothing = points(SHAPE)
    found = Detections(nothing, np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))
    made = FrameResult("film", 0, 8.5, np.zeros(SHAPE, np.float32), found, nothing)
    save_results(iter([made]), {}, tmp_path / "maps.h5")
    (read,) = load_results(tmp_path / "maps.h5")
    assert read.network is not None
    assert len(read.network.objects) == len(read.network.kinds) == 0
    assert read.network.objects.positions.shape == (0, 2)
    assert read.scores == {}


def test_a_frame_that_could_not_be_read_keeps_its_reason(tmp_path: Path) -> None:
    made = [FrameResult("film", 0, error="film.tif: frame 0 is empty"), result("film", 1)]
    save_results(iter(made), {}, tmp_path / "maps.h5")
    bad, good = load_results(tmp_path / "maps.h5")
    assert (bad.frame, bad.error, bad.network, bad.probability) == (0, "film.tif: frame 0 is empty", None, None)
    assert (good.frame, good.error) == (1, "")


def test_frames_come_in_the_order_of_movie_and_number(tmp_path: Path) -> None:
    frames = [("b", 2), ("a", 100), ("b", 10), ("a", 9)]
    save_results((result(*frame) for frame in frames), {}, tmp_path / "maps.h5")
    read = [(found.movie, found.frame) for found in load_results(tmp_path / "maps.h5")]
    assert read == [("a", 9), ("a", 100), ("b", 2), ("b", 10)]


def test_a_failure_on_the_way_leaves_no_file(tmp_path: Path) -> None:
    def broken() -> Iterator[FrameResult]:
        yield result("film", 0)
        raise RuntimeError("stopped")

    with pytest.raises(RuntimeError, match="stopped"):
        save_results(broken(), {}, tmp_path / "maps.h5")
    assert list(tmp_path.iterdir()) == []


def test_merged_parts_hold_all_their_frames(tmp_path: Path) -> None:
    parts = [tmp_path / "0.h5", tmp_path / "1.h5", tmp_path / "2.h5"]
    held = [[("a", 0), ("a", 2)], [("a", 1)], [("b", 0)]]
    for seed, (part, frames) in enumerate(zip(parts, held, strict=True)):
        save_results((result(*frame, seed=seed) for frame in frames), {"class_names": ["hole"]}, part)
    merge_results(parts, tmp_path / "maps.h5")
    read = {(found.movie, found.frame): found for found in load_results(tmp_path / "maps.h5")}
    assert list(read) == [("a", 0), ("a", 1), ("a", 2), ("b", 0)]
    for key, seed in {("a", 2): 0, ("a", 1): 1, ("b", 0): 2}.items():
        expected = np.random.default_rng(seed).random(SHAPE)
        np.testing.assert_allclose(read[key].probability, expected, atol=0.00501)
    with h5py.File(tmp_path / "maps.h5") as stored:
        assert stored.attrs["class_names"] == '["hole"]'
