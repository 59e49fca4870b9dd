"""How a search went: its population after each network, and where each network came from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from search.evaluation import Evaluation, Request, Status
from search.evolution import STAGE
from search.population import Member, Population

QUANTILES = (0.0, 0.25, 0.5, 0.75, 1.0)
KINDS = ("prior", "mutation", "crossover")


@dataclass(frozen=True)
class Rules:
    """What a search chose by: its population, see `search.population.Population`, and the name of its score.

    `good_share` of the random sets of the tuning did well.
    """

    population: int
    fitness: str = "f1"
    lifetime: int | None = None
    good_share: float = 0.25


def population_quantiles(evaluations: Sequence[Evaluation], rules: Rules, at: Sequence[int]) -> NDArray[np.float64]:
    """Quantiles (n, `QUANTILES`) of the population's fitness after the evaluations of numbers `at` (n,), which rise.

    NaN until there is a population.
    """
    population = Population(rules.population, rules.lifetime)
    rows = np.full((len(at), len(QUANTILES)), np.nan)
    row = 0
    for number, evaluation in enumerate(evaluations):
        if evaluation.status is Status.OK:
            population.add(Member(evaluation.fitness, -number, b""))
        if row < len(at) and at[row] == number:
            if population.full:
                fitness = [member.fitness for member in population.members]
                rows[row] = [_quantile(fitness, share) for share in QUANTILES]
            row += 1
    return rows


def _quantile(ordered: list[float], share: float) -> float:
    """A quantile by linear interpolation; numpy's takes 50 times as long for so few."""
    place = share * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (place - below) * (ordered[above] - ordered[below])


def kind_of_origin(request: Request) -> str:
    """`prior`, `mutation` (of one parent) or `crossover` (of two); in the tuning `random` or `svm`."""
    return KINDS[len(request.parents)] if request.stage == STAGE else request.origin
