"""One-point crossover."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from networks.genes import slot_start
from networks.space import SLOTS


def one_point(first: NDArray[np.int64], second: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    """The first parent up to a boundary between slots, the second from there on.

    The training genes come from the first. Source: Holland, "Adaptation in natural and artificial systems",
    University of Michigan Press, 1975, chapter 6.
    """
    cut = slot_start(int(rng.integers(SLOTS)))
    return np.concatenate([first[:cut], second[cut:]])
