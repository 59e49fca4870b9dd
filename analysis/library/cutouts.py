"""Cut-outs of defects: centred on their column, along the axes of the lattice."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from analysis.columns.cell import UnitCell

FloatArray = NDArray[np.float64]
SIDE = 25  # samples along a side
PER_PERIOD = 9  # samples in a lattice period: cut-outs of all movies have one scale
ALONE_SIDE = 13  # of the smaller cut-outs in which a column stands alone


@dataclass(frozen=True)
class Axes:
    """How cut-outs lie: `along` (2, 2), the steps (y, x) in px from one sample to the next down and across.

    The lattice's direction from the brightest column to the nearest one of the next bright sublattice is across, or
    where there is one sublattice the longer side of the cell, so that defects of one kind lie alike in all movies.
    """

    along: FloatArray

    def grid(self, side: int) -> FloatArray:
        """Steps (side, side, 2) in px from the centre to each sample of a cut-out."""
        down, across = np.mgrid[:side, :side] - (side - 1) / 2
        return np.asarray(down[..., None] * self.along[0] + across[..., None] * self.along[1])


def axes_of(cell: UnitCell) -> Axes:
    """The axes of cut-outs of a movie with this cell."""
    across = cell.lattice.vectors[0]
    if len(cell.columns) > 1:
        step = cell.columns[1] - cell.columns[0]
        cells = np.stack(np.meshgrid([-1, 0, 1], [-1, 0, 1], indexing="ij"), -1).reshape(-1, 2)
        ways = (step - np.round(step) + cells) @ cell.lattice.vectors
        across = ways[np.linalg.norm(ways, axis=1).argmin()]
    across = across / np.linalg.norm(across) * cell.lattice.period_px / PER_PERIOD
    return Axes(np.array([[across[1], -across[0]], across]))


def straight_axes(period_px: float) -> Axes:
    """The axes of cut-outs where no lattice is seen: those of the frame."""
    return Axes(np.eye(2) * period_px / PER_PERIOD)


def cut_out(levelled: NDArray[np.float32], centres: FloatArray, axes: Axes, side: int = SIDE) -> NDArray[np.float32]:
    """Cut-outs (n, side, side) of a levelled frame (y, x) around centres (n, 2); beyond its edges it is mirrored."""
    if not len(centres):
        return np.zeros((0, side, side), np.float32)
    places = centres[:, None, None] + axes.grid(side)
    return np.asarray(ndimage.map_coordinates(levelled, np.moveaxis(places, -1, 0), order=1, mode="mirror"), np.float32)


def operations(cell: UnitCell, axes: Axes) -> FloatArray:
    """The symmetry of the lattice as operations (m, 2, 2) on steps (down, across) in a cut-out."""
    to_px = axes.along
    return np.stack([to_px @ turn @ np.linalg.inv(to_px) for turn in cell.turns()])
