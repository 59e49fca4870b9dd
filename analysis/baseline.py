"""The Fourier filter as it is used by hand: tuned on one frame, then applied to the rest."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from analysis.scores import match, matching_f1
from data_prep.fourier import FourierFilter, departures, residual
from data_prep.labels import LabelledFrame
from data_prep.objects import find_objects

CANDIDATES = np.arange(1.4, 8.01, 0.2)


def tune_fourier(frame: NDArray[np.generic], truth: LabelledFrame, period_px: float) -> FourierFilter:
    """The filter with the best detection F1 on a labelled frame (y, x).

    First the threshold for darker spots, then, where it helps, one for brighter ones.
    """
    left = residual(frame, period_px)

    def f1(darker: float, brighter: float | None) -> float:
        beyond = departures(left, FourierFilter(period_px, darker, brighter))
        return matching_f1(match(find_objects(beyond, 1.0, period_px), truth, period_px))

    darker = max(CANDIDATES, key=lambda threshold: f1(threshold, None))
    alone = f1(darker, None)
    brighter = max(CANDIDATES[::2], key=lambda threshold: f1(darker, threshold))
    return FourierFilter(period_px, float(darker), float(brighter) if f1(darker, brighter) > alone else None)
