"""Columns that the network passes over although their intensity is none of a perfect column."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from analysis.columns import Columns
from analysis.detections import Detections, defect_score
from analysis.deviation import robust_deviation
from analysis.margins import EDGE, RIM, from_edge, from_holes
from data_prep.objects import Objects

ODD = "odd column"  # what it is called before anything is known of it
DEVIATIONS = 5.0  # standard deviations of the columns of a sublattice: of a million perfect ones, one is so far off
APART = 0.55  # in lattice periods: nearer to a find of the network, it is that one
AROUND = 12  # neighbours
ORDINARY = 0.75  # share of them that are no outliers: where more are, it is not the column that is odd


def with_outliers(
    found: Detections, columns: Columns | None, maps: NDArray[np.float32], period_px: float
) -> Detections:
    """What was found in class probabilities (class, y, x), and after it the columns whose intensity stands out.

    These are further from the median of their sublattice than perfect columns are (by the median absolute deviation,
    which defects do not widen), on an orderly lattice, and neither at the frame's edge nor beside a hole. Their class
    and area are 0, their probability is that at their place. `columns` is None where no lattice is seen.
    """
    odd = np.zeros(0, np.int64) if columns is None else _odd(columns, found, period_px)
    if columns is None or not len(odd):
        return found
    positions = columns.positions[odd]
    at = tuple(np.round(positions).astype(int).T)
    seen = defect_score(maps, period_px)[at].astype(float)
    objects = found.objects
    return Detections(
        Objects(
            np.concatenate([objects.positions.reshape(-1, 2), positions]),
            np.concatenate([objects.scores, seen]),
            objects.regions,
        ),
        np.concatenate([found.kinds, np.zeros(len(odd), np.int64)]),
        np.concatenate([found.areas_px, np.zeros(len(odd), np.int64)]),
        np.concatenate([found.mean_probability, seen]),
    )


def _odd(columns: Columns, found: Detections, period_px: float) -> NDArray[np.int64]:
    """Numbers of the columns that stand out and are none of those found."""
    off = np.zeros(len(columns))
    for number in np.unique(columns.sublattice).tolist():
        mine = columns.sublattice == number
        ratio = columns.ratio[mine]
        off[mine] = np.abs(ratio - np.median(ratio)) / max(float(robust_deviation(ratio)), 1e-9)
    far = off > DEVIATIONS
    if not far.any():
        return np.zeros(0, np.int64)
    regions = found.objects.regions
    judged = from_edge(columns.positions, regions.shape) >= EDGE * period_px
    judged &= from_holes(columns.positions, regions) > RIM * period_px
    if len(found):
        judged &= np.asarray(cKDTree(found.objects.positions).query(columns.positions)[0]) > APART * period_px
    odd = np.flatnonzero(far & judged)
    nearest = min(AROUND + 1, len(columns))
    around = np.asarray(cKDTree(columns.positions).query(columns.positions[odd], k=nearest)[1])
    crowded = far[around.reshape(len(odd), nearest)[:, 1:]].mean(axis=1) > 1 - ORDINARY
    return np.asarray(odd[~crowded])
