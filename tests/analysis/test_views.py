"""What is looked at of defects, on lattices that are drawn."""

from functools import cache

import numpy as np
import pytest

from analysis.columns import fitted_cell, measure_columns
from analysis.library.cutouts import ALONE_SIDE, PER_PERIOD, SIDE, axes_of
from analysis.margins import EDGE
from analysis.views import ON_COLUMN, REFERENCES, columns_seen, columns_under, look, plain_views, views_of
from data_prep.fourier.lattice import find_lattice
from data_prep.normalise import local_contrast
from tests.analysis.columns.lattices import HEXAGONAL, TWO, drawn
from tests.analysis.library.movies import found_at

MIDDLE, SMALL_MIDDLE = SIDE // 2, ALONE_SIDE // 2


def some_differ(places, _):
    rng = np.random.default_rng(1)
    return np.where(rng.random(len(places)) < 0.08, rng.choice([0.0, 0.5, 1.5], len(places)), 1.0)


@cache
def scene(turn=0.3):
    """A drawn lattice with some columns that differ, its frame levelled, cell and columns."""
    made = drawn(HEXAGONAL, TWO, turn=turn, ratio=some_differ)
    lattice = find_lattice(made.frame)
    levelled = local_contrast(made.frame, lattice.period_px)
    cell = fitted_cell(levelled, lattice)
    return made, levelled, cell, measure_columns(levelled, cell)


def defects(made, margin=20):
    last = np.array(made.frame.shape) - 1
    inside = (np.minimum(made.places, last - made.places) >= margin).all(axis=1)
    return np.flatnonzero((made.ratio != 1) & inside)


def test_defects_get_the_column_that_they_are_in():
    made, levelled, cell, columns = scene()
    where = defects(made)
    rng = np.random.default_rng(0)
    found = found_at(made.places[where] + rng.normal(0, 0.5, (len(where), 2)), [1] * len(where), made.frame.shape)
    views = views_of(levelled, columns, cell, found, 0)
    number, distance = made.of(columns)
    assert (number[views.column] == where).all()
    assert distance[views.column].max() < 1
    # By how far the network is off, does not matter.
    exact = views_of(levelled, columns, cell, found_at(made.places[where], [1] * len(where), made.frame.shape), 0)
    assert (exact.images == views.images).all()
    assert (exact.alone == views.alone).all()


def test_the_middle_of_a_picture_is_the_column():
    made, levelled, cell, columns = scene()
    where = defects(made)
    views = views_of(levelled, columns, cell, found_at(made.places[where], [1] * len(where), made.frame.shape), 0)
    pixels = np.round(columns.positions[views.column]).astype(int)
    assert np.corrcoef(views.images[:, MIDDLE, MIDDLE], levelled[tuple(pixels.T)])[0, 1] > 0.99
    # Standing alone, a column is as high as it was measured, whatever is around.
    height = columns.height[views.column]
    assert views.alone[:, SMALL_MIDDLE, SMALL_MIDDLE] == pytest.approx(height, abs=0.12 * columns.height.max())


def test_no_column_around_is_left():
    made, levelled, cell, columns = scene()
    where = defects(made)
    views = views_of(levelled, columns, cell, found_at(made.places[where], [1] * len(where), made.frame.shape), 0)
    steps = axes_of(cell).grid(ALONE_SIDE)
    bell = np.exp(-(steps**2).sum(axis=-1) / (2 * cell.width_px**2))
    left = views.alone - columns.height[views.column][:, None, None] * bell
    contrast = np.ptp(levelled)
    assert np.abs(left).max() < 0.15 * contrast
    assert views.images.std(axis=(1, 2)).min() > 5 * left.std(axis=(1, 2)).max() / 2


def test_extended_defects_are_on_no_column():
    made, _, cell, columns = scene()
    region = np.zeros(made.frame.shape, bool)
    at = np.round(columns.positions[40]).astype(int)
    region[at[0] - 6 : at[0] + 7, at[1] - 6 : at[1] + 7] = True
    found = found_at([columns.positions[40], columns.positions[60]], [4, 1], made.frame.shape, region)
    assert columns_under(found, columns, ON_COLUMN * cell.lattice.period_px).tolist() == [-1, 60]


def test_references_are_perfect_columns():
    made, levelled, cell, columns = scene()
    where = defects(made)
    number, _ = made.of(columns)
    perfect = np.flatnonzero(made.ratio[number] == 1)[5:300]
    taken = columns.positions[perfect]  # the network calls most of them defects
    found = found_at(np.concatenate([made.places[where], taken]), [1] * (len(where) + len(taken)), made.frame.shape)
    views = views_of(levelled, columns, cell, found, 0)
    assert not set(views.reference.tolist()) & set(views.column.tolist())
    assert (made.ratio[number[views.reference]] == 1).all()
    assert len(set(views.reference.tolist())) == len(views.reference)
    last, at = np.array(made.frame.shape) - 1, columns.positions[views.reference]
    assert np.minimum(at, last - at).min() >= EDGE * cell.lattice.period_px


def test_some_references_of_each_sublattice_others_with_each_seed():
    made, levelled, cell, columns = scene()
    nothing = found_at([], [], made.frame.shape)
    one, again, other = (views_of(levelled, columns, cell, nothing, seed) for seed in (0, 0, 1))
    assert np.bincount(columns.sublattice[one.reference]).tolist() == [REFERENCES, REFERENCES]
    assert (one.reference == again.reference).all()
    assert set(one.reference.tolist()) != set(other.reference.tolist())
    assert one.reference_images.shape == (2 * REFERENCES, SIDE, SIDE)
    assert one.reference_alone.shape == (2 * REFERENCES, ALONE_SIDE, ALONE_SIDE)
    assert len(one.column) == len(one.images) == len(one.alone) == 0


def test_look_measures_where_there_is_a_lattice():
    made, levelled, cell, columns = scene()
    where = defects(made)
    found = found_at(made.places[where], [1] * len(where), made.frame.shape)
    seen = columns_seen(levelled, cell)
    views = look(levelled, seen, cell, found, 3.0, 7)
    wanted = views_of(levelled, columns, cell, found, 7)
    assert (seen.positions == columns.positions).all()
    for name, values in vars(wanted).items():
        assert (getattr(views, name) == values).all()


@pytest.mark.parametrize("with_cell", [True, False])
def test_look_where_there_is_no_lattice(with_cell):
    noise = np.random.default_rng(0).poisson(200, (120, 130)).astype(np.uint16)
    found = found_at([[60.0, 60.0], [0.0, 129.0]], [1, 2], noise.shape)
    cell = scene()[2] if with_cell else None
    columns = columns_seen(local_contrast(noise, 9.0), cell)
    views = look(local_contrast(noise, 9.0), columns, cell, found, 9.0, 0)
    assert columns is None
    assert views.column.tolist() == [-1, -1]
    assert len(views.reference) == len(views.reference_images) == len(views.reference_alone) == 0
    wanted = local_contrast(noise, 9.0)[60 - MIDDLE : 61 + MIDDLE, 60 - MIDDLE : 61 + MIDDLE]  # a step is one px
    assert views.images[0] == pytest.approx(wanted, abs=1e-5)
    assert views.alone[0] == pytest.approx(wanted[6:-6, 6:-6], abs=1e-5)
    assert np.isfinite(views.images).all()


def test_plain_views_of_nothing():
    views = plain_views(np.zeros((40, 40), np.float32), found_at([], [], (40, 40)), PER_PERIOD)
    assert views.images.shape == (0, SIDE, SIDE)
    assert views.alone.shape == (0, ALONE_SIDE, ALONE_SIDE)
    assert views.column.shape == (0,)


def test_pictures_of_turned_lattices_are_alike():
    means = []
    for turn in (0.0, 0.3):
        made, levelled, cell, columns = scene(turn)
        empty = [number for number in defects(made, 35) if made.ratio[number] == 0 and made.sublattice[number] == 0]
        assert empty
        found = found_at(made.places[empty], [1] * len(empty), made.frame.shape)
        means.append(views_of(levelled, columns, cell, found, 0).alone.mean(axis=0))
    assert np.abs(means[0] - means[1]).max() < 0.1 * np.ptp(scene()[1])
