"""From probability maps to defects, and the threshold that decides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from analysis.plateau import on_plateau
from analysis.scores import match, overall_f1
from data_prep.labels import LabelledFrame
from data_prep.objects import LABEL_RADIUS, Objects, disk_offsets, find_objects, paint

SMOOTHING = 0.14  # of the probability before peaks are sought, in lattice periods
THRESHOLDS = 1 / (1 + np.exp(-np.linspace(-4, 5, 46)))
CENTRE_WIDTH = 0.25  # of the Gaussian by which a defect's centre is found to a fraction of a pixel, in periods
CENTRE_STEPS = 6


@dataclass(frozen=True)
class Detections:
    """Defects of one frame.

    `objects` with peak probabilities as scores, `kinds` (n,) 1-based classes, `areas_px` (n,) in pixels, and the
    `mean_probability` (n,) there. A pixel belongs to one defect, see `find_defects`. Class 0 is what the network passed
    over, see `analysis.outliers`.
    """

    objects: Objects
    kinds: NDArray[np.int64]
    areas_px: NDArray[np.int64]
    mean_probability: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.objects)

    @property
    def by_network(self) -> NDArray[np.bool_]:
        """Which of them (n,) the network found."""
        return np.asarray(self.kinds > 0)


def defect_score(maps: NDArray[np.float32], period_px: float) -> NDArray[np.float32]:
    """Smoothed probability (y, x) of any defect, from class probabilities (class, y, x)."""
    return np.asarray(ndimage.gaussian_filter(1 - maps[0], SMOOTHING * period_px), np.float32)


def find_defects(maps: NDArray[np.float32], threshold: float, period_px: float) -> Detections:
    """Defects in class probabilities (class, y, x); a defect's class is the likeliest at its centre.

    A point defect has its place to a fraction of a pixel, and the pixels above the threshold that are nearest to it, no
    further away than a column reaches; an extended one has those of its region. Probabilities are smoothed.
    """
    score = defect_score(maps, period_px)
    objects = find_objects(score, threshold, period_px)
    objects = replace(objects, positions=_centred(score, objects, period_px))
    at = np.clip(np.round(objects.positions).astype(int), 0, np.array(maps.shape[1:]) - 1)
    kinds = maps[1:, at[:, 0], at[:, 1]].argmax(axis=0) + 1 if len(objects) else np.zeros(0)
    owner = paint(objects, 2 * LABEL_RADIUS * period_px)
    owner = np.where((score > threshold) | (objects.regions > 0), owner, 0).ravel()
    areas = np.bincount(owner, minlength=len(objects) + 1)[1:]
    total = np.bincount(owner, score.ravel(), minlength=len(objects) + 1)[1:]
    mean = np.where(areas > 0, total / np.maximum(areas, 1), objects.scores)
    return Detections(objects, np.asarray(kinds, np.int64), areas, mean)


def _centred(score: NDArray[np.float32], objects: Objects, period_px: float) -> NDArray[np.float64]:
    """Positions (n, 2) of objects, those of point objects moved to the top of the score to a fraction of a pixel.

    Source: mean shift, Fukunaga and Hostetler, IEEE Trans. Inf. Theory 21, 32 (1975).
    """
    points = ~objects.extended()
    start = objects.positions[points]
    width = CENTRE_WIDTH * period_px
    pixels = np.round(start).astype(int)[:, None] + disk_offsets(2.5 * width)
    inside = ((pixels >= 0) & (pixels < score.shape)).all(axis=2)
    seen = np.where(inside, score[tuple(np.moveaxis(np.clip(pixels, 0, np.array(score.shape) - 1), 2, 0))], 0)
    centres = start
    for _ in range(CENTRE_STEPS):
        weight = seen * np.exp(-((pixels - centres[:, None]) ** 2).sum(axis=2) / (2 * width**2))
        centres = (weight[..., None] * pixels).sum(axis=1) / weight.sum(axis=1, keepdims=True)
    positions = objects.positions.copy()
    positions[points] = np.where(np.linalg.norm(centres - start, axis=1, keepdims=True) <= width, centres, start)
    return positions


def choose_threshold(
    regions: Sequence[tuple[NDArray[np.float32], LabelledFrame]], period_px: float
) -> tuple[float, float]:
    """Threshold for detection scores (y, x), and its detection F1 over these, the validation, regions.

    Of all thresholds that are as good as we can tell, one is taken by the rule of `plateau.on_plateau`.
    """

    def f1(threshold: float) -> float:
        return overall_f1(match(find_objects(s, threshold, period_px), truth, period_px) for s, truth in regions)

    curve = np.array([f1(threshold) for threshold in THRESHOLDS])
    chosen = on_plateau(curve, sum(len(truth.objects) for _, truth in regions))
    return float(THRESHOLDS[chosen]), float(curve[chosen])
