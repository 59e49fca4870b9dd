"""From probability maps to defects, and the threshold that decides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from analysis.plateau import on_plateau
from analysis.scores import match, overall_f1
from data_prep.labels import LabelledFrame
from data_prep.objects import Objects, find_objects

SMOOTHING = 0.14  # of the probability before peaks are sought, in lattice periods
THRESHOLDS = 1 / (1 + np.exp(-np.linspace(-4, 5, 46)))


@dataclass(frozen=True)
class Detections:
    """Defects of one frame: `objects` with peak probabilities as scores, `kinds` (n,) 1-based classes."""

    objects: Objects
    kinds: NDArray[np.int64]


def defect_score(maps: NDArray[np.float32], period_px: float) -> NDArray[np.float32]:
    """Smoothed probability (y, x) of any defect, from class probabilities (class, y, x)."""
    return np.asarray(ndimage.gaussian_filter(1 - maps[0], SMOOTHING * period_px), np.float32)


def find_defects(maps: NDArray[np.float32], threshold: float, period_px: float) -> Detections:
    """Defects in class probabilities (class, y, x); a defect's class is the likeliest at its centre."""
    objects = find_objects(defect_score(maps, period_px), threshold, period_px)
    at = np.clip(np.round(objects.positions).astype(int), 0, np.array(maps.shape[1:]) - 1)
    kinds = maps[1:, at[:, 0], at[:, 1]].argmax(axis=0) + 1 if len(objects) else np.zeros(0)
    return Detections(objects, np.asarray(kinds, np.int64))


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
