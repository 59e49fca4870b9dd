"""The lattice of a frame, fitted to the Bragg peaks of its spectrum."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from data_prep.errors import InputError

FloatArray = NDArray[np.float64]

# A Bragg peak stands this many times above the median power at its radius. Noise alone has an
# exponential distribution, whose maximum over a ring of 1,000 pixels is about 10 medians.
BRAGG_CONTRAST = 40.0
# Where the lattice says that a peak should be, there are only a few pixels to choose from.
REFLECTION_CONTRAST = 12.0
WEAKEST = 0.003  # peaks this faint beside the strongest do not tell the lattice
PERIOD_RANGE_PX = (3.0, 80.0)
SAMPLE = 1000  # values that tell a median well enough
PEAKS = 24  # as many as there may be grains, harmonics and side lobes among
FOREIGN = 0.2  # from this share of foreign peaks on, there is another lattice
TOLERANCE = 0.08  # of the first ring's radius: how far a peak may lie from its place in the lattice


@dataclass(frozen=True)
class Lattice:
    """A two-dimensional lattice in reciprocal space.

    `basis` (2, 2): two reciprocal vectors as (y, x) in cycles per px, the shortest there are;
    `reflections` (n, 2) int: indices of the Bragg peaks seen in the spectrum, one of each pair ±;
    `foreign`: share of the peaks' amplitude that this lattice does not account for.
    """

    basis: FloatArray
    reflections: NDArray[np.int64]
    foreign: float = 0.0

    @property
    def note(self) -> str:
        """What the user should be told of the frame, "" if nothing."""
        if self.foreign < FOREIGN:
            return ""
        return "shows a second lattice (another grain, a moiré), whose columns look like defects to the first"

    @property
    def first_ring(self) -> FloatArray:
        """Reciprocal vectors (n, 2) of the shortest reflections, in cycles per px: three of a hexagonal lattice."""
        vectors = np.array([[1, 0], [0, 1], [1, -1], [1, 1]]) @ self.basis
        length = np.linalg.norm(vectors, axis=1)
        return np.asarray(vectors[length < 1.2 * length.min()])

    @property
    def period_px(self) -> float:
        """Spacing in px of the lattice planes of the first ring, by which all lengths are scaled."""
        return float(1.0 / np.linalg.norm(self.first_ring, axis=1).mean())

    @property
    def vectors(self) -> FloatArray:
        """The real-space basis (2, 2) as (y, x) in px: `vectors @ basis.T` is the identity."""
        return np.asarray(np.linalg.inv(self.basis).T)


@dataclass(frozen=True)
class Spectrum:
    """Power of a frame's spectrum, to look at and to find peaks in.

    `power` (y, x) over half of the plane, `frequency_y` (y, 1) and `frequency_x` (1, x) in cycles
    per px, `contrast` (y, x): power beside the median at its radius.
    """

    power: FloatArray
    contrast: FloatArray
    frequency_y: FloatArray
    frequency_x: FloatArray


def spectrum_of(frame: NDArray[np.generic]) -> Spectrum:
    """The power spectrum of a frame (y, x), through a Hann window: edges leave no cross in it."""
    height, width = frame.shape
    image = np.asarray(frame, np.float32)
    window = np.outer(np.hanning(height), np.hanning(width)).astype(np.float32)
    weight = window / window.sum()
    power = np.abs(fft.rfft2((image - (image * weight).sum()) * window)) ** 2
    y, x = fft.fftfreq(height)[:, None], fft.rfftfreq(width)[None, :]
    ring = np.round(np.hypot(y, x) * min(height, width)).astype(np.int32)
    median = _medians(power, ring)
    return Spectrum(power, power / np.maximum(median[ring], 1e-30), y, x)


def _medians(power: FloatArray, rings: NDArray[np.int32]) -> FloatArray:
    """Median power at each radius (in rings of a pixel), over a ring and its neighbours.

    On the ring itself a peak may cover much of a small circle; of a large one, a sample is enough.
    """
    order = np.argsort(rings, axis=None, kind="stable")
    ends = np.cumsum(np.bincount(rings.ravel()))
    values = power.ravel()[order]
    starts = np.concatenate([[0], ends[:-1]])
    last = len(ends) - 1
    around = [values[starts[max(ring - 2, 0)] : ends[min(ring + 2, last)]] for ring in range(last + 1)]
    return np.array([np.median(some[:: max(1, len(some) // SAMPLE)]) for some in around])


def find_lattice(frame: NDArray[np.generic]) -> Lattice:
    """The lattice of a frame (y, x), from its Bragg peaks.

    Peaks of the windowed spectrum are located to a fraction of a pixel, the pair of short ones that
    accounts for most of the power of all is taken for a basis, reduced (Gauss), and fitted to the peaks by least
    squares. Raises InputError if the frame shows no lattice.
    """
    spectrum = spectrum_of(frame)
    places, strength = _peaks(spectrum, min(frame.shape))
    if len(places) == 0:
        raise InputError("shows no lattice, its spectrum has no Bragg peaks")
    basis = _best_basis(places, strength)
    if basis is None:
        raise InputError("shows lattice lines in one direction only, not a lattice")
    basis = _refined(_reduced(basis), places, strength)
    close = _indices(places, basis)[1]
    foreign = float(np.sqrt(strength[~close]).sum() / np.sqrt(strength).sum())
    return Lattice(basis, _reflections(basis, spectrum), foreign)


def lattice_period(frame: NDArray[np.generic]) -> float:
    """Spacing in px of the lattice planes that make the first Bragg ring of a frame (y, x).

    Raises InputError if the frame shows no lattice.
    """
    return find_lattice(frame).period_px


def _peaks(spectrum: Spectrum, size: int) -> tuple[FloatArray, FloatArray]:
    """Bragg peaks: positions (n, 2) as (y, x) in cycles per px, and their power (n,), strongest first."""
    radius = np.hypot(spectrum.frequency_y, spectrum.frequency_x)
    lowest = max(4 / size, 1 / PERIOD_RANGE_PX[1])
    candidates = (spectrum.contrast >= BRAGG_CONTRAST) & (radius >= lowest) & (radius <= 1 / PERIOD_RANGE_PX[0])
    # One of each pair ±: on the axis x = 0 both are there.
    candidates[len(candidates) // 2 :, 0] = False
    rows, columns = np.nonzero(candidates)
    height, width = spectrum.power.shape
    around = np.arange(-2, 3)
    at_y, at_x = rows[:, None, None] + around[None, :, None], columns[:, None, None] + around[None, None, :]
    # Left of the axis x = 0 lies the other half of the plane, point for point opposite to the stored one.
    near = spectrum.power[np.where(at_x < 0, -at_y, at_y) % height, np.abs(at_x).clip(0, width - 1)]
    highest = near[:, 2, 2] >= near.max(axis=(1, 2))
    rows, columns, near = rows[highest], columns[highest], near[highest]
    strength = near[:, 2, 2]
    # The skirt of contamination may stand above its median, but not beside a lattice's own peaks.
    strong = np.flatnonzero(strength >= WEAKEST * strength.max(initial=0.0))
    strong = strong[np.argsort(-strength[strong])][:PEAKS]
    step = np.array([spectrum.frequency_y[1, 0], spectrum.frequency_x[0, 1]])
    shift_y, shift_x = _vertex(near[strong][:, 1:4, 2]), _vertex(near[strong][:, 2, 1:4])
    at = np.stack([spectrum.frequency_y[rows[strong], 0], spectrum.frequency_x[0, columns[strong]]], axis=1)
    return at + np.stack([shift_y, shift_x], axis=1) * step, strength[strong]


def _vertex(power: FloatArray) -> FloatArray:
    """Where between -0.5 and 0.5 the maximum of three neighbours (n, 3) lies.

    A parabola through the logarithms: the window makes a peak nearly a Gaussian.
    """
    low, middle, high = np.log(np.maximum(power, 1e-30)).T
    return np.asarray(np.clip(0.5 * (high - low) / np.maximum(2 * middle - high - low, 1e-12), -0.5, 0.5))


def _indices(places: FloatArray, basis: FloatArray) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """The nearest lattice indices (n, 2) of places (n, 2), and whether they are near enough (n,)."""
    indices = np.round(places @ np.linalg.inv(basis)).astype(np.int64)
    away = np.linalg.norm(places - indices @ basis, axis=1)
    close = away <= TOLERANCE * np.linalg.norm(basis, axis=1).min()
    return indices, close & (indices != 0).any(axis=1)


def _best_basis(places: FloatArray, strength: FloatArray) -> FloatArray | None:
    """The two peaks whose lattice accounts for most of the peaks' amplitude; None if all lie on a line."""
    best, most = None, 0.0
    amplitude = np.sqrt(strength)
    short = np.argsort(np.linalg.norm(places, axis=1))
    for number, i in enumerate(short):
        for j in short[:number]:
            pair = places[[j, i]]
            lengths = np.linalg.norm(pair, axis=1)
            if abs(np.linalg.det(pair)) < 0.3 * lengths.prod():
                continue  # nearly parallel: a harmonic, or a side lobe
            indices, close = _indices(places, pair)
            # Each reflection counts once: a fine net would catch any scatter of peaks.
            explained = np.zeros(len(places))
            explained[close] = amplitude[close] / (1 + 0.1 * np.abs(indices[close]).sum(axis=1))
            if explained.sum() > 1.02 * most:
                best, most = pair, float(explained.sum())
    return best


def _reduced(basis: FloatArray) -> FloatArray:
    """The shortest basis of the same lattice (Gauss reduction)."""
    short, long = sorted(basis, key=lambda vector: float(vector @ vector))
    while True:
        long = long - np.round(long @ short / (short @ short)) * short
        if long @ long >= short @ short * (1 - 1e-9):
            return np.array([short, long])
        short, long = long, short


def _refined(basis: FloatArray, places: FloatArray, strength: FloatArray) -> FloatArray:
    """The basis fitted to all peaks near its lattice, by weighted least squares."""
    for _ in range(2):
        indices, close = _indices(places, basis)
        if close.sum() < 2 or np.linalg.matrix_rank(indices[close]) < 2:
            return basis
        weight = np.sqrt(strength[close])[:, None]
        fitted = np.linalg.lstsq(indices[close] * weight, places[close] * weight, rcond=None)[0]
        basis = np.asarray(fitted, np.float64)
    return basis


def _reflections(basis: FloatArray, spectrum: Spectrum) -> NDArray[np.int64]:
    """Indices (n, 2) of the lattice points at which the spectrum has a peak, one of each pair ±."""
    most = int(np.ceil(0.75 / np.linalg.norm(basis, axis=1).min()))
    i, j = np.meshgrid(np.arange(-most, most + 1), np.arange(-most, most + 1), indexing="ij")
    indices = np.stack([i.ravel(), j.ravel()], axis=1)
    places = indices @ basis
    half = (places[:, 1] > 0) | ((places[:, 1] == 0) & (places[:, 0] > 0))
    inside = half & (np.abs(places) < 0.48).all(axis=1)
    indices, places = indices[inside], places[inside]
    height, width = spectrum.power.shape
    row = np.round(places[:, 0] * height).astype(int)
    column = np.round(places[:, 1] / spectrum.frequency_x[0, 1]).astype(int)
    near = np.arange(-1, 2)
    peak = spectrum.contrast[
        (row[:, None, None] + near[None, :, None]) % height,
        (column[:, None, None] + near[None, None, :]).clip(0, width - 1),
    ].max(axis=(1, 2))
    return np.asarray(indices[peak >= REFLECTION_CONTRAST])
