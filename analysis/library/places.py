"""Where defects are: on which sublattice, off the lattice, or over many columns; kinds are told apart within these."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.margins import RIM, from_holes
from analysis.results import FrameResult

EXTENDED, OFF_LATTICE = -2, -1  # beside the sublattices 0, 1, ...


@dataclass(frozen=True)
class Placed:
    """The network's defects of a frame: `place` (n,) of each, `ratio` (n,) of its column, NaN without one."""

    place: NDArray[np.int64]
    ratio: NDArray[np.float64]


def placed(result: FrameResult) -> Placed:
    """Where the defects of a frame are."""
    assert result.network is not None  # noqa: S101 (a frame that was read)
    assert result.views is not None  # noqa: S101
    column = result.views.column
    place = np.full(len(column), OFF_LATTICE)
    ratio = np.full(len(column), np.nan)
    if result.columns is not None:
        on_column = column >= 0
        place[on_column] = result.columns.sublattice[column[on_column]]
        ratio[on_column] = result.columns.ratio[column[on_column]]
    place[result.network.objects.extended()] = EXTENDED
    return Placed(place, ratio)


def beside_hole(result: FrameResult) -> NDArray[np.bool_]:
    """Which of a frame's point defects (n,) are so near to an extended one that their column cannot be judged."""
    assert result.network is not None  # noqa: S101 (a frame that was read)
    objects = result.network.objects
    near = from_holes(objects.positions, objects.regions) <= RIM * result.period_px
    return np.asarray(~objects.extended() & near)


def place_name(place: int) -> str:
    """A, B, ... of the sublattices, the brightest first; "" elsewhere."""
    return chr(ord("A") + place) if place >= 0 else ""
