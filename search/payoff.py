"""Does a predictor pay? How often the sets that it chose did well, beside random ones."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from search.evaluation import Evaluation, Status
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


def payoff(evaluations: Iterable[Evaluation], good_share: float) -> Payoff:
    """What came of the sets among the evaluations; of what was lost with its worker nothing is known."""
    random, chosen, draws = [], [], 0
    for evaluation in evaluations:
        fitness = evaluation.fitness if evaluation.status is Status.OK else 0.0
        if evaluation.request.origin == RANDOM:
            random.append(fitness)
        elif evaluation.draws:
            chosen.append(fitness)
            draws += evaluation.draws
    threshold = float(np.quantile(random, 1 - good_share)) if random else None
    return Payoff(
        len(random),
        len(chosen),
        threshold,
        _share(random, threshold),
        _share(chosen, threshold),
        len(chosen) / draws if draws else None,
    )


def _share(fitness: list[float], threshold: float | None) -> float | None:
    """The share of those that are at least the threshold."""
    return float(np.mean(np.array(fitness) >= threshold)) if fitness and threshold is not None else None
