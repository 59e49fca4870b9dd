from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from data_prep.normalise import local_contrast

PERIOD_PX = 6.0
SIGMA_PX = 4.0 * PERIOD_PX
Waves = Callable[[tuple[int, int], float], NDArray[np.float64]]


def plain_blur(image: NDArray[np.float64], sigma: float) -> NDArray[np.float64]:
    """Gaussian mean, mirrored at the edges, one row and one column at a time."""
    reach = int(4 * sigma + 0.5)
    kernel = np.exp(-(np.arange(-reach, reach + 1) ** 2) / (2 * sigma**2))
    kernel /= kernel.sum()
    for _ in range(2):
        padded = np.pad(image, ((0, 0), (reach, reach)), mode="symmetric")
        image = np.array([np.convolve(row, kernel, mode="valid") for row in padded]).T
    return image


def test_agrees_with_the_definition_written_out(plane_waves: Waves) -> None:
    ramp = np.linspace(1, 1.5, 100)
    frame = 50 * ramp + 10 * ramp * plane_waves((72, 100), PERIOD_PX)
    frame += np.random.default_rng(2).normal(size=frame.shape)
    once = frame - plain_blur(frame, SIGMA_PX)
    difference = once - plain_blur(once, SIGMA_PX)
    levelled = local_contrast(frame, PERIOD_PX)
    assert levelled.dtype == np.float32
    np.testing.assert_allclose(levelled, difference / np.sqrt(plain_blur(difference**2, SIGMA_PX)), atol=2e-3)


@pytest.mark.parametrize(("gain", "offset"), [(0.01, 0.0), (40.0, -300.0), (3.0, 5000.0)])
def test_gain_and_offset_of_the_detector_do_not_matter(plane_waves: Waves, gain: float, offset: float) -> None:
    frame = plane_waves((80, 120), PERIOD_PX)
    np.testing.assert_allclose(
        local_contrast(gain * frame + offset, PERIOD_PX), local_contrast(frame, PERIOD_PX), atol=5e-3
    )


def test_slow_background_and_contrast_are_levelled(plane_waves: Waves) -> None:
    shape = (96, 240)
    ramp = np.linspace(1, 3, shape[1])
    levelled = local_contrast(100 * ramp + ramp * plane_waves(shape, PERIOD_PX), PERIOD_PX)
    for part in (levelled[20:-20, 60:110], levelled[20:-20, 130:180]):
        assert abs(part.mean()) < 0.2
        assert part.std() == pytest.approx(1.0, abs=0.1)


def test_a_hole_is_flat_and_as_dark_in_its_middle_as_at_its_rim(plane_waves: Waves) -> None:
    rng = np.random.default_rng(3)
    frame = 4 + plane_waves((160, 200), PERIOD_PX)
    hole = np.s_[50:110, 60:140]
    frame[hole] = 0
    frame += rng.normal(0, 0.05, frame.shape)
    levelled = local_contrast(frame, PERIOD_PX)
    middle, rim = levelled[75:85, 90:110], levelled[75:85, 64:70]
    # The lattice around it has the mean 4 and the deviation sqrt(3 / 2); the step at the rim blurs both a little.
    assert middle.mean() == pytest.approx(-4 / np.sqrt(1.5), rel=0.2)
    assert rim.mean() == pytest.approx(middle.mean(), rel=0.1)
    assert middle.std() < 0.1
    assert levelled[:, :20].std() == pytest.approx(1.0, abs=0.1)


def test_a_flat_frame_becomes_zero() -> None:
    np.testing.assert_allclose(local_contrast(np.full((70, 90), 16.0), PERIOD_PX), 0.0, atol=1e-6)
