"""Two-point crossover."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from networks.genes import slot_start
from networks.space import SLOTS


def two_point(first: NDArray[np.int64], second: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    """The first parent, with the slots between two boundaries from the second.

    The training genes come from the first. Source: De Jong, "An analysis of the behavior of a class of genetic
    adaptive systems", PhD thesis, University of Michigan, 1975, section 4.6.
    """
    low, high = sorted(rng.choice(SLOTS + 1, size=2, replace=False).tolist())
    child = first.copy()
    child[slot_start(low) : slot_start(high)] = second[slot_start(low) : slot_start(high)]
    return child
