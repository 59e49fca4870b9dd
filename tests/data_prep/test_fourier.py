from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from data_prep.errors import InputError
from data_prep.fourier import FourierFilter, departures, lattice_period, residual

LATTICE_CONSTANT_NM = 0.3153
SHAPE = (120, 170)
PERIOD_PX = 8.0
Image = NDArray[np.float64]
Waves = Callable[[tuple[int, int], float], Image]
Spot = Callable[[tuple[int, int], tuple[float, float], float], Image]
Simulated = Callable[..., tuple[NDArray[np.uint16], list[dict[str, str]]]]


@pytest.fixture
def spoilt(plane_waves: Waves, spot: Spot) -> Image:
    """A lattice with something dark at (40, 110), something bright at (85, 50), and a slow ramp."""
    noise = np.random.default_rng(4).normal(0, 0.1, SHAPE)
    marks = -3 * spot(SHAPE, (40, 110), 3.0) + 3 * spot(SHAPE, (85, 50), 3.0)
    return plane_waves(SHAPE, PERIOD_PX) + marks + noise + np.linspace(0, 10, SHAPE[1])


@pytest.mark.parametrize("size_px", [(128, 192), (192, 128)])
@pytest.mark.parametrize("field_nm", [5.0, 8.0])
def test_the_period_is_the_plane_spacing_of_the_simulated_crystal(
    simulated: Simulated, size_px: tuple[int, int], field_nm: float
) -> None:
    frames, _ = simulated(size_px=size_px, field_nm=field_nm, vacancy_share=0.05, dose=1000.0, contamination=0.3)
    planes = LATTICE_CONSTANT_NM * np.sqrt(3) / 2 / (field_nm / size_px[1])
    assert lattice_period(frames[1]) == pytest.approx(planes, rel=0.01)


@pytest.mark.parametrize("period_px", [4.0, 7.3, 15.0])
def test_the_period_of_plane_waves_is_their_spacing(plane_waves: Waves, period_px: float) -> None:
    noise = np.random.default_rng(5).normal(size=(150, 100))
    assert lattice_period(plane_waves((150, 100), period_px) + noise) == pytest.approx(period_px, rel=0.01)


@pytest.mark.parametrize("seed", range(3))
def test_noise_on_a_background_has_no_lattice(seed: int) -> None:
    y, x = np.mgrid[:100, :140]
    frame = np.random.default_rng(seed).poisson(50 + 0.3 * x + 0.001 * y**2)
    with pytest.raises(InputError, match="shows no lattice"):
        lattice_period(frame)


def test_the_residual_is_extreme_where_the_lattice_is_spoilt(spoilt: Image) -> None:
    left = residual(spoilt, PERIOD_PX)
    assert left.shape == SHAPE
    darkest, brightest = np.unravel_index(left.argmin(), SHAPE), np.unravel_index(left.argmax(), SHAPE)
    assert np.hypot(*(np.array(darkest) - (40, 110))) < 3
    assert np.hypot(*(np.array(brightest) - (85, 50))) < 3
    assert left.min() < -10
    assert left.max() > 10


def lattice_share(image: Image) -> float:
    """Power on the first Bragg ring beside the power of the noise inside it."""
    power = np.abs(np.fft.rfft2(image * np.outer(np.hanning(image.shape[0]), np.hanning(image.shape[1])))) ** 2
    frequency = np.hypot(np.fft.fftfreq(image.shape[0])[:, None], np.fft.rfftfreq(image.shape[1])[None])
    ring = np.abs(frequency * PERIOD_PX - 1) < 0.1
    inside = np.abs(frequency * PERIOD_PX - 0.5) < 0.1
    return float(power[ring].max() / power[inside].mean())


def test_the_residual_keeps_what_is_inside_the_ring_and_not_the_lattice(plane_waves: Waves) -> None:
    frame = plane_waves(SHAPE, PERIOD_PX) + np.random.default_rng(6).normal(0, 0.1, SHAPE)
    left = residual(frame, PERIOD_PX)[20:-20, 20:-20]
    assert lattice_share(left) < 1e-4 * lattice_share(frame[20:-20, 20:-20])


def test_the_residual_is_in_robust_standard_deviations(spoilt: Image) -> None:
    left = residual(spoilt, PERIOD_PX)
    quarter, half, three_quarters = np.percentile(left, [25, 50, 75])
    assert half == pytest.approx(0.0, abs=1e-3)
    # The quartiles of a normal distribution lie 1.349 standard deviations apart.
    assert (three_quarters - quarter) / 1.349 == pytest.approx(1.0, abs=0.05)


@pytest.mark.parametrize(("darker", "brighter"), [(5.0, None), (None, 6.0), (5.0, 6.0), (None, None)])
def test_each_threshold_looks_at_its_own_side(spoilt: Image, darker: float | None, brighter: float | None) -> None:
    defect = departures(residual(spoilt, PERIOD_PX), FourierFilter(PERIOD_PX, darker, brighter)) > 1
    assert bool(defect[40, 110]) == (darker is not None)
    assert bool(defect[85, 50]) == (brighter is not None)
    assert not defect[60:65, 130:150].any()


def test_a_departure_is_counted_in_thresholds(spoilt: Image) -> None:
    beyond = departures(residual(spoilt, PERIOD_PX), FourierFilter(PERIOD_PX, 5.0, 10.0))
    left = residual(spoilt, PERIOD_PX)
    assert beyond[40, 110] == pytest.approx(-left[40, 110] / 5, rel=1e-5)
    assert beyond[85, 50] == pytest.approx(left[85, 50] / 10, rel=1e-5)
