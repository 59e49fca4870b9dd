from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from analysis.columns import Columns, UnitCell
from analysis.detections import Detections
from analysis.library.cutouts import ALONE_SIDE, SIDE
from analysis.results import (
    FrameResult,
    MovieFacts,
    load_facts,
    load_results,
    load_scores,
    merge_results,
    save_results,
)
from analysis.scores import Score
from analysis.views import Views
from data_prep.errors import InputError
from data_prep.fourier.lattice import Lattice
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


def looked_at(seed: int = 0) -> tuple[Columns, Views]:
    """Columns, some without a place of their own, and views of the two defects; numbers that half precision holds."""
    rng = np.random.default_rng(seed)

    def quarters(*shape: int) -> np.ndarray:
        return rng.integers(-40, 40, shape) / 4

    columns = Columns(
        rng.random((7, 2)) * 60,
        rng.integers(-9, 9, (7, 2)),
        rng.integers(0, 3, 7),
        quarters(7),
        quarters(7, 2),
        quarters(7),
    )
    columns.displacement[3] = np.nan
    images = [quarters(n, side, side).astype(np.float32) for n in (2, 4) for side in (SIDE, ALONE_SIDE)]
    views = Views(np.array([5, -1]), images[0], images[1], np.array([0, 1, 2, 6]), images[2], images[3])
    return columns, views


def cell() -> UnitCell:
    basis = np.array([[0.1, 0.02], [1 / 30, 0.12]])
    lattice = Lattice(basis, np.array([[1, 0], [0, 1], [1, -1]]), 0.125)
    turns = np.array([np.eye(2), -np.eye(2)])
    return UnitCell(
        lattice, np.arange(16.0).reshape(4, 4) / 7, np.array([[0.0, 0.0], [1 / 3, 2 / 3]]), turns, -0.4, 2.3
    )


def same_cell(first: UnitCell | None, second: UnitCell | None) -> None:
    assert first is not None
    assert second is not None
    for part in fields(UnitCell):
        if part.name != "lattice":
            np.testing.assert_array_equal(getattr(first, part.name), getattr(second, part.name))
    for part in fields(Lattice):
        np.testing.assert_array_equal(getattr(first.lattice, part.name), getattr(second.lattice, part.name))
    assert first.lattice.reflections.dtype == second.lattice.reflections.dtype
    np.testing.assert_allclose(first.lattice.vectors, second.lattice.vectors)


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


def test_columns_and_views_come_back(tmp_path: Path) -> None:
    columns, views = looked_at()
    made = replace(result("film", 7), columns=columns, views=views)
    save_results(iter([made]), {}, tmp_path / "0.h5")
    merge_results([tmp_path / "0.h5"], tmp_path / "maps.h5")
    (read,) = load_results(tmp_path / "maps.h5")
    assert read.columns is not None
    assert read.views is not None
    for part in fields(Columns):
        kept, was = getattr(read.columns, part.name), getattr(columns, part.name)
        assert kept.dtype == was.dtype
        np.testing.assert_allclose(kept, was, rtol=1e-6)
    for part in fields(Views):
        kept, was = getattr(read.views, part.name), getattr(views, part.name)
        assert kept.dtype == was.dtype
        np.testing.assert_array_equal(kept, was)


def test_a_frame_without_a_lattice_has_no_columns(tmp_path: Path) -> None:
    save_results(iter([replace(result("film", 7), views=looked_at()[1])]), {}, tmp_path / "maps.h5")
    (read,) = load_results(tmp_path / "maps.h5")
    assert read.columns is None
    assert read.views is not None


def test_without_pictures_all_is_there_but_what_takes_time_to_read(tmp_path: Path) -> None:
    columns, views = looked_at()
    made = replace(result("film", 7), columns=columns, views=views)
    save_results(iter([made]), {}, tmp_path / "maps.h5")
    (read,) = load_results(tmp_path / "maps.h5", maps=False, pictures=False)
    assert (read.probability, read.fourier, read.scores) == (None, None, {})
    assert made.network is not None
    assert read.network is not None
    same_objects(read.network.objects, made.network.objects)
    np.testing.assert_array_equal(read.network.areas_px, [5, 48])
    np.testing.assert_array_equal(read.network.mean_probability, [0.5, 0.8])
    assert read.columns is not None
    np.testing.assert_array_equal(read.columns.sublattice, columns.sublattice)
    assert read.views is not None
    assert (len(read.views.images), len(read.views.reference_images)) == (0, 0)
    np.testing.assert_array_equal(read.views.alone, views.alone)
    np.testing.assert_array_equal(read.views.column, views.column)


def test_only_the_frames_that_are_asked_for_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_results((result(movie, n) for movie in "ab" for n in range(6)), {}, tmp_path / "maps.h5")
    decoded: list[str] = []
    read = h5py.Dataset.__getitem__

    def watched(dataset: h5py.Dataset, *arguments: object) -> object:
        decoded.append(dataset.name)
        return read(dataset, *arguments)

    monkeypatch.setattr(h5py.Dataset, "__getitem__", watched)
    found = list(load_results(tmp_path / "maps.h5", "b", (4, 1, 77)))
    assert [(one.movie, one.frame) for one in found] == [("b", 1), ("b", 4)]
    assert {tuple(name.split("/")[1:3]) for name in decoded} == {("b", "000001"), ("b", "000004")}


def test_what_is_known_of_movies_comes_back(tmp_path: Path) -> None:
    known = {"a": MovieFacts(0.03125, 2.5, cell()), "b": MovieFacts(None, None, None)}
    for movie, facts in known.items():
        save_results(iter([result(movie, 0)]), {}, tmp_path / f"{movie}.h5", {movie: facts})
    save_results(iter([result("a", 1)]), {}, tmp_path / "a1.h5", {"a": known["a"]})
    merge_results([tmp_path / f"{name}.h5" for name in ("b", "a", "a1")], tmp_path / "maps.h5")
    read = load_facts(tmp_path / "maps.h5")
    assert {movie: (facts.pixel_size_nm, facts.frame_interval_s) for movie, facts in read.items()} == {
        "a": (0.03125, 2.5),
        "b": (None, None),
    }
    assert read["b"].cell is None
    same_cell(read["a"].cell, known["a"].cell)


def test_facts_of_a_movie_none_of_whose_frames_could_be_read_come_back(tmp_path: Path) -> None:
    bad = FrameResult("a", 0, error="gone")
    save_results(iter([bad]), {}, tmp_path / "maps.h5", {"a": MovieFacts(0.5, None, None)})
    assert load_facts(tmp_path / "maps.h5") == {"a": MovieFacts(0.5, None, None)}


def test_a_file_of_an_earlier_version_says_what_to_do(tmp_path: Path) -> None:
    save_results(iter([result("film", 7)]), {}, tmp_path / "maps.h5")
    with pytest.raises(
        InputError, match=r"maps\.h5: is from an earlier evostem; remove maps\.h5, summary\.json and parts"
    ):
        load_facts(tmp_path / "maps.h5")


def test_scores_are_read_alone(tmp_path: Path) -> None:
    one = Score(np.array([[1, 2, 3]]), np.array([[5, 6, 7, 8]]), np.array([0.5]), np.array([0]), Counter(), 4.5)
    made = [
        result("a", 2, scores={"fourier": one, "network": one}),
        result("a", 3),
        FrameResult("a", 4, error="gone"),
        result("b", 0, scores={"network": one}),
    ]
    save_results(iter(made), {}, tmp_path / "maps.h5")
    read = list(load_scores(tmp_path / "maps.h5"))
    assert [(movie, number, list(scores)) for movie, number, scores in read] == [
        ("a", 2, ["fourier", "network"]),
        ("b", 0, ["network"]),
    ]
    assert read[1][2]["network"].counts == (1, 2, 3)
