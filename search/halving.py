"""Training is stopped early where a network lags behind: asynchronous successive halving."""

from __future__ import annotations

from collections import deque

import numpy as np

from search.evaluation import Evaluation

SHARES = (0.25, 0.5)  # of the iterations, after which a network is looked at
KEEP = 0.5  # share of the networks that may go on at each
FEWEST, REMEMBERED = 8, 1000  # networks to compare with


class Halving:
    """Which score a network must have after which share of its iterations.

    The thresholds travel with the genome, so that a worker decides alone. Source: Li et al., "A system for massively
    parallel hyperparameter tuning", MLSys 2020, in the form that stops instead of pausing.
    """

    def __init__(self) -> None:
        self._scores = {share: deque[float](maxlen=REMEMBERED) for share in SHARES}

    def tell(self, evaluation: Evaluation) -> None:
        """Take in what a network scored on its way."""
        for share, score in zip(SHARES, evaluation.on_the_way, strict=False):
            self._scores[share].append(score)

    def thresholds(self) -> tuple[tuple[float, float], ...]:
        """Pairs of share and least score; while there is too little to compare with, any score will do."""
        return tuple(
            (share, float(np.quantile(scores, 1 - KEEP)) if len(scores) >= FEWEST else 0.0)
            for share, scores in self._scores.items()
        )
