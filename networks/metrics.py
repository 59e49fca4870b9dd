"""How well a network does, pixel by pixel, on the validation tiles."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

BINS = 200


def pixel_scores(probability: NDArray[np.float32], defect: NDArray[np.bool_]) -> dict[str, float]:
    """Scores of defect probabilities (n,) against the truth (n,), at the threshold of best F1.

    Gives `f1`, `iou`, `accuracy`, `balanced_accuracy` and the `threshold`. A network that answers
    the same everywhere has the F1 of calling everything a defect.
    """
    bins = np.clip((probability * BINS).astype(int), 0, BINS - 1)
    found = np.bincount(bins[defect], minlength=BINS)[::-1].cumsum()[::-1]
    false = np.bincount(bins[~defect], minlength=BINS)[::-1].cumsum()[::-1]
    positives, negatives = int(defect.sum()), int((~defect).sum())
    f1 = 2 * found / np.maximum(found + false + positives, 1)
    best = int(f1.argmax())
    hit, alarm = int(found[best]), int(false[best])
    return {
        "f1": float(f1[best]),
        "iou": hit / max(positives + alarm, 1),
        "accuracy": (hit + negatives - alarm) / max(positives + negatives, 1),
        "balanced_accuracy": (hit / max(positives, 1) + (negatives - alarm) / max(negatives, 1)) / 2,
        "threshold": best / BINS,
    }
