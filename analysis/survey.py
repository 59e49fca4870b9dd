"""What is known of a frame before one looks for a place in it: its columns, its defects, how sure the network is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from analysis.columns import Columns, fitted_cell, measure_columns
from analysis.detections import SMOOTHING, Detections, find_defects
from analysis.deviation import OF_NORMAL
from analysis.margins import from_edge
from data_prep.fourier.lattice import find_lattice
from data_prep.normalise import WIDTH_IN_PERIODS, background, local_contrast

# A column is in order within three standard deviations of its like, and within these at least: noise alone
# should make no defect, nor a frame without noise forbid the last percent.
DEVIATIONS = 3.0
LEAST_RATIO, LEAST_DISPLACEMENT = 0.15, 0.08  # of 1, and of a lattice period
LENGTH_TO_DEVIATION = 0.8493  # of the lengths of normal vectors in the plane
EDGE = 0.75  # periods: nearer to the edge of the frame a column's picture is cut, and it cannot be judged


@dataclass(frozen=True)
class Survey:
    """What is known of one frame.

    `maps` (class, y, x): probabilities, background first, `class_names` without it; `detections` in them;
    `columns` (n, 2): places in px of all columns but those at the frame's edge, `in_order` (n,): which are as those
    of a perfect lattice, `doubt` (n,): 0 where the network is sure of a column's class, 1 where all are equally
    likely; `hole` (y, x): where there is no lattice; `period_px`: spacing of the lattice planes; `note`: what the user
    should be told of it.
    """

    maps: NDArray[np.float32]
    class_names: tuple[str, ...]
    detections: Detections
    columns: NDArray[np.float64]
    in_order: NDArray[np.bool_]
    doubt: NDArray[np.float64]
    hole: NDArray[np.bool_]
    period_px: float
    note: str = ""

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the frame."""
        return self.hole.shape[0], self.hole.shape[1]


def survey_frame(
    frame: NDArray[np.generic],
    maps: NDArray[np.float32],
    class_names: tuple[str, ...],
    threshold: float,
    period_px: float,
) -> Survey:
    """Survey a frame (y, x) with the network's probabilities (class, y, x) for it.

    `threshold` and `period_px` are those by which the detector finds defects in frames of this pixel size; the
    columns follow from the frame's own lattice. Raises InputError if it shows none.
    """
    lattice = find_lattice(frame)
    detections = find_defects(maps, threshold, period_px)
    levelled = local_contrast(frame, lattice.period_px)
    columns = measure_columns(levelled, fitted_cell(levelled, lattice))
    whole = from_edge(columns.positions, frame.shape) >= EDGE * lattice.period_px
    vacuum = background(frame, lattice.period_px, WIDTH_IN_PERIODS)[1] == 0
    return Survey(
        maps,
        class_names,
        detections,
        columns.positions[whole],
        in_order(columns, lattice.period_px)[whole],
        doubt_at(maps, columns.positions[whole], period_px),
        vacuum | (detections.objects.regions > 0),
        lattice.period_px,
        lattice.note,
    )


def in_order(columns: Columns, period_px: float) -> NDArray[np.bool_]:
    """Which columns (n,) are as bright as those of their sublattice nearby, and in their places."""
    good = np.zeros(len(columns), bool)
    for number in np.unique(columns.sublattice):
        mine = columns.sublattice == number
        off = np.abs(columns.ratio[mine] - 1)
        away = np.linalg.norm(columns.displacement[mine], axis=1)
        bright = off <= max(DEVIATIONS * OF_NORMAL * np.median(off), LEAST_RATIO)
        usual = np.median(away[np.isfinite(away)]) if np.isfinite(away).any() else 0.0
        # The length of a vector has the tail of a normal distribution's square: a little more room.
        farthest = max((DEVIATIONS + 0.5) * LENGTH_TO_DEVIATION * usual, LEAST_DISPLACEMENT * period_px)
        good[mine] = bright & (away <= farthest)
    return good


def doubt_at(maps: NDArray[np.float32], positions: NDArray[np.float64], period_px: float) -> NDArray[np.float64]:
    """Entropy (n,) of the class probabilities (class, y, x) at positions (n, 2), beside its greatest value.

    The probabilities are smoothed as they are to find defects.
    """
    at = np.clip(np.round(positions).astype(int), 0, np.array(maps.shape[1:]) - 1)
    smooth = np.stack([ndimage.gaussian_filter(part, SMOOTHING * period_px)[at[:, 0], at[:, 1]] for part in maps])
    share = np.clip(smooth.astype(float), 1e-12, 1.0)
    return np.asarray(-(share * np.log(share)).sum(axis=0) / np.log(len(maps)))
