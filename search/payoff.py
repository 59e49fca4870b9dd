"""Does a predictor pay? How often the sets that it chose did well, beside random ones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from search.evaluation import Evaluation
from search.predictors import RANDOM


@dataclass(frozen=True)
class Payoff:
    """What came of the sets of a tuning.

    A set did well if its fitness is at least `threshold`, the least of the best share of the random sets. `base_rate`
    is the share of random sets that did well, `precision` that of chosen ones, `acceptance` how many of the sets
    that were looked at were chosen. None where there are no such sets.
    """

    random_sets: int
    chosen_sets: int
    threshold: float | None
    base_rate: float | None
    precision: float | None
    acceptance: float | None


class PayoffFold:
    """Adds up what came of sets: a fold over evaluations."""

    def __init__(self) -> None:
        self._random: list[float] = []
        self._chosen: list[float] = []
        self._draws = 0

    def add(self, evaluation: Evaluation) -> None:
        """Count one more evaluation; of what was lost with its worker nothing is known."""
        if evaluation.request.origin == RANDOM:
            self._random.append(evaluation.fitness)
        elif evaluation.draws:
            self._chosen.append(evaluation.fitness)
            self._draws += evaluation.draws

    def payoff(self, good_share: float) -> Payoff:
        """What came of them so far, if the best `good_share` of the random ones did well."""
        threshold = float(np.quantile(self._random, 1 - good_share)) if self._random else None
        return Payoff(
            len(self._random),
            len(self._chosen),
            threshold,
            _share(self._random, threshold),
            _share(self._chosen, threshold),
            len(self._chosen) / self._draws if self._draws else None,
        )


def _share(fitness: list[float], threshold: float | None) -> float | None:
    """The share of those that are at least the threshold."""
    return float(np.mean(np.array(fitness) >= threshold)) if fitness and threshold is not None else None


def interval(share: float, count: int) -> tuple[float, float]:
    """The 95 % interval of a share among `count`, by Wilson (J. Am. Stat. Assoc. 22, 209-212, 1927)."""
    z = 1.96
    centre = share + z**2 / (2 * count)
    half = z * (share * (1 - share) / count + z**2 / (4 * count**2)) ** 0.5
    return (centre - half) / (1 + z**2 / count), (centre + half) / (1 + z**2 / count)
