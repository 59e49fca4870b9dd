"""Which of several thresholds to take, when many are as good as we can tell."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# Where between the ends of the plateau of F1 the threshold is put. Towards its upper end: frames
# with fewer defects than the labelled one have as many chances of a false alarm.
POSITION = 0.8


def on_plateau(curve: NDArray[np.float64], count: int) -> int:
    """Index of the threshold to take, from F1 (n,) at rising thresholds, measured on `count` defects.

    All whose F1 is within one standard error of the best are as good as we can tell (the
    one-standard-error rule of Breiman et al., Classification and Regression Trees, 1984);
    of them the one at `POSITION` is taken.
    """
    best = float(curve.max())
    error = np.sqrt(best * (1 - best) / max(1, count))
    good = np.flatnonzero(curve >= best - error)
    return int(good[round(POSITION * (len(good) - 1))])
