"""Where in its cell each place of a frame lies, however the lattice is bent: geometric phase analysis."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from data_prep.fourier.lattice import Lattice

FloatArray = NDArray[np.float64]
WIDTH_IN_PERIODS = 3.0  # of the Gaussian that averages the lattice: defects do not bend it, drift and lenses do
STEP_IN_PERIODS = 1.5  # of the grid on which phases are kept
FAINT = 0.25  # beside the median amplitude: where less of the lattice is seen, its phase is that nearby


@dataclass(frozen=True)
class PhaseField:
    """The phases of a frame's two basis reflections on a coarse grid.

    `cells` (2, y, x): phase / 2 pi at rows `rows` (y,) and columns `columns` (x,), beyond that of the straight lattice;
    `amplitude` (y, x) of the weaker of both.
    """

    lattice: Lattice
    rows: FloatArray
    columns: FloatArray
    cells: FloatArray
    amplitude: FloatArray

    def at(self, positions: FloatArray) -> FloatArray:
        """Cell coordinates (n, 2) of positions (n, 2) in px: integers at the lattice's points."""
        return positions @ self.lattice.basis.T + self.bend(positions)

    def bend(self, positions: FloatArray) -> FloatArray:
        """What bending adds to the cell coordinates (n, 2) of positions (n, 2)."""
        step = [self.rows[1] - self.rows[0], self.columns[1] - self.columns[0]]
        places = ((positions - [self.rows[0], self.columns[0]]) / step).T
        return np.stack([ndimage.map_coordinates(part, places, order=1, mode="nearest") for part in self.cells], axis=1)

    def grid(self, shape: tuple[int, int]) -> tuple[FloatArray, FloatArray]:
        """Cell coordinates of every pixel: two images (y, x)."""
        down, across = _bilinear(np.arange(shape[0]), self.rows), _bilinear(np.arange(shape[1]), self.columns)
        y, x = np.arange(shape[0])[:, None], np.arange(shape[1])[None, :]
        first, second = (
            down @ part @ across.T + vector[0] * y + vector[1] * x
            for part, vector in zip(self.cells, self.lattice.basis, strict=True)
        )
        return first, second

    def positions(self, cells: FloatArray) -> FloatArray:
        """Positions (n, 2) in px of cell coordinates (n, 2), by fixed-point iteration."""
        vectors = self.lattice.vectors
        places = cells @ vectors
        for _ in range(4):  # bends are slight: each step makes the error a tenth or less
            places = (cells - self.bend(places)) @ vectors
        return np.asarray(places)


def phase_field(levelled: NDArray[np.float32], lattice: Lattice) -> PhaseField:
    """The phases of the two basis reflections over a levelled frame (y, x).

    Source: Hytch, Snoeck and Kilaas, "Quantitative measurement of displacement and strain fields from HREM
    micrographs", Ultramicroscopy 74, 131 (1998). Carrier and Gaussian are separable, so that a phase costs two
    products of matrices.
    """
    period = lattice.period_px
    rows, columns = (_grid(length, STEP_IN_PERIODS * period) for length in levelled.shape)
    waves = []
    for vector in lattice.basis:
        down, across = (
            _carrier(length, places, wave, WIDTH_IN_PERIODS * period)
            for length, places, wave in zip(levelled.shape, (rows, columns), vector, strict=True)
        )
        half = down.real @ levelled + 1j * (down.imag @ levelled)  # in real numbers, which takes half the time
        waves.append(half @ across.T)
    amplitude = np.abs(np.array(waves)).min(axis=0)
    faint = amplitude < FAINT * np.median(amplitude)
    cells = np.stack([_unwrapped(np.angle(wave).astype(float), faint) for wave in waves]) / (2 * np.pi)
    return PhaseField(lattice, rows, columns, cells, amplitude)


def _grid(length: int, step: float) -> FloatArray:
    return np.linspace(0, length - 1, max(2, round(length / step)))


def _carrier(length: int, places: FloatArray, wave: float, sigma: float) -> NDArray[np.complex64]:
    """Weights (places, length) of pixels in the Gaussian mean around each place, times the wave that is looked for."""
    pixels = np.arange(length)
    weight = np.exp(-((pixels - places[:, None]) ** 2) / (2 * sigma**2))
    weight /= weight.sum(axis=1, keepdims=True)
    return np.asarray(weight * np.exp(-2j * np.pi * wave * pixels), np.complex64)


def _unwrapped(phase: FloatArray, faint: NDArray[np.bool_]) -> FloatArray:
    """Phases (y, x) without jumps; where they are `faint`, those of the nearest place that is not."""
    from skimage.restoration import unwrap_phase

    if not faint.any():
        return np.asarray(unwrap_phase(phase, rng=0))  # type: ignore[no-untyped-call]
    if faint.all():
        return np.zeros_like(phase)
    smooth = np.asarray(unwrap_phase(np.ma.array(phase, mask=faint), rng=0).filled(0.0))  # type: ignore[no-untyped-call]
    nearest = ndimage.distance_transform_edt(faint, return_distances=False, return_indices=True)
    return np.asarray(smooth[tuple(nearest)])


def _bilinear(pixels: NDArray[np.int64], places: FloatArray) -> FloatArray:
    """Weights (pixels, places) that interpolate linearly between places of even step."""
    at = pixels / (places[1] - places[0])
    weights = 1 - np.abs(at[:, None] - np.arange(len(places)))
    return np.asarray(np.clip(weights, 0, None))
