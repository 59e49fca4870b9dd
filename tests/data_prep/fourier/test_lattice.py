from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from data_prep.errors import InputError
from data_prep.fourier.lattice import find_lattice, lattice_period, spectrum_of

LATTICE_CONSTANT_NM = 0.3153
Image = NDArray[np.float64]
Waves = Callable[[tuple[int, int], float], Image]
Simulated = Callable[..., tuple[NDArray[np.uint16], list[dict[str, str]]]]


def crystal(shape: tuple[int, int], first: Image, second: Image, rng: np.random.Generator) -> Image:
    """Columns (Gaussians, a fifth of the shorter vector wide) at all places of a lattice, with noise (y, x)."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    inverse = np.linalg.inv(np.array([first, second]))
    away = np.stack([y, x], axis=-1) @ inverse + rng.random(2)
    away -= np.round(away)
    place = away @ np.array([first, second])
    width = min(np.linalg.norm(first), np.linalg.norm(second)) / 5
    return np.asarray(np.exp(-(place**2).sum(-1) / (2 * width**2)) + rng.normal(0, 0.2, shape))


@settings(deadline=None, max_examples=40)
@given(
    length=st.floats(6, 20),
    ratio=st.floats(1, 1.6),
    angle=st.floats(60, 120),
    turn=st.floats(0, 360),
    seed=st.integers(0, 99),
)
@example(length=17.0, ratio=1.0, angle=60.0, turn=178.0, seed=1)  # a peak beside the axis of the half plane
def test_the_lattice_of_any_crystal_is_found(length: float, ratio: float, angle: float, turn: float, seed: int) -> None:
    along = [np.radians(turn), np.radians(turn + angle)]
    first, second = (
        size * np.array([np.sin(a), np.cos(a)]) for size, a in zip((length, length * ratio), along, strict=True)
    )
    lattice = find_lattice(crystal((150, 210), first, second, np.random.default_rng(seed)))
    # The same lattice: each basis is a whole-number combination of the other, of the same area.
    steps = np.array([first, second]) @ lattice.basis.T
    np.testing.assert_allclose(steps, np.round(steps), atol=0.02)
    assert abs(np.linalg.det(np.round(steps))) == pytest.approx(1)
    np.testing.assert_allclose(lattice.vectors @ lattice.basis.T, np.eye(2), atol=1e-9)


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
    lattice = find_lattice(plane_waves((150, 100), period_px) + noise)
    assert lattice.period_px == pytest.approx(period_px, rel=0.01)
    assert len(lattice.first_ring) == 3
    # Three waves make three pairs of Bragg peaks, and noise makes none.
    assert len(lattice.reflections) == 3


def test_a_square_lattice_has_two_vectors_in_its_first_ring() -> None:
    frame = crystal((160, 120), np.array([9.0, 0.0]), np.array([0.0, 9.0]), np.random.default_rng(2))
    lattice = find_lattice(frame)
    assert len(lattice.first_ring) == 2
    assert lattice.period_px == pytest.approx(9.0, rel=0.01)


@pytest.mark.parametrize("seed", range(3))
def test_noise_on_a_background_has_no_lattice(seed: int) -> None:
    y, x = np.mgrid[:100, :140]
    frame = np.random.default_rng(seed).poisson(50 + 0.3 * x + 0.001 * y**2)
    with pytest.raises(InputError, match="shows no lattice"):
        find_lattice(frame)


def test_lines_in_one_direction_are_no_lattice() -> None:
    y, x = np.mgrid[:140, :100]
    frame = np.cos(2 * np.pi * (0.8 * y + 0.6 * x) / 9) + np.random.default_rng(1).normal(0, 0.3, (140, 100))
    with pytest.raises(InputError, match="one direction only"):
        find_lattice(frame)


def test_edges_leave_no_cross_in_the_spectrum() -> None:
    """A steep ramp jumps from edge to edge of the periodic continuation, which the plain spectrum shows as a cross."""
    y, x = np.mgrid[:120, :170]
    ramp = 3.0 * x + 2.0 * y + np.random.default_rng(3).normal(0, 1.0, (120, 170))
    power = spectrum_of(ramp).power
    plain = np.abs(np.fft.rfft2(ramp - ramp.mean())) ** 2

    def cross(of: Image) -> float:
        """Power on the x axis beside that a few rows off it, well away from the centre."""
        return float(of[0, 20:60].mean() / of[8:12, 20:60].mean())

    assert cross(plain) > 50
    assert cross(power) < 3


def test_a_second_grain_is_told_of(plane_waves: Waves) -> None:
    noise = np.random.default_rng(5).normal(0, 0.3, (160, 200))
    one = plane_waves((160, 200), 8.0)
    y, x = np.mgrid[:160, :200]
    turns = np.radians([33.0, 93.0, 153.0])  # 20 degrees further
    turned = sum(np.cos(2 * np.pi * (y * np.sin(turn) + x * np.cos(turn)) / 8) for turn in turns)
    both = np.where(np.arange(200) < 100, one, turned)
    assert find_lattice(one + noise).note == ""
    assert "second lattice" in find_lattice(both + noise).note
