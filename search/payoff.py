"""Does a predictor pay? How often the sets that it chose did well, beside random ones."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from search.evaluation import Evaluation
from search.predictors import RANDOM
from search.predictors.predictor import least_good
from search.predictors.svm import Svm


@dataclass(frozen=True)
class Payoff:
    """What came of the sets of a tuning.

    A set did well if its fitness is at least `threshold`, the least of the best share of the random sets. `base_rate`
    is the share of random sets that did well, `precision` that of chosen ones. Of an SVM, which accepts or rejects:
    `acceptance` is how many it accepted of the sets that were looked at; `rejected` how many were evaluated though it
    had accepted none, and `accepted_precision` is the precision without those. None where there are no such sets.
    """

    random_sets: int
    chosen_sets: int
    threshold: float | None
    base_rate: float | None
    precision: float | None
    acceptance: float | None
    rejected: int
    accepted_precision: float | None


class PayoffFold:
    """Adds up what came of sets: a fold over evaluations."""

    def __init__(self) -> None:
        self._random: list[float] = []
        self._chosen: list[float] = []
        self._accepted: list[float] = []
        self._draws = 0

    def add(self, evaluation: Evaluation) -> None:
        """Count one more evaluation; of what was lost with its worker nothing is known."""
        origin = evaluation.request.origin
        if origin == RANDOM:
            self._random.append(evaluation.fitness)
        elif evaluation.draws:
            self._chosen.append(evaluation.fitness)
            if origin == Svm.name:
                self._draws += evaluation.draws
                if not evaluation.rejected:
                    self._accepted.append(evaluation.fitness)

    def payoff(self, good_share: float) -> Payoff:
        """What came of them so far, if the best `good_share` of the random ones did well."""
        threshold = least_good(np.array(self._random), good_share) if self._random else math.inf

        def share(fitness: list[float]) -> float | None:
            return float(np.mean(np.array(fitness) >= threshold)) if fitness and self._random else None

        return Payoff(
            len(self._random),
            len(self._chosen),
            threshold if math.isfinite(threshold) else None,
            share(self._random),
            share(self._chosen),
            len(self._accepted) / self._draws if self._draws else None,
            len(self._chosen) - len(self._accepted) if self._draws else 0,
            share(self._accepted),
        )


def interval(share: float, count: int) -> tuple[float, float]:
    """The 95 % interval of a share among `count`, by Wilson (J. Am. Stat. Assoc. 22, 209-212, 1927)."""
    z = 1.96
    centre = share + z**2 / (2 * count)
    half = z * (share * (1 - share) / count + z**2 / (4 * count**2)) ** 0.5
    return (centre - half) / (1 + z**2 / count), (centre + half) / (1 + z**2 / count)
