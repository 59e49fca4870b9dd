"""Columns against lattices that are drawn, slow plain versions, and a simulated movie whose truth is known."""

import csv

import numpy as np
import pytest
from scipy.spatial import cKDTree

from analysis.columns import Columns, fitted_cell, measure_columns
from analysis.columns.measure import NEIGHBOURS, _nearby, _Overlaps, without_columns
from data_prep.errors import InputError
from data_prep.fourier.lattice import find_lattice
from data_prep.movie import open_movie
from data_prep.normalise import local_contrast
from data_prep.simulate import MovieSettings, simulate_movie
from tests.analysis.columns.lattices import HEXAGONAL, LATTICES, OBLIQUE, ONE, SQUARE, TWO, bells, drawn
from tests.analysis.columns.test_phase import bend


def measured(frame):
    lattice = find_lattice(frame)
    levelled = local_contrast(frame, lattice.period_px)
    cell = fitted_cell(levelled, lattice)
    return levelled, cell, measure_columns(levelled, cell)


def some_differ(places, _):
    """Every twentieth column is empty, at a half, or too bright."""
    rng = np.random.default_rng(1)
    return np.where(rng.random(len(places)) < 0.05, rng.choice([0.0, 0.5, 0.8, 1.3], len(places)), 1.0)


def some_are_off(places, _):
    rng = np.random.default_rng(2)
    return np.where(rng.random((len(places), 1)) < 0.05, rng.normal(0, 0.4, (len(places), 2)), 0.0)


@pytest.mark.parametrize("turn", [0.0, 0.3])
@pytest.mark.parametrize("name", LATTICES)
def test_every_column_is_found_at_its_place_with_its_intensity(name, turn):
    vectors, columns, _ = LATTICES[name]
    picture = drawn(vectors, columns, turn=turn, ratio=some_differ, gradient=0.2)
    found = measured(picture.frame)[2]
    number, distance = picture.of(found)
    inner = picture.inner(found, 15)
    assert distance.max() < 0.5
    assert len(set(number.tolist())) == len(found)
    central = ((picture.places >= 1) & (picture.places <= np.array(picture.frame.shape) - 2)).all(axis=1)
    assert set(np.flatnonzero(central).tolist()) <= set(number.tolist())
    if columns[0][2] != columns[-1][2] or len(columns) == 1:
        np.testing.assert_array_equal(found.sublattice, picture.sublattice[number])
    assert np.abs(found.ratio - picture.ratio[number])[inner].max() < 0.05
    far = np.isfinite(found.displacement).all(axis=1)
    np.testing.assert_array_equal(far[inner], (picture.ratio[number] > 0.3)[inner])
    assert np.abs(found.displacement[inner & far]).max() < 0.15


@pytest.mark.parametrize("turn", [0.0, 0.3])
@pytest.mark.parametrize("name", LATTICES)
def test_columns_that_are_off_their_places_are_found_to_be_so(name, turn):
    vectors, columns, _ = LATTICES[name]
    picture = drawn(vectors, columns, turn=turn, off=some_are_off)
    found = measured(picture.frame)[2]
    number, _ = picture.of(found)
    inner = picture.inner(found, 15)
    error = (found.displacement - picture.off[number])[inner]
    moved = np.abs(picture.off[number][inner]).max(axis=1) > 0.3
    assert moved.sum() >= 1
    assert np.abs(error).max() < 0.25
    assert np.sqrt((error**2).mean()) < 0.06


def test_where_the_lattice_is_bent_columns_are_at_their_bent_places():
    picture = drawn(HEXAGONAL, TWO, (260, 340), bend=bend)
    found = measured(picture.frame)[2]
    _, distance = picture.of(found)
    inner = picture.inner(found, 20)
    assert distance[inner].max() < 0.4
    assert np.abs(found.ratio[inner] - 1).max() < 0.02
    assert np.abs(found.displacement[picture.inner(found, 40)]).max() < 0.2


def test_the_cells_that_columns_are_counted_by_are_theirs():
    picture = drawn(OBLIQUE, ONE, bend=bend)
    _, cell, found = measured(picture.frame)
    number, _ = picture.of(found)
    expected = picture.places[number] - picture.places[number[0]]
    told = (found.index - found.index[0]) @ cell.lattice.vectors
    assert np.abs(told - expected).max() < 3.0  # they are bent by up to 1 px each; a cell is 12 px
    assert len(np.unique(found.index, axis=0)) == len(found)


def test_a_column_is_not_brighter_for_a_bright_neighbour():
    centre = np.array([75.0, 110.0])

    def ratio(places, sublattice):
        heavy = (sublattice == 0) & (np.linalg.norm(places - centre, axis=1) < 8)
        return np.where(heavy, 2.5, 1.0)

    picture = drawn(HEXAGONAL, TWO, ratio=ratio)
    found = measured(picture.frame)[2]
    number, _ = picture.of(found)
    heavy = picture.ratio[number] == 2.5
    assert 1 <= heavy.sum() <= 3
    beside = cKDTree(found.positions[heavy]).query(found.positions)[0]
    near = (beside > 1) & (beside < 8)
    assert near.sum() >= 3
    np.testing.assert_allclose(found.ratio[near], 1, atol=0.06)
    np.testing.assert_allclose(found.ratio[heavy], 2.5, atol=0.15)


def test_in_a_hole_columns_are_empty_and_have_no_displacement():
    centre = np.array([130.0, 170.0])
    picture = drawn(HEXAGONAL, TWO, (260, 340), ratio=lambda p, _: 1.0 * (np.linalg.norm(p - centre, axis=1) > 55))
    found = measured(picture.frame)[2]
    away = np.linalg.norm(found.positions - centre, axis=1)
    assert np.abs(found.ratio[away < 50]).max() < 0.15
    assert np.isnan(found.displacement[away < 50]).all()
    outside = (away > 70) & picture.inner(found, 15)
    np.testing.assert_allclose(found.ratio[outside], 1, atol=0.1)


def other_lattices():
    rng = np.random.default_rng(0)
    shape = (150, 220)
    return {
        "noise": rng.normal(100, 10, shape),
        "nothing": np.zeros(shape),
        "an even grey": np.full(shape, 7.0),
        "another lattice": drawn(SQUARE, ONE, turn=0.5).frame,
        "the lattice turned by 20 degrees": drawn(HEXAGONAL, TWO, turn=0.35).frame,
    }


@pytest.mark.parametrize("what", other_lattices())
def test_a_frame_that_does_not_show_the_lattice_is_refused(what):
    _, cell, _ = measured(drawn(HEXAGONAL, TWO).frame)
    with pytest.raises(InputError, match="shows no lattice"):
        measure_columns(local_contrast(other_lattices()[what], cell.lattice.period_px), cell)


def test_a_frame_with_much_noise_or_a_large_hole_is_not_refused():
    _, cell, _ = measured(drawn(HEXAGONAL, TWO).frame)
    picture = drawn(HEXAGONAL, TWO, ratio=lambda p, _: 1.0 * (np.linalg.norm(p - [75, 90], axis=1) > 70))
    noise = np.random.default_rng(0).normal(0, picture.frame.std(), picture.frame.shape)
    found = measure_columns(local_contrast(picture.frame + noise, cell.lattice.period_px), cell)
    number, _ = picture.of(found)
    there = picture.ratio[number] == 1
    assert found.ratio[there].mean() > 0.8


def test_what_is_left_without_columns_is_as_a_plain_sum_has_it():
    levelled, cell, found = measured(drawn(HEXAGONAL, TWO, ratio=some_differ).frame)
    plain = levelled - cell.floor - bells(found.positions, found.height, levelled.shape, cell.width_px)
    reach = 4 * cell.width_px  # beyond which a Gaussian is less than 0.0004 of its height
    np.testing.assert_allclose(without_columns(levelled, found, cell), plain, atol=0.0012 * np.abs(found.height).max())
    assert reach < cell.lattice.period_px


def test_nothing_is_left_of_a_lattice_but_what_is_on_none_of_its_columns():
    picture = drawn(HEXAGONAL, ONE, ratio=some_differ)
    hollow = np.mean(picture.places[np.argsort(np.linalg.norm(picture.places - [75, 110], axis=1))[:3]], axis=0)
    adatom = bells(hollow[None], np.array([300.0]), picture.frame.shape)
    levelled, cell, found = measured(picture.frame + adatom)
    left = without_columns(levelled, found, cell)
    inner = left[12:-12, 12:-12]
    peak = np.array(np.unravel_index(inner.argmax(), inner.shape)) + 12
    assert np.linalg.norm(peak - hollow) < 1.5
    elsewhere = np.hypot(*(np.indices(left.shape) - hollow[:, None, None])) > 15
    assert np.abs(left[elsewhere][left[elsewhere] != 0]).std() < 0.08 * levelled.std()
    assert left[tuple(peak)] > 0.15 * levelled.max()


def test_heights_and_slopes_of_overlapping_gaussians_are_solved_for():
    """Against all pairs at once, and the derivative of the drawn sum by finite differences."""
    rng = np.random.default_rng(3)
    positions = np.stack(np.meshgrid(np.arange(8.0), np.arange(9.0), indexing="ij"), -1).reshape(-1, 2) * 5
    positions += rng.uniform(-0.7, 0.7, positions.shape)
    heights, width = rng.uniform(0, 2, len(positions)), 2.2
    squared = ((positions[:, None] - positions) ** 2).sum(axis=2)
    seen = np.exp(-squared / (2 * width**2)) @ heights
    overlaps = _Overlaps(positions, width)
    np.testing.assert_allclose(overlaps.heights(seen), heights, atol=0.01)

    def sum_of_others(number, at):
        away = ((at - positions) ** 2).sum(axis=1)
        return (heights * np.exp(-away / (2 * width**2)))[np.arange(len(positions)) != number].sum()

    for number in (0, 17, 40, 71):
        plain = [
            (sum_of_others(number, positions[number] + h) - sum_of_others(number, positions[number] - h)) / 2e-4
            for h in np.eye(2) * 1e-4
        ]
        np.testing.assert_allclose(overlaps.slopes(heights)[number], plain, atol=0.005)


def test_a_column_alone_overlaps_with_none():
    overlaps = _Overlaps(np.array([[3.0, 4.0]]), 2.0)
    np.testing.assert_allclose(overlaps.heights(np.array([1.7])), [1.7])
    np.testing.assert_allclose(overlaps.slopes(np.array([1.7])), [[0, 0]])


def test_a_column_is_judged_by_the_nearest_of_its_sublattice():
    rng = np.random.default_rng(4)
    positions, sublattice = rng.uniform(0, 100, (300, 2)), rng.integers(0, 2, 300)
    heights = rng.uniform(0.5, 1.5, 300) * (1 + sublattice)
    told = _nearby(heights, positions, sublattice)
    for number in range(300):
        mine = np.flatnonzero(sublattice == sublattice[number])
        order = np.argsort(np.linalg.norm(positions[mine] - positions[number], axis=1))
        assert told[number] == pytest.approx(np.median(heights[mine[order[:NEIGHBOURS]]]))


# Dose: deviation allowed of a ratio's mean and its standard deviation, of places in px (rms).
EXPECTED = {2000.0: (0.05, 0.17, 0.35), 20000.0: (0.04, 0.12, 0.35)}


@pytest.mark.parametrize("dose", EXPECTED)
def test_columns_of_a_simulated_frame_are_as_its_truth_says(dose, tmp_path):
    """A single sulphur atom scatters 0.33 of a pair, molybdenum 0.5 of tungsten (see data_prep/simulate)."""
    settings = MovieSettings(
        frames=2, size_px=(256, 320), field_nm=9.4, dose=dose, holes=0, dopant_share=0.05, vacancy_share=0.05,
        pair_vacancy_share=0.03, drift_px=2.0, seed=5,
    )  # fmt: skip
    simulate_movie(tmp_path / "m.tif", tmp_path / "t.csv", settings, tmp_path / "c.csv")
    with open_movie(tmp_path / "m.tif") as movie:
        first, last = movie.frame(0), movie.frame(1)
    _, cell, _ = measured(first)
    found = measure_columns(local_contrast(last, cell.lattice.period_px), cell)
    check_truth(found, truth_of(tmp_path / "c.csv", 1), np.array(settings.size_px), *EXPECTED[dose])


def truth_of(path, frame):
    with path.open(newline="") as lines:
        rows = [row for row in csv.DictReader(lines) if int(row["frame"]) == frame]
    return np.array([[float(row["y_px"]), float(row["x_px"])] for row in rows]), [row["site"] for row in rows]


def check_truth(found: Columns, truth, shape, mean_error, deviation, place_error):
    positions, sites = truth
    distance, number = cKDTree(positions).query(found.positions)
    inner = np.minimum(found.positions, shape - 1 - found.positions).min(axis=1) > 14
    assert distance[inner].max() < 1.5
    assert np.sqrt((distance[inner] ** 2).mean()) < place_error * np.sqrt(2)
    site = np.array(sites)[number]
    expected = {
        "tungsten": (0, 1.0), "molybdenum": (0, 0.5), "sulphur_pair": (1, 1.0), "sulphur_vacancy": (1, 0.33),
        "sulphur_pair_vacancy": (1, 0.0),
    }  # fmt: skip
    for name, (sublattice, ratio) in expected.items():
        mine = inner & (site == name)
        assert mine.sum() >= 8
        assert (found.sublattice[mine] == sublattice).all()
        assert found.ratio[mine].mean() == pytest.approx(ratio, abs=mean_error)
        assert found.ratio[mine].std() < deviation
