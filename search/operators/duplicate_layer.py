"""Duplication of a layer."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from networks.space import one_of
from search.operators.slots import filled, join, put_in, split


def duplicate_layer(genes: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    """A layer once more, right behind itself; nothing if all slots are filled.

    Source: Miikkulainen et al., "Evolving deep neural networks", arXiv:1703.00548, 2017, after Ohno, "Evolution by
    gene duplication", 1970.
    """
    training, slots = split(genes)
    layers = filled(slots)
    if not layers:
        return genes.copy()
    place = one_of(rng, layers)
    return join(training, put_in(slots, place + 1, slots[place]))
