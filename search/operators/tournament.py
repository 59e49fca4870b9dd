"""Tournament selection."""

from __future__ import annotations

import numpy as np


def tournament(members: int, size: int, rng: np.random.Generator) -> int:
    """Place of the best of `size` drawn ones, with replacement, among `members` that stand in rising order.

    Source: Goldberg and Deb, "A comparative analysis of selection schemes used in genetic algorithms", FOGA 1,
    69-93, 1991.
    """
    return int(rng.integers(members, size=size).max())
