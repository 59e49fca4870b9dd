"""Where to look next: windows of a frame, ranked for a measurement or an atomic manipulation.

Every window gets four terms between 0 and 1, and their geometric mean is its score:

- `lattice`: the share of its columns that are in order (as bright as their like nearby, and in their places), to the
  tenth power, as a tenth of the columns out of order is a lot. The wanted defect's own column does not count.
- `certainty`: 1 minus the root mean square, over its columns, of the entropy of the class probabilities beside its
  greatest value. A few columns of which the network is unsure weigh more than many of which it is nearly sure.
- `isolation`: the distance from the centre to the nearest other defect, hole or edge of the frame (beyond which
  nothing is known) beside the window's side, at most 1.
- `wanted`: the probability of the wanted class at the centre; 1 where no defect is wanted.

No window leaves the frame or touches a hole. With a wanted class each window is centred on one such defect; without,
it holds no defect at all.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import cKDTree

from analysis.survey import Survey
from data_prep.objects import LABEL_RADIUS, PEAK_DISTANCE, paint

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
LATTICE_POWER = 10
MOST_OVERLAP = 1 / 3  # of two windows in the list
STEPS_PER_PERIOD = 4  # of the corners at which windows without a defect are tried
SCORE = "geometric mean of the terms, each of them between 0 and 1"
TERMS = {
    "lattice": "share of the window's columns that are in order (as bright as those of their sublattice nearby and in "
    "their places; the wanted defect's own column does not count), to the tenth power",
    "certainty": "1 - root mean square over the columns of the entropy of the class probabilities beside its greatest",
    "isolation": "distance from the centre to the nearest other defect, hole or edge of the frame, beside the "
    "window's side; at most 1",
    "wanted": "probability of the wanted class at the centre; 1 where no defect is wanted",
}


@dataclass(frozen=True)
class Region:
    """A window of a frame.

    `terms` by their names; `corner` (y, x) of the first pixel and `side` in px; `centre` (y, x) in px;
    `nearest_px`: from there to the nearest other defect, hole or edge; `defect`: number of the wanted defect among
    the survey's detections, None for a clean window; `others`: those that also lie inside.
    """

    score: float
    terms: dict[str, float]
    corner: tuple[int, int]
    side: int
    centre: tuple[float, float]
    nearest_px: float
    defect: int | None
    others: tuple[int, ...]


@dataclass(frozen=True)
class _Windows:
    """Candidates: corners (n, 2), side in px, centres (n, 2), the defect (n,) at the centre or -1."""

    corners: IntArray
    side: int
    centres: FloatArray
    defects: IntArray

    def __getitem__(self, chosen: IntArray) -> _Windows:
        return _Windows(self.corners[chosen], self.side, self.centres[chosen], self.defects[chosen])


def rank_regions(survey: Survey, side: int, wanted: int | None, count: int) -> list[Region]:
    """The best windows of a frame, `side` px high and wide, the best first, at most `count`.

    `wanted` is the 1-based class of the defect to be at the centre, None for windows without defects. No two overlap
    by more than a third (greedy non-maximum suppression).
    """
    if wanted is None:
        windows, forbidden = _everywhere(survey, side), _anything(survey)
    else:
        windows, forbidden = _around(survey, side, wanted), survey.hole
    windows = windows[np.flatnonzero(_sums(forbidden, windows) == 0)]
    if not len(windows.corners):
        return []
    nearest = _nearest(survey, windows)
    terms = np.stack(
        [_lattice(survey, windows), _certainty(survey, windows), np.minimum(nearest / side, 1.0),
         _wanted(survey, windows, wanted)]
    )  # fmt: skip
    score = terms.prod(axis=0) ** (1 / len(terms))
    return [
        Region(
            float(score[i]),
            {name: float(value) for name, value in zip(TERMS, terms[:, i], strict=True)},
            (int(windows.corners[i, 0]), int(windows.corners[i, 1])),
            side,
            (float(windows.centres[i, 0]), float(windows.centres[i, 1])),
            float(nearest[i]),
            None if windows.defects[i] < 0 else int(windows.defects[i]),
            _others(survey, windows, i),
        )
        for i in _apart(score, windows, count)
    ]


def _around(survey: Survey, side: int, wanted: int) -> _Windows:
    """Windows centred on the point defects of a class, as far as they lie within the frame."""
    objects = survey.detections.objects
    chosen = np.flatnonzero((survey.detections.kinds == wanted) & ~objects.extended())
    centres = objects.positions[chosen]
    corners = np.round(centres - (side - 1) / 2).astype(np.int64)
    inside = ((corners >= 0) & (corners + side <= np.array(survey.shape))).all(axis=1)
    return _Windows(corners, side, centres, chosen)[np.flatnonzero(inside)]


def _everywhere(survey: Survey, side: int) -> _Windows:
    """Windows at all corners, a step apart; seen from any edge of the frame the steps are the same."""
    step = max(1, int(survey.period_px / STEPS_PER_PERIOD))
    down, across = (
        np.unique([(i, length - side - i) for i in range(0, length - side + 1, step)]) for length in survey.shape
    )
    corners = np.stack(np.meshgrid(down, across, indexing="ij"), axis=-1).reshape(-1, 2)
    return _Windows(corners, side, corners + (side - 1) / 2, np.full(len(corners), -1))


def _anything(survey: Survey) -> NDArray[np.bool_]:
    """Where (y, x) a clean window may not be: holes, and the columns of defects."""
    return survey.hole | (paint(survey.detections.objects, LABEL_RADIUS * survey.period_px) > 0)


def _lattice(survey: Survey, windows: _Windows) -> FloatArray:
    columns, good = (
        _sums(_placed(survey, weight), windows) for weight in (np.ones(len(survey.columns)), survey.in_order)
    )
    away, own = cKDTree(survey.columns).query(windows.centres)  # the number after the last, where there is none
    spared = (windows.defects >= 0) & (away <= PEAK_DISTANCE * survey.period_px)
    columns, good = columns - spared, good - (spared & np.append(survey.in_order, False)[own])
    return np.asarray((np.maximum(good, 0) / np.maximum(columns, 1)) ** LATTICE_POWER)


def _certainty(survey: Survey, windows: _Windows) -> FloatArray:
    columns = _sums(_placed(survey, np.ones(len(survey.columns))), windows)
    squares = _sums(_placed(survey, survey.doubt**2), windows)
    return np.asarray(1 - np.sqrt(np.maximum(squares, 0) / np.maximum(columns, 1)))


def _wanted(survey: Survey, windows: _Windows, wanted: int | None) -> FloatArray:
    if wanted is None:
        return np.ones(len(windows.corners))
    at = np.round(windows.centres).astype(int)
    return np.asarray(survey.maps[wanted, at[:, 0], at[:, 1]], float)


def _nearest(survey: Survey, windows: _Windows) -> FloatArray:
    """Distance (n,) in px from the centres to the nearest other defect, hole, or edge of the frame."""
    objects, centres = survey.detections.objects, windows.centres
    edge = np.minimum(centres + 0.5, np.array(survey.shape) - 0.5 - centres).min(axis=1)
    rim = survey.hole & ~ndimage.binary_erosion(survey.hole)
    obstacles = np.concatenate([objects.positions[~objects.extended()], np.argwhere(rim)])
    # The nearest to a wanted defect is itself; where there are too few, the distance is infinite.
    first, second = np.asarray(cKDTree(obstacles).query(centres, k=[1, 2])[0]).T
    return np.asarray(np.minimum(edge, np.where(windows.defects < 0, first, second)))


def _others(survey: Survey, windows: _Windows, number: int) -> tuple[int, ...]:
    from_corner = survey.detections.objects.positions - windows.corners[number] + 0.5
    inside = ((from_corner >= 0) & (from_corner < windows.side)).all(axis=1)
    return tuple(int(i) for i in np.flatnonzero(inside) if i != windows.defects[number])


def _placed(survey: Survey, weights: NDArray[np.generic]) -> FloatArray:
    """Weights (n,) of the columns, each in the pixel (y, x) of its column."""
    image = np.zeros(survey.shape)
    at = np.clip(np.round(survey.columns).astype(int), 0, np.array(survey.shape) - 1)
    np.add.at(image, (at[:, 0], at[:, 1]), weights)
    return image


def _sums(image: NDArray[np.generic], windows: _Windows) -> FloatArray:
    """Sum (n,) of an image (y, x) over each window (summed-area table)."""
    table = np.pad(np.asarray(image, float).cumsum(axis=0).cumsum(axis=1), ((1, 0), (1, 0)))
    (top, left), (bottom, right) = windows.corners.T, (windows.corners + windows.side).T
    return np.asarray(table[bottom, right] - table[top, right] - table[bottom, left] + table[top, left])


def _apart(score: FloatArray, windows: _Windows, count: int) -> list[int]:
    """The best windows, the best first, of which none overlaps a better one by more than `MOST_OVERLAP`."""
    left = np.where(score > 0, score, -1.0)
    chosen: list[int] = []
    while len(chosen) < count and left.max() > 0:
        best = int(left.argmax())
        chosen.append(best)
        shared = np.maximum(windows.side - np.abs(windows.corners - windows.corners[best]), 0).prod(axis=1)
        left[shared > MOST_OVERLAP * windows.side**2] = -1.0
    return chosen
