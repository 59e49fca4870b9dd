"""A template turned by every symmetry of a lattice: where what is turned lies, follows from a formula."""

import numpy as np
import pytest

from analysis.library.align import Alignment, _turned, fit_alignment
from analysis.library.cutouts import SIDE, axes_of, operations
from tests.analysis.columns.lattices import LATTICES
from tests.analysis.library.test_cutouts import seen

STEPS = np.moveaxis(np.mgrid[:SIDE, :SIDE], 0, -1) - (SIDE - 1) / 2
SYMMETRIC = ["square", "hexagonal", "hexagonal, two columns", "rectangular", "oblique"]


def blobs(*placed):
    """Gaussians of (place, height) in a cut-out, in steps from its middle."""
    return sum(
        height * np.exp(-((STEPS - np.array(place)) ** 2).sum(axis=-1) / (2 * 1.8**2)) for place, height in placed
    ).astype(np.float32)


def turns_of(name):
    _, _, cell = seen(name, 0.4)
    return operations(cell, axes_of(cell))


def noisy(count, seed=0, amount=0.05):
    rng = np.random.default_rng(seed)
    return blobs(((0, 0), 1.0)) + amount * rng.normal(size=(count, SIDE, SIDE)).astype(np.float32)


@pytest.mark.parametrize("name", SYMMETRIC)
def test_turned_copies_come_out_equal(name):
    turns = turns_of(name)
    alignment = fit_alignment(turns, noisy(200))
    bright, dark = np.array([2.5, 6.0]), np.array([-6.5, 1.0])
    copies = np.stack([blobs(((0, 0), 1), (bright @ turn, 1.0), (dark @ turn, -0.6)) for turn in turns])
    assert max(np.abs(one - copies[0]).max() for one in copies[1:]) > 0.5  # they are not equal before
    aligned = alignment.align(copies)
    for one in aligned[1:]:
        assert np.abs(one - aligned[0]).max() < 0.1
    assert (copies[0] == blobs(((0, 0), 1), (bright, 1.0), (dark, -0.6))).all()  # what was given is left alone


@pytest.mark.parametrize("name", SYMMETRIC)
def test_what_is_at_a_step_is_at_its_image(name):
    for turn in turns_of(name):
        place = np.array([3.0, 5.5])
        assert np.abs(_turned(blobs((place, 1.0))[None], turn)[0] - blobs((place @ turn, 1.0))).max() < 0.08


def test_noise_stays_as_it_is():
    alignment = fit_alignment(turns_of("hexagonal"), noisy(400))
    images = noisy(400, seed=1)
    stayed = (alignment.align(images) == images).all(axis=(1, 2))
    assert 0.92 < stayed.mean() < 0.99


def test_a_heavier_side_comes_to_lie_across():
    turns = turns_of("square")
    alignment = fit_alignment(turns, noisy(100))
    for turn in turns:
        aligned = alignment.align(blobs(((0, 0), 1), (np.array([0.0, 7.0]) @ turn, 1.0))[None])[0]
        assert aligned[SIDE // 2, SIDE // 2 + 7] > 0.8


def test_the_core_tells_no_direction():
    alignment = Alignment(turns_of("square"), np.zeros((SIDE, SIDE), np.float32), 1e-3)
    image = np.zeros((1, SIDE, SIDE), np.float32)
    image[0, SIDE // 2 - 3, SIDE // 2] = 5
    assert (alignment.align(image) == image).all()


@pytest.mark.parametrize("name", LATTICES)
def test_without_perfect_columns_nothing_is_turned(name):
    alignment = fit_alignment(turns_of(name), np.zeros((0, SIDE, SIDE), np.float32))
    images = noisy(5, amount=3)
    assert (alignment.align(images) == images).all()


def test_no_pictures():
    alignment = fit_alignment(turns_of("square"), noisy(5))
    assert alignment.align(noisy(0)).shape == (0, SIDE, SIDE)
