"""Tournament selection."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def tournament(fitness: Sequence[float], size: int, rng: np.random.Generator) -> int:
    """Index of the fittest of `size` drawn ones, with replacement.

    Source: Goldberg and Deb, "A comparative analysis of selection schemes used in genetic algorithms", FOGA 1,
    69-93, 1991.
    """
    drawn = rng.integers(len(fitness), size=size).tolist()
    return int(max(drawn, key=fitness.__getitem__))
