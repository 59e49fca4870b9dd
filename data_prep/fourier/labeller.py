"""Labels by the Fourier method: what departs from the lattice, darker and brighter."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from data_prep.fourier.filters import FloatFrame, Reference, filter_frame
from data_prep.fourier.lattice import Lattice
from data_prep.labels import IGNORE, LabelledFrame, from_objects
from data_prep.objects import PEAK_DISTANCE, Objects, disk_offsets, find_objects

# The lattice ends at the frame's edge, and what filters make of that reaches this far, in periods.
BORDER = 1.25

# Automatic thresholds, in robust standard deviations. Brighter is stricter: adatoms stand out
# far, and noise alone should give no label.
AUTO_DARKER, AUTO_BRIGHTER = 4.6, 6.5
# A column's image covers a quarter of a squared period above half its height; a hot pixel, which
# the filter widens to a column's width, half of that. What is smaller than this is cleaned away.
SMALLEST_AREA = 0.17
# The ideal lattice lacks some of what its neighbours lack (at most a tenth), so that they look as if
# they had too much. What is this faint beside an opposite departure so near, in periods, is such a ghost.
GHOST_SHARE, GHOST_REACH = 0.2, 3.0


@dataclass(frozen=True)
class FourierFilter:
    """The filter's settings: thresholds in robust standard deviations, and the reference.

    `darker` and `brighter` are separate, as a symmetric threshold hides vacancies beside
    bright adatoms; None means that side is not looked at.
    """

    darker: float | None = AUTO_DARKER
    brighter: float | None = AUTO_BRIGHTER
    reference: Reference = "lattice"

    def __str__(self) -> str:
        parts = (f"{value:g} {side}" for side, value in (("darker", self.darker), ("brighter", self.brighter)) if value)
        return f"Fourier method, {', '.join(parts)} (robust standard deviations)"


def departures(left: FloatFrame, settings: FourierFilter) -> FloatFrame:
    """How far each pixel (y, x) of a residual lies beyond its threshold: above 1 is a defect."""
    beyond = np.zeros_like(left)
    if settings.darker is not None:
        beyond = np.maximum(beyond, -left / settings.darker)
    if settings.brighter is not None:
        beyond = np.maximum(beyond, left / settings.brighter)
    return beyond


def objects_of(left: FloatFrame, settings: FourierFilter, period_px: float) -> Objects:
    """The defects in a residual (y, x), away from the frame's border."""
    beyond = departures(left, settings)
    found = find_objects(beyond, 1.0, period_px)
    at = np.round(found.positions).astype(int)
    large = _areas(beyond, at, period_px) >= SMALLEST_AREA * period_px**2
    ghosts = _ghosts(left, at, GHOST_REACH * period_px)
    inside = central(left.shape, period_px)[at[:, 0], at[:, 1]]
    return found.keep(inside & (large & ~ghosts | found.extended()))


def _ghosts(left: FloatFrame, at: NDArray[np.int64], reach_px: float) -> NDArray[np.bool_]:
    """Which peaks (n, 2) of a residual (y, x) are faint beside one of the other sign."""
    height = left[at[:, 0], at[:, 1]]
    pairs = cKDTree(at).query_pairs(reach_px, output_type="ndarray") if len(at) else np.zeros((0, 2), np.int64)
    ghosts = np.zeros(len(at), bool)
    for one, other in (pairs.T, pairs.T[::-1]):
        ghosts[one[(height[one] * height[other] < 0) & (abs(height[one]) < GHOST_SHARE * abs(height[other]))]] = True
    return ghosts


def _areas(beyond: FloatFrame, at: NDArray[np.int64], period_px: float) -> NDArray[np.int64]:
    """Pixels (n,) above half its height around each peak (n, 2) of a map (y, x), no further than its neighbours."""
    around = np.clip(at[:, None] + disk_offsets(PEAK_DISTANCE * period_px), 0, np.array(beyond.shape) - 1)
    height = beyond[at[:, 0], at[:, 1]]
    return np.asarray((beyond[around[..., 0], around[..., 1]] > height[:, None] / 2).sum(axis=1))


def fourier_objects(frame: NDArray[np.generic], settings: FourierFilter) -> Objects:
    """What the Fourier method finds in a frame (y, x), away from its border.

    Raises InputError if the frame shows no lattice.
    """
    steps = filter_frame(frame, settings.reference)
    return objects_of(steps.residual, settings, steps.lattice.period_px)


def from_fourier(frame: NDArray[np.generic], settings: FourierFilter, lattice: Lattice | None = None) -> LabelledFrame:
    """Labels of one frame (y, x) by the Fourier method, as classes `darker` and `brighter`.

    The lattice is found if it is not given. The frame's border is left unlabelled. Raises InputError if
    the frame shows no lattice.
    """
    steps = filter_frame(frame, settings.reference, lattice)
    period = steps.lattice.period_px
    found = objects_of(steps.residual, settings, period)
    dark = steps.residual[tuple(np.round(found.positions).astype(int).T)] < 0
    names = tuple(name for name, there in (("darker", dark.any()), ("brighter", (~dark).any())) if there)
    kinds = np.array([names.index("darker" if is_dark else "brighter") + 1 for is_dark in dark], np.int64)
    labels = from_objects(found, kinds, names, period, str(settings))
    labels.class_map[~central(frame.shape, period)] = IGNORE
    return labels


def central(shape: tuple[int, ...], period_px: float) -> NDArray[np.bool_]:
    """The pixels (y, x) that the Fourier method can say something about."""
    border = round(BORDER * period_px)
    inner = np.zeros(shape, bool)
    inner[border:-border, border:-border] = True
    return inner
