"""The columns of a frame one by one: how bright each is and how far from its place."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.sparse import coo_array, eye_array
from scipy.sparse.linalg import cg
from scipy.spatial import cKDTree

from analysis.columns.cell import UnitCell
from analysis.columns.phase import FloatArray, PhaseField, phase_field
from data_prep.errors import InputError
from data_prep.smoothing import gaussian

IntArray = NDArray[np.int64]
# Of the filter that columns are seen through, beside a column's own: a wide one averages more noise but sees more of
# bright neighbours, whose places are never known exactly.
FILTER = 0.6
REACH = 4.0  # widths within which columns overlap
DRAWN = 3.2  # widths as far as which a column is drawn: what is left there is less than a hundredth
NEIGHBOURS = 12  # columns of the same sublattice nearby, among which one is judged
FAINTEST = 0.3  # beside its neighbours: what is fainter has no place that could be told
LEAST_MEDIAN = 0.05  # of a sublattice, beside the brightest: a fainter one is not there, whatever its cell shows
# Of a frame's lattice beside its cell's: noise has a twentieth, a bent or half-open lattice more than half.
SHOWN, SHOWN_QUANTILE = 0.25, 0.9


@dataclass(frozen=True)
class Columns:
    """The columns of atoms in view of one frame.

    `positions` (n, 2): their places in px by the fitted lattice; `index` (n, 2): their cells, counted from one that
    differs from frame to frame; `sublattice` (n,): 0 is the brightest; `ratio` (n,): intensity beside the median of
    the same sublattice nearby, 1 for a perfect column, 0 for none; `displacement` (n, 2) in px from their places,
    NaN where there is too little to be seen; `height` (n,) of the Gaussian that each is taken for.
    """

    positions: FloatArray
    index: IntArray
    sublattice: IntArray
    ratio: FloatArray
    displacement: FloatArray
    height: FloatArray

    def __len__(self) -> int:
        return len(self.positions)


def measure_columns(levelled: NDArray[np.float32], cell: UnitCell) -> Columns:
    """Measure every column of a levelled frame (y, x).

    The frame is taken for a sum of Gaussians at the places of the lattice. Their heights follow from what a narrower
    Gaussian filter sees at these places: what neighbours add is solved for, so that a column is not brighter for a
    bright neighbour. The gradient there, without that of the neighbours, tells how far a column is off. Raises
    InputError if the frame does not show the lattice of the cell.
    """
    field = phase_field(levelled, cell.lattice)
    if np.quantile(field.amplitude, SHOWN_QUANTILE) < SHOWN * cell.amplitude():
        raise InputError("shows no lattice, or another one than the movie it belongs to")
    index, sublattice, positions = _places(field, cell, levelled.shape)
    width = FILTER * cell.width_px
    filtered = ndimage.spline_filter(gaussian(levelled, width) - cell.floor, order=3, mode="mirror")
    overlaps = _Overlaps(positions, float(np.hypot(width, cell.width_px)))
    height = overlaps.heights(_sample(filtered, positions))
    slope = np.stack([_sample(filtered, positions + s) - _sample(filtered, positions - s) for s in np.eye(2) / 2], 1)
    ratio = height / _nearby(height, positions, sublattice)
    seen = ratio >= FAINTEST
    off = np.full_like(positions, np.nan)
    off[seen] = overlaps.width**2 * (slope - overlaps.slopes(height))[seen] / height[seen, None]
    off[(np.abs(off) > cell.width_px).any(axis=1)] = np.nan
    for number in range(len(cell.columns)):  # what all of them share is the picture of a column, no displacement
        mine = (sublattice == number) & np.isfinite(off).all(axis=1)
        if mine.any():
            off[sublattice == number] -= np.median(off[mine], axis=0)
    return Columns(positions, index, sublattice, ratio, off, height * (overlaps.width / cell.width_px) ** 2)


def without_columns(levelled: NDArray[np.float32], columns: Columns, cell: UnitCell) -> NDArray[np.float32]:
    """What is left of a levelled frame (y, x) without its floor and all columns as they were measured."""
    reach = int(np.ceil(DRAWN * cell.width_px))
    steps = np.arange(-reach, reach + 1)
    nearest = np.round(columns.positions).astype(int)
    pixels = nearest[:, :, None] + steps  # (n, 2, steps)
    down, across = np.moveaxis(np.exp(-((pixels - columns.positions[:, :, None]) ** 2) / (2 * cell.width_px**2)), 1, 0)
    padded = np.array(levelled.shape) + 2 * reach
    at = (pixels[:, 0, :, None] + reach) * padded[1] + pixels[:, 1, None, :] + reach
    bells = columns.height[:, None, None] * down[:, :, None] * across[:, None, :]
    drawn = np.bincount(at.ravel(), bells.ravel(), minlength=int(padded.prod())).reshape(padded)
    return np.asarray(levelled - cell.floor - drawn[reach:-reach, reach:-reach], np.float32)


def _places(field: PhaseField, cell: UnitCell, shape: tuple[int, ...]) -> tuple[IntArray, IntArray, FloatArray]:
    """Cell (n, 2), sublattice (n,) and place (n, 2) of all columns in view."""
    last = np.array(shape) - 1.0
    edge = np.array([[y, x] for y in np.linspace(0, last[0], 9) for x in np.linspace(0, last[1], 9)])
    reached = field.at(edge)
    low, high = np.floor(reached.min(axis=0)).astype(int) - 1, np.ceil(reached.max(axis=0)).astype(int) + 2
    cells = np.stack(np.meshgrid(*(np.arange(a, b) for a, b in zip(low, high, strict=True)), indexing="ij"), -1)
    cells = cells.reshape(-1, 2)
    index = np.tile(cells, (len(cell.columns), 1))
    sublattice = np.repeat(np.arange(len(cell.columns)), len(cells))
    places = field.positions(index + cell.columns[sublattice])
    inside = ((places >= 0) & (places <= last)).all(axis=1)
    return index[inside], sublattice[inside], places[inside]


def _sample(spline: NDArray[np.floating], positions: FloatArray) -> FloatArray:
    return np.asarray(ndimage.map_coordinates(spline, positions.T, order=3, mode="mirror", prefilter=False), float)


class _Overlaps:
    """How Gaussians at positions (n, 2), all of one width and 1 high, overlap at their centres."""

    def __init__(self, positions: FloatArray, width: float) -> None:
        pairs = cKDTree(positions).query_pairs(REACH * width, output_type="ndarray")
        self.one, self.other = np.concatenate([pairs, pairs[:, ::-1]]).T
        self.apart = positions[self.one] - positions[self.other]
        self.share = np.exp(-(self.apart**2).sum(axis=1) / (2 * width**2))
        self.count, self.width = len(positions), width

    def heights(self, seen: FloatArray) -> FloatArray:
        """Heights (n,) whose sum is what is seen (n,) at the centres."""
        shared = coo_array((self.share, (self.one, self.other)), shape=(self.count, self.count)).tocsr()
        return np.asarray(cg(shared + eye_array(self.count), seen, x0=seen, rtol=1e-4)[0])

    def slopes(self, height: FloatArray) -> FloatArray:
        """The gradient (n, 2) at each centre that comes from all others."""
        pull = -self.apart * (self.share * height[self.other] / self.width**2)[:, None]
        return np.stack([np.bincount(self.one, part, minlength=self.count) for part in pull.T], axis=1)


def _nearby(height: FloatArray, positions: FloatArray, sublattice: IntArray) -> FloatArray:
    """Median height (n,) of the columns of the same sublattice around each."""
    around = np.ones_like(height)
    of_sublattice = {number: np.median(height[sublattice == number]) for number in np.unique(sublattice).tolist()}
    for number, overall in of_sublattice.items():
        mine = np.flatnonzero(sublattice == number)
        near = cKDTree(positions[mine]).query(positions[mine], k=min(NEIGHBOURS, len(mine)))[1]
        # In a hole there is nothing to compare with but the whole.
        around[mine] = np.maximum(np.median(height[mine][near.reshape(len(mine), -1)], axis=1), overall / 2)
    return np.asarray(np.maximum(around, LEAST_MEDIAN * max(of_sublattice.values())))
