"""Exchange of two layers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from search.operators.slots import filled, join, split


def exchange_layers(genes: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    """Two layers in each other's place, if there are two.

    Source: Banzhaf, "The 'molecular' traveling salesman", Biological Cybernetics 64, 7-14, 1990 (exchange mutation).
    """
    training, slots = split(genes)
    layers = filled(slots)
    if len(layers) >= 2:
        one, other = rng.choice(layers, size=2, replace=False)
        slots[[one, other]] = slots[[other, one]]
    return join(training, slots)
