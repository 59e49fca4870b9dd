"""Insertion of a layer."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from networks.genes import unpack
from networks.genome import encode
from networks.space import SLOTS, one_of, sample
from search.operators.slots import filled, join, put_in, split


def insert_layer(genes: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    """A layer of a new network of the prior, put in anywhere; nothing if all slots are filled.

    Source: Real et al., "Large-scale evolution of image classifiers", ICML 2017 (there: INSERT-CONVOLUTION).
    """
    training, slots = split(genes)
    _, fresh = split(unpack(encode(sample(rng))))
    layer = fresh[one_of(rng, filled(fresh))]
    return join(training, put_in(slots, int(rng.integers(SLOTS + 1)), layer))
