"""How well a network does, pixel by pixel, on the validation tiles."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

BINS = 200
SCORES = ("f1", "iou", "accuracy", "balanced_accuracy")


def class_scores(found: NDArray[np.integer], truth: NDArray[np.integer], classes: int) -> dict[str, float]:
    """Scores of found classes (n,) against true ones (n,), which count from 0.

    `f1`, `iou` and `balanced_accuracy` are means over the classes that are there; `accuracy` is
    the share that is right.
    """
    confusion = np.bincount(truth * classes + found, minlength=classes**2).reshape(classes, classes)
    right, true, called = np.diag(confusion), confusion.sum(axis=1), confusion.sum(axis=0)
    there = true > 0
    return {
        "f1": float((2 * right / np.maximum(true + called, 1))[there].mean()),
        "iou": float((right / np.maximum(true + called - right, 1))[there].mean()),
        "accuracy": float(right.sum() / max(len(truth), 1)),
        "balanced_accuracy": float((right / np.maximum(true, 1))[there].mean()),
    }


def pixel_scores(probability: NDArray[np.float32], defect: NDArray[np.bool_]) -> dict[str, float]:
    """Scores of defect probabilities (n,) against the truth (n,), each at the threshold where it is best.

    Gives `f1`, `iou`, `accuracy`, `balanced_accuracy` and `threshold`, that of the best F1. A network that
    answers the same everywhere has the F1 of calling everything a defect, and the accuracy of calling nothing one.
    """
    bins = np.clip((probability * BINS).astype(int), 0, BINS - 1)
    found = np.bincount(bins[defect], minlength=BINS)[::-1].cumsum()[::-1]
    false = np.bincount(bins[~defect], minlength=BINS)[::-1].cumsum()[::-1]
    positives, negatives = int(defect.sum()), int((~defect).sum())
    right, wrong = found / max(positives, 1), false / max(negatives, 1)
    f1 = 2 * found / np.maximum(found + false + positives, 1)
    best = int(f1.argmax())
    # Above the highest threshold nothing is called a defect: the answer of a network that has learnt nothing.
    accuracy = max(float((found + negatives - false).max()), negatives) / max(positives + negatives, 1)
    return {
        "f1": float(f1[best]),
        "iou": float((found / np.maximum(positives + false, 1)).max()),
        "accuracy": accuracy,
        "balanced_accuracy": float((right + 1 - wrong).max()) / 2,
        "threshold": best / BINS,
    }
