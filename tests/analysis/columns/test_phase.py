"""Phases against lattices that are bent as we say, and against a slow plain version."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from analysis.columns.phase import PhaseField, phase_field
from data_prep.fourier.lattice import Lattice, find_lattice
from data_prep.normalise import local_contrast
from tests.analysis.columns.lattices import HEXAGONAL, LATTICES, ONE, TWO, drawn


def field_of(picture):
    lattice = find_lattice(picture.frame)
    return phase_field(local_contrast(picture.frame, lattice.period_px), lattice)


def off_integers(cells):
    """How far (n, 2) cell coordinates are from integers and a common offset."""
    turned = np.exp(2j * np.pi * cells)
    return np.angle(turned / np.median(turned.real + 1j * turned.imag, axis=0)) / (2 * np.pi)


def inner_places(picture, margin=35):
    inside = ((picture.places > margin) & (picture.places < np.array(picture.frame.shape) - margin)).all(axis=1)
    return picture.places[inside & (picture.sublattice == 0)]


@pytest.mark.parametrize("turn", [0.0, 0.3])
@pytest.mark.parametrize("name", LATTICES)
def test_columns_of_a_sublattice_differ_by_whole_cells(name, turn):
    vectors, columns, _ = LATTICES[name]
    picture = drawn(vectors, columns, turn=turn, gradient=0.3)
    assert np.abs(off_integers(field_of(picture).at(inner_places(picture, 10)))).max() < 0.02


def bend(places):
    """Strain of up to 1.6 %, by 1 px along each axis."""
    return np.stack([np.sin(places[:, 1] / 64 + 0.3), np.cos(places[:, 0] / 80)], axis=1)


def test_a_lattice_that_is_bent_smoothly_is_followed():
    picture = drawn(HEXAGONAL, TWO, (260, 340), bend=bend)
    field = field_of(picture)
    places = inner_places(picture)
    assert np.abs(off_integers(field.at(places))).max() < 0.025  # of a cell: 0.3 px
    straight = np.abs(off_integers(places @ field.lattice.basis.T)).max()
    assert straight > 0.07


def test_a_hole_does_not_bend_the_lattice_around_it():
    def ratio(places, _):
        return np.where(np.linalg.norm(places - [130, 170], axis=1) < 55, 0.0, 1.0)

    picture = drawn(HEXAGONAL, TWO, (260, 340), ratio=ratio)
    noise = np.random.default_rng(0).normal(0, 30, picture.frame.shape)
    lattice = find_lattice(picture.frame)
    field = phase_field(local_contrast(picture.frame + noise, lattice.period_px), lattice)
    assert np.abs(off_integers(field.at(inner_places(picture, 10)))).max() < 0.1


def test_phases_are_those_of_a_plain_gaussian_mean():
    """`phase` at a point: of the mean of frame times wave, through a Gaussian that ends at the frame's edge."""
    picture = drawn(HEXAGONAL, ONE, (90, 130), bend=bend)
    lattice = find_lattice(picture.frame)
    levelled = local_contrast(picture.frame, lattice.period_px)
    field = phase_field(levelled, lattice)
    y, x = np.indices(levelled.shape)
    for row in (0, len(field.rows) // 2, -1):
        for column in (0, len(field.columns) // 2, -1):
            away = (y - field.rows[row]) ** 2 + (x - field.columns[column]) ** 2
            weight = np.exp(-away / (2 * (3 * lattice.period_px) ** 2))
            plain = [
                (weight * levelled * np.exp(-2j * np.pi * (wave[0] * y + wave[1] * x))).sum() / weight.sum()
                for wave in lattice.basis
            ]
            turns = field.cells[:, row, column] - np.angle(plain) / (2 * np.pi)
            np.testing.assert_allclose(turns, np.round(turns), atol=1e-3)
            assert field.amplitude[row, column] == pytest.approx(np.abs(plain).min(), rel=1e-3)


def test_phases_do_not_jump():
    """Drift within a frame may bend the lattice by many cells from top to bottom."""

    def shear(places):
        return np.stack([np.zeros(len(places)), 30 * (places[:, 0] / 260) ** 2], axis=1)

    field = field_of(drawn(HEXAGONAL, ONE, (260, 340), bend=shear))
    for axis in (1, 2):
        assert np.abs(np.diff(field.cells, axis=axis)).max() < 0.2


@st.composite
def fields(draw):
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    rows, columns = np.linspace(0, 149, 13), np.linspace(0, 219, 19)
    smooth = ndimage.gaussian_filter(rng.normal(size=(2, 13, 19)), (0, 2, 2))
    cells = draw(st.floats(0.0, 0.15)) * smooth / np.abs(smooth).max() + draw(st.integers(-5, 5))
    angle = draw(st.floats(0, np.pi))
    basis = np.array([[np.cos(angle), np.sin(angle)], [np.cos(angle + 1.1), np.sin(angle + 1.1)]]) / 12
    return PhaseField(Lattice(basis, np.zeros((0, 2), np.int64)), rows, columns, cells, np.ones((13, 19)))


@settings(max_examples=30, deadline=None)
@given(fields(), st.integers(0, 10**6))
def test_places_of_cells_and_cells_of_places_are_each_other_s_inverse(field, seed):
    places = np.random.default_rng(seed).uniform((0, 0), (149, 219), (50, 2))
    np.testing.assert_allclose(field.positions(field.at(places)), places, atol=0.02)


@settings(max_examples=10, deadline=None)
@given(fields())
def test_the_cells_of_all_pixels_are_those_of_each(field):
    pixels = np.stack(np.indices((150, 220)), -1).reshape(-1, 2)
    grid = np.stack(field.grid((150, 220)), -1).reshape(-1, 2)
    np.testing.assert_allclose(grid, field.at(pixels.astype(float)), atol=1e-9)
