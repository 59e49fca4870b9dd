"""How a search went: its population after each network, and where each network came from."""

from __future__ import annotations

from bisect import insort

import numpy as np
from numpy.typing import NDArray

from search.evaluation import Request

QUANTILES = (0.0, 0.25, 0.5, 0.75, 1.0)
KINDS = ("prior", "mutation", "crossover")


def population_quantiles(fitness: NDArray[np.float64], size: int) -> NDArray[np.float64]:
    """Quantiles (n, `QUANTILES`) of the `size` best of fitness (n,) up to and with each network.

    NaN is a network that failed: it changes nothing. Until there are `size` good ones, quantiles are NaN.
    """
    members: list[float] = []
    rows = np.full((len(fitness), len(QUANTILES)), np.nan)
    for number, value in enumerate(fitness.tolist()):
        if value == value:  # noqa: PLR0124 (NaN is not)
            insort(members, value)
            if len(members) > size:
                members.pop(0)
        if len(members) == size:
            rows[number] = [_quantile(members, share) for share in QUANTILES]
    return rows


def _quantile(ordered: list[float], share: float) -> float:
    """A quantile by linear interpolation; numpy's takes 50 times as long for so few."""
    place = share * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (place - below) * (ordered[above] - ordered[below])


def kind_of_origin(request: Request) -> str:
    """`prior`, `mutation` (of one parent) or `crossover` (of two); in the tuning `random` or `svm`."""
    return KINDS[len(request.parents)] if request.parents else request.origin
