"""Which cell of a frame is which of the sample: drift, from the lattice itself."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from analysis.columns import Columns, UnitCell

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
MEMORY = 0.7  # of the pattern of defects from one frame to the next
CHANCE = 1e-3  # that patterns which have nothing to do with one another match as well at as small a shift
DEFICIT = (0.15, 1.2)  # of intensity: what is less is noise, what is more is no more telling


@dataclass
class Aligner:
    """Gives every cell the number that it has in the first frame.

    The lattice tells drift but for whole cells. These follow from the pattern of defects, which stays from frame to
    frame: the shift at which it matches best. Where no match stands out, as with a defect or two that may have moved
    themselves, drift is taken to be the least since the last frame.
    """

    cell: UnitCell
    _pattern: NDArray[np.float64] | None = None
    _corner: IntArray | None = None
    _origin: FloatArray | None = None
    _drift: FloatArray | None = None

    def align(self, columns: Columns) -> tuple[IntArray, FloatArray]:
        """Cells (n, 2) of a frame's columns as numbered in the first frame, and its drift (2,) in px since then.

        Frames come in order.
        """
        straight = (
            columns.positions - (columns.index + self.cell.columns[columns.sublattice]) @ self.cell.lattice.vectors
        )
        offset = np.median(straight, axis=0)
        if self._origin is None or self._drift is None:
            self._origin, self._drift = offset, np.zeros(2)
            self._remember(columns, columns.index)
            return columns.index, self._drift
        ahead = offset - self._origin - self._drift
        least = np.round(ahead @ np.linalg.inv(self.cell.lattice.vectors)).astype(np.int64)
        shift = self._matched(columns, least)
        self._drift = offset - self._origin - shift @ self.cell.lattice.vectors
        cells = columns.index + shift
        self._remember(columns, cells)
        return cells, self._drift

    def place(self, cells: IntArray, sublattice: IntArray) -> FloatArray:
        """Places (n, 2) in px of columns in the first frame, whether in view there or not."""
        origin = np.zeros(2) if self._origin is None else self._origin
        return np.asarray((cells + self.cell.columns[sublattice]) @ self.cell.lattice.vectors + origin)

    def _matched(self, columns: Columns, least: IntArray) -> IntArray:
        """The shift of cells at which a frame's pattern fits that of the frames before; `least` if none stands out."""
        assert self._pattern is not None  # noqa: S101 (the first frame has been seen)
        assert self._corner is not None  # noqa: S101
        low = columns.index.min(axis=0)
        size = columns.index.max(axis=0) - low + 1
        here = self._spread(columns, columns.index, low, size)
        shape = [fft.next_fast_len(int(a + b), real=True) for a, b in zip(size, self._pattern.shape[1:], strict=True)]
        spectra = fft.rfft2(np.nan_to_num(self._pattern), s=shape) * np.conj(fft.rfft2(np.nan_to_num(here), s=shape))
        match = fft.irfft2(spectra.sum(axis=0), s=shape)
        best = np.array(np.unravel_index(match.argmax(), match.shape))
        best = np.where(best > np.array(self._pattern.shape[1:]), best - shape, best)  # what wraps is negative
        shift = np.asarray(best + self._corner - low, np.int64)
        nearer = (2 * int(np.abs(shift - least).max()) + 1) ** 2
        chance = nearer * _by_chance(float(match.max()), self._pattern[np.isfinite(self._pattern)], here[here > 0])
        return shift if chance < CHANCE else least

    def _spread(self, columns: Columns, cells: IntArray, low: IntArray, size: IntArray) -> NDArray[np.float64]:
        """How far from perfect each column's intensity is, as (sublattice, cell, cell); NaN where none is seen."""
        deficit = np.abs(1 - columns.ratio)
        deficit = np.where(deficit > DEFICIT[0], np.minimum(deficit, DEFICIT[1]), 0)
        grid = np.full((len(self.cell.columns), *size), np.nan)
        grid[columns.sublattice, *(cells - low).T] = deficit
        return grid

    def _remember(self, columns: Columns, cells: IntArray) -> None:
        low, high = cells.min(axis=0), cells.max(axis=0)
        if self._pattern is not None and self._corner is not None:
            low = np.minimum(low, self._corner)
            high = np.maximum(high, self._corner + np.array(self._pattern.shape[1:]) - 1)
        pattern = self._spread(columns, cells, low, high - low + 1)
        if self._pattern is not None and self._corner is not None:
            first = self._corner - low
            part = np.s_[:, *(slice(a, a + n) for a, n in zip(first, self._pattern.shape[1:], strict=True))]
            old = np.full_like(pattern, np.nan)
            old[part] = self._pattern
            both = MEMORY * old + (1 - MEMORY) * pattern
            pattern = np.where(np.isnan(both), np.fmax(old, pattern), both)
        self._pattern, self._corner = pattern, low


def _by_chance(match: float, pattern: FloatArray, here: FloatArray) -> float:
    """How likely a pattern of columns (n,) is matched as well by the imperfect ones (m,) of a frame by chance.

    They meet at random: a Poisson process, each meeting of the typical weight.
    """
    from scipy.special import gammainc

    both = pattern.sum() * here.sum()
    if not both or match <= 0:
        return 1.0
    weight = (pattern**2).sum() * (here**2).sum() / both
    return float(gammainc(match / weight, both / len(pattern) / weight))
