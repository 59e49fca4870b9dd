"""Variation and selection on genomes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from networks.genes import GENES, HEADER, LAYER, SIZES, SLOT, pack, slot_start, unpack, value_of
from networks.space import KINDS, SLOTS

# Of a child's changed genes, most move a little (this share of their range) and some are drawn anew.
SMALL_STEP = 0.1
NEW_VALUE_SHARE = 0.3
EMPTY = value_of(KINDS, "empty", LAYER[0][2])


def tournament(fitness: Sequence[float], size: int, rng: np.random.Generator) -> int:
    """Index of the fittest of `size` drawn ones (Goldberg and Deb, FOGA 1, 69, 1991)."""
    drawn = rng.integers(len(fitness), size=size)
    return int(max(drawn, key=lambda index: fitness[index]))


def crossover(first: bytes, second: bytes, rng: np.random.Generator) -> bytes:
    """Two-point crossover on slot boundaries; training genes come from either, one by one.

    Source: Holland, Adaptation in Natural and Artificial Systems, 1975; two cuts, as with De Jong.
    """
    one, other = unpack(first), unpack(second)
    child = one.copy()
    child[:HEADER] = np.where(rng.random(HEADER) < 0.5, one[:HEADER], other[:HEADER])
    low, high = sorted(int(cut) for cut in rng.integers(0, SLOTS + 1, size=2))
    between = slice(slot_start(low), slot_start(high))
    child[between] = other[between]
    return pack(child)


def mutate(genome: bytes, rate: float, rng: np.random.Generator) -> bytes:
    """Change each gene with probability `rate`, and now and then the layers as a whole.

    Layers are inserted (a copy of another), deleted or exchanged: Real et al., "Large-scale
    evolution of image classifiers", ICML 2017. At least one gene changes.
    """
    genes = unpack(genome)
    chosen = rng.random(GENES) < rate
    chosen[rng.integers(GENES)] = True
    # A small step is at least one: the next choice of its table.
    step = rng.normal(0, SMALL_STEP, GENES) * SIZES
    step = np.where(step < 0, np.floor(step), np.ceil(step)).astype(int)
    anew = rng.random(GENES) < NEW_VALUE_SHARE
    moved = np.where(anew, rng.integers(0, SIZES), np.clip(genes + step, 0, SIZES - 1))
    child = np.where(chosen, moved, genes)
    slots = child[HEADER:].reshape(SLOTS, SLOT)
    if rng.random() < 0.3:
        place, other = (int(i) for i in rng.integers(0, SLOTS, size=2))
        how = rng.integers(3)
        if how == 0:  # insertion of a copy, the last slot falls off
            slots = np.insert(slots, place, slots[other], axis=0)[:SLOTS]
        elif how == 1:  # deletion, an empty slot comes in at the end
            empty = np.zeros((1, SLOT), int)
            empty[0, 0] = EMPTY
            slots = np.concatenate([np.delete(slots, place, axis=0), empty])
        else:
            slots[[place, other]] = slots[[other, place]]
    return pack(np.concatenate([child[:HEADER], slots.ravel()]))
