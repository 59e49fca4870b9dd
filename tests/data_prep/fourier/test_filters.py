from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from data_prep.fourier.filters import Reference, bragg_filtered, filter_frame
from data_prep.fourier.lattice import find_lattice

SHAPE = (120, 170)
PERIOD_PX = 8.0
Image = NDArray[np.float64]
Waves = Callable[[tuple[int, int], float], Image]
Spot = Callable[[tuple[int, int], tuple[float, float], float], Image]
both_references = pytest.mark.parametrize("reference", ["lattice", "lowpass"])


@pytest.fixture
def spoilt(plane_waves: Waves, spot: Spot) -> Image:
    """A lattice with something dark at (40, 110), something bright at (85, 50), and a slow ramp."""
    noise = np.random.default_rng(4).normal(0, 0.1, SHAPE)
    marks = -3 * spot(SHAPE, (40, 110), 3.0) + 3 * spot(SHAPE, (85, 50), 3.0)
    return plane_waves(SHAPE, PERIOD_PX) + marks + noise + np.linspace(0, 10, SHAPE[1])


@both_references
def test_the_residual_is_extreme_where_the_lattice_is_spoilt(spoilt: Image, reference: Reference) -> None:
    left = filter_frame(spoilt, reference).residual
    assert left.shape == SHAPE
    darkest, brightest = np.unravel_index(left.argmin(), SHAPE), np.unravel_index(left.argmax(), SHAPE)
    assert np.hypot(*(np.array(darkest) - (40, 110))) < 3
    assert np.hypot(*(np.array(brightest) - (85, 50))) < 3
    assert left.min() < -10
    assert left.max() > 10


@both_references
def test_the_residual_is_in_robust_standard_deviations(spoilt: Image, reference: Reference) -> None:
    left = filter_frame(spoilt, reference).residual
    quarter, half, three_quarters = np.percentile(left, [25, 50, 75])
    assert half == pytest.approx(0.0, abs=1e-3)
    # The quartiles of a normal distribution lie 1.349 standard deviations apart.
    assert (three_quarters - quarter) / 1.349 == pytest.approx(1.0, abs=0.05)


@both_references
def test_slow_background_and_its_strength_do_not_matter(plane_waves: Waves, spot: Spot, reference: Reference) -> None:
    noise = np.random.default_rng(4).normal(0, 1.0, SHAPE)
    calm = plane_waves(SHAPE, PERIOD_PX) + noise - 3 * spot(SHAPE, (60, 80), 2.0)
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    dirty = calm + 6 * np.exp(-((y - 40) ** 2 + (x - 120) ** 2) / (2 * 60**2))
    first, second = (filter_frame(frame, reference).residual for frame in (calm, dirty))
    inner = np.s_[10:-10, 10:-10]
    assert np.corrcoef(first[inner].ravel(), second[inner].ravel())[0, 1] > 0.85


def test_the_steps_add_up_and_the_background_is_the_one_put_in(plane_waves: Waves) -> None:
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    slow = 50 + 5 * np.sin(2 * np.pi * x / 170) + 0.05 * y
    frame = plane_waves(SHAPE, PERIOD_PX) + slow + np.random.default_rng(1).normal(0, 0.1, SHAPE)
    steps = filter_frame(frame)
    np.testing.assert_allclose(steps.background + steps.levelled, frame, atol=1e-3)
    inner = np.s_[20:-20, 20:-20]
    assert (steps.background - slow)[inner].std() < 0.15 * slow[inner].std()


def test_the_ideal_lattice_is_the_lattice_without_its_noise_up_to_the_edges(plane_waves: Waves) -> None:
    perfect = plane_waves(SHAPE, PERIOD_PX)
    frame = perfect + np.random.default_rng(2).normal(0, 0.5, SHAPE)
    ideal = bragg_filtered(frame.astype(np.float32), find_lattice(frame), np.ones(SHAPE, np.float32))
    error = ideal - perfect
    assert error.std() < 0.15
    rim = np.ones(SHAPE, bool)
    rim[4:-4, 4:-4] = False
    assert error[rim].std() < 0.3


def test_a_missing_column_is_still_there_in_the_ideal_lattice(plane_waves: Waves, spot: Spot) -> None:
    perfect = plane_waves(SHAPE, PERIOD_PX)
    frame = perfect - 3 * spot(SHAPE, (60, 90), 1.8) + np.random.default_rng(2).normal(0, 0.05, SHAPE)
    ideal = filter_frame(frame).reference
    around = np.s_[56:65, 86:95]
    assert np.abs(ideal - (perfect - perfect.mean()))[around].max() < 0.6  # of 3 that are missing


def test_where_there_is_no_lattice_none_is_made_up(plane_waves: Waves) -> None:
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    distance = np.hypot(y - 60, x - 85)
    frame = np.where(distance < 30, -4.0, plane_waves(SHAPE, PERIOD_PX))
    frame += np.random.default_rng(2).normal(0, 0.1, SHAPE)
    steps = filter_frame(frame)
    assert np.abs(steps.reference[distance < 15]).max() == 0
    assert steps.residual[distance < 15].max() < -5
    assert np.abs(steps.residual[distance > 50]).max() < 8


def test_a_lattice_that_is_given_is_taken(plane_waves: Waves) -> None:
    frame = plane_waves(SHAPE, PERIOD_PX) + np.random.default_rng(2).normal(0, 0.1, SHAPE)
    lattice = find_lattice(frame)
    assert filter_frame(frame[:100], lattice=lattice).lattice is lattice
