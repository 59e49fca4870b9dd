"""What is looked at of each defect of a frame: its column, and a cut-out in which it stands alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from analysis.columns import Columns, UnitCell, measure_columns
from analysis.columns.measure import without_columns
from analysis.detections import Detections
from analysis.library.cutouts import ALONE_SIDE, SIDE, axes_of, cut_out, straight_axes
from analysis.margins import EDGE, from_edge
from data_prep.errors import InputError

ON_COLUMN = 0.4  # in lattice periods: a defect so near to the place of a column is one of that column
REFERENCES = 6  # perfect columns of each sublattice of a frame, to compare with
PERFECT = 0.25  # how far the intensity of such a column may be from 1


@dataclass(frozen=True)
class Views:
    """Cut-outs of a frame, see `analysis.library.cutouts`.

    `column` (n,): the column in which each defect is, -1 for none; `images` (n, side, side): each defect as it is;
    `alone` (n, small side, small side): without the columns around it. `reference` (m,): some columns that are perfect,
    with `reference_images` and `reference_alone`.
    """

    column: NDArray[np.int64]
    images: NDArray[np.float32]
    alone: NDArray[np.float32]
    reference: NDArray[np.int64]
    reference_images: NDArray[np.float32]
    reference_alone: NDArray[np.float32]


def views_of(levelled: NDArray[np.float32], columns: Columns, cell: UnitCell, found: Detections, seed: int) -> Views:
    """Look at the defects of a levelled frame (y, x), and at some perfect columns."""
    axes = axes_of(cell)
    period = cell.lattice.period_px
    left = without_columns(levelled, columns, cell)
    bell = np.exp(-(axes.grid(ALONE_SIDE) ** 2).sum(axis=-1) / (2 * cell.width_px**2))

    def cut(
        centres: NDArray[np.float64], heights: NDArray[np.float64]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        alone = cut_out(left, centres, axes, ALONE_SIDE) + heights[:, None, None] * bell
        return cut_out(levelled, centres, axes), np.asarray(alone, np.float32)

    column = columns_under(found, columns, ON_COLUMN * period)
    on_column = column >= 0
    centres = np.where(on_column[:, None], columns.positions[column], found.objects.positions)
    reference = _references(columns, column, levelled.shape, period, seed)
    return Views(
        column,
        *cut(centres, np.where(on_column, columns.height[column], 0.0)),
        reference,
        *cut(columns.positions[reference], columns.height[reference]),
    )


def columns_seen(levelled: NDArray[np.float32], cell: UnitCell | None) -> Columns | None:
    """The columns of a levelled frame (y, x); None where it does not show the movie's lattice, or there is none."""
    try:
        return None if cell is None else measure_columns(levelled, cell)
    except InputError:
        return None


def look(
    levelled: NDArray[np.float32],
    columns: Columns | None,
    cell: UnitCell | None,
    found: Detections,
    period_px: float,
    seed: int,
) -> Views:
    """What is looked at of the defects of a levelled frame (y, x).

    `cell` is that of the movie. A frame that does not show its columns is looked at without them. `period_px` is the
    lattice spacing by which it was levelled.
    """
    if columns is None or cell is None:
        return plain_views(levelled, found, period_px)
    return views_of(levelled, columns, cell, found, seed)


def plain_views(levelled: NDArray[np.float32], found: Detections, period_px: float) -> Views:
    """The same where no lattice is seen: defects as they are."""
    axes, nothing = straight_axes(period_px), np.zeros(0, np.int64)
    images, alone = (cut_out(levelled, found.objects.positions, axes, side) for side in (SIDE, ALONE_SIDE))
    return Views(np.full(len(found), -1), images, alone, nothing, images[:0], alone[:0])


def columns_under(found: Detections, columns: Columns, reach_px: float) -> NDArray[np.int64]:
    """The column (n,) in which each defect is: the nearest, each for one defect; -1 for none and for extended ones."""
    told = cKDTree(columns.positions).query(found.objects.positions.reshape(-1, 2))
    distance, nearest = np.asarray(told[0]), np.asarray(told[1])
    near = (distance <= reach_px) & ~found.objects.extended()
    taken = np.full(len(found), -1)
    for number in np.argsort(distance):
        if near[number] and nearest[number] not in taken:
            taken[number] = nearest[number]
    return taken


def _references(
    columns: Columns, with_defect: NDArray[np.int64], shape: tuple[int, ...], period_px: float, seed: int
) -> NDArray[np.int64]:
    """Numbers (m,) of columns that are as they should be and not at the edge."""
    good = (np.abs(columns.ratio - 1) < PERFECT) & (from_edge(columns.positions, shape) >= EDGE * period_px)
    good[with_defect[with_defect >= 0]] = False
    rng = np.random.default_rng(seed)
    chosen = [
        rng.choice(mine, min(REFERENCES, len(mine)), replace=False)
        for mine in (np.flatnonzero(good & (columns.sublattice == number)) for number in np.unique(columns.sublattice))
    ]
    return np.concatenate([np.zeros(0, np.int64), *chosen])
