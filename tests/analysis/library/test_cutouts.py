"""Cut-outs of images that are known functions, and of lattices that are drawn."""

from functools import cache

import numpy as np
import pytest

from analysis.columns import fitted_cell
from analysis.library.cutouts import ALONE_SIDE, PER_PERIOD, SIDE, Axes, axes_of, cut_out, operations, straight_axes
from data_prep.fourier.lattice import find_lattice
from data_prep.normalise import local_contrast
from tests.analysis.columns.lattices import LATTICES, drawn


@cache
def seen(name, turn=0.0):
    vectors, columns, _ = LATTICES[name]
    made = drawn(vectors, columns, turn=turn)
    lattice = find_lattice(made.frame)
    levelled = local_contrast(made.frame, lattice.period_px)
    return made, levelled, fitted_cell(levelled, lattice)


def inner(made, margin=40, sublattice=0):
    places = made.places
    inside = ((places >= margin) & (places <= np.array(made.frame.shape) - margin)).all(axis=1)
    return places[inside & (made.sublattice == sublattice)]


@pytest.mark.parametrize("side", [SIDE, ALONE_SIDE])
@pytest.mark.parametrize("angle", [0.0, 0.7, 2.5])
def test_a_plane_is_cut_out_as_it_is(side, angle):
    y, x = np.mgrid[:90, :110]
    plane = (2 * y - 3 * x + 5).astype(np.float32)
    step = 1.2
    down, across = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) * step
    centres = np.array([[40.0, 50.0], [44.3, 61.7]])
    images = cut_out(plane, centres, Axes(np.array([down, across])), side)
    assert images.shape == (2, side, side)
    middle = side // 2
    for image, (cy, cx) in zip(images, centres, strict=True):
        assert image[middle, middle] == pytest.approx(2 * cy - 3 * cx + 5, abs=1e-3)
        assert np.diff(image, axis=0) == pytest.approx(2 * down[0] - 3 * down[1], abs=1e-3)
        assert np.diff(image, axis=1) == pytest.approx(2 * across[0] - 3 * across[1], abs=1e-3)


def test_straight_cut_outs_lie_as_the_frame_does():
    frame = np.random.default_rng(0).normal(size=(60, 70)).astype(np.float32)
    image = cut_out(frame, np.array([[30.0, 35.0]]), straight_axes(PER_PERIOD), 13)[0]
    assert image == pytest.approx(frame[24:37, 29:42])


def test_beyond_the_edge_the_frame_is_mirrored():
    frame = np.random.default_rng(0).normal(size=(40, 40)).astype(np.float32)
    image = cut_out(frame, np.array([[0.0, 39.0]]), straight_axes(PER_PERIOD), 13)[0]
    assert image == pytest.approx(image[::-1])
    assert image == pytest.approx(image[:, ::-1])


def test_nothing_to_cut_out():
    assert cut_out(np.zeros((9, 9), np.float32), np.zeros((0, 2)), straight_axes(9.0)).shape == (0, SIDE, SIDE)


@pytest.mark.parametrize("turn", [0.0, 0.4])
@pytest.mark.parametrize("name", LATTICES)
def test_axes_are_square_and_of_one_scale(name, turn):
    _, _, cell = seen(name, turn)
    along = axes_of(cell).along
    step = cell.lattice.period_px / PER_PERIOD
    assert along @ along.T == pytest.approx(step**2 * np.eye(2), abs=1e-9)
    assert np.linalg.det(along) > 0  # no picture is mirrored


@pytest.mark.parametrize("name", [name for name in LATTICES if "two" in name])
def test_the_nearest_column_of_the_next_sublattice_lies_across(name):
    made, _, cell = seen(name, 0.4)
    across = axes_of(cell).along[1]
    across = across / np.linalg.norm(across)
    second = made.places[made.sublattice == 1]
    for centre in inner(made):
        away = second - centre
        distance = np.linalg.norm(away, axis=1)
        assert (away[distance < 1.05 * distance.min()] @ across).max() == pytest.approx(distance.min(), rel=0.02)


@pytest.mark.parametrize("name", ["square, two columns", "hexagonal, two columns"])
def test_turned_lattices_give_the_same_cut_outs(name):
    means = []
    for turn in (0.0, 0.4, 1.3):
        made, levelled, cell = seen(name, turn)
        means.append(cut_out(levelled, inner(made), axes_of(cell)).mean(axis=0))
    for mean in means[1:]:
        assert np.corrcoef(mean.ravel(), means[0].ravel())[0, 1] > 0.99


@pytest.mark.parametrize("name", LATTICES)
def test_operations_leave_the_lattice_as_it_is(name):
    made, _, cell = seen(name, 0.4)
    axes = axes_of(cell)
    found = operations(cell, axes)
    assert len(found) == LATTICES[name][2]
    assert found[0] == pytest.approx(np.eye(2))
    centre = inner(made)[0]
    away = (made.places - centre) @ np.linalg.inv(axes.along)  # in steps of a cut-out
    near = np.linalg.norm(away, axis=1) < 14
    for operation in found:
        assert operation @ operation.T == pytest.approx(np.eye(2), abs=0.03)
        for number in np.unique(made.sublattice):
            mine = away[made.sublattice == number]
            turned = away[near & (made.sublattice == number)] @ operation
            distance = np.linalg.norm(turned[:, None] - mine, axis=2).min(axis=1)
            assert distance.max() < 0.6  # beside nine in a period
