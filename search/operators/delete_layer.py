"""Deletion of a layer."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from networks.space import one_of
from search.operators.slots import filled, join, split, take_out


def delete_layer(genes: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    """One layer less, if there are two or more.

    Source: Real et al., "Large-scale evolution of image classifiers", ICML 2017 (there: REMOVE-CONVOLUTION).
    """
    training, slots = split(genes)
    layers = filled(slots)
    return genes.copy() if len(layers) < 2 else join(training, take_out(slots, one_of(rng, layers)))
