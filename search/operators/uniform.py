"""Uniform crossover."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from networks.genes import HEADER, SLOT
from networks.space import SLOTS


def uniform(first: NDArray[np.int64], second: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    """Each training gene, and each slot as a whole, from either parent with the same chance.

    Source: Syswerda, "Uniform crossover in genetic algorithms", ICGA 3, 2-9, 1989.
    """
    units = rng.random(HEADER + SLOTS) < 0.5
    from_first = np.concatenate([units[:HEADER], np.repeat(units[HEADER:], SLOT)])
    return np.where(from_first, first, second)
