"""Variation and selection on genomes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from networks.genome import HEADER, LENGTH, SLOT, slot_start
from networks.space import SLOTS

# Of a child's changed bytes, most move a little and some are drawn anew.
SMALL_STEP = 24.0
NEW_VALUE_SHARE = 0.3


def tournament(fitness: Sequence[float], size: int, rng: np.random.Generator) -> int:
    """Index of the fittest of `size` drawn ones (Goldberg and Deb, FOGA 1, 69, 1991)."""
    drawn = rng.integers(len(fitness), size=size)
    return int(max(drawn, key=lambda index: fitness[index]))


def crossover(first: bytes, second: bytes, rng: np.random.Generator) -> bytes:
    """Two-point crossover on slot boundaries; training genes come from either, one by one.

    Source: Holland, Adaptation in Natural and Artificial Systems, 1975; two cuts, as with De Jong.
    """
    head = bytes(a if take else b for a, b, take in zip(first, second, rng.random(HEADER) < 0.5, strict=False))
    low, high = sorted(int(cut) for cut in rng.integers(0, SLOTS + 1, size=2))
    start, stop = slot_start(low), slot_start(high)
    return head + first[HEADER:start] + second[start:stop] + first[stop:]


def mutate(genome: bytes, rate: float, rng: np.random.Generator) -> bytes:
    """Change each byte with probability `rate`, and now and then the layers as a whole.

    Layers are inserted (a copy of another), deleted or exchanged: Real et al., "Large-scale
    evolution of image classifiers", ICML 2017. At least one byte changes.
    """
    child = np.frombuffer(genome, np.uint8).astype(int)
    chosen = rng.random(LENGTH) < rate
    chosen[rng.integers(LENGTH)] = True
    step = np.round(rng.normal(0, SMALL_STEP, LENGTH)).astype(int)
    anew = rng.random(LENGTH) < NEW_VALUE_SHARE
    moved = np.where(anew, rng.integers(0, 256, LENGTH), np.clip(child + step, 0, 255))
    child = np.where(chosen, moved, child)
    slots = child[HEADER:].reshape(SLOTS, SLOT)
    if rng.random() < 0.3:
        place, other = (int(i) for i in rng.integers(0, SLOTS, size=2))
        how = rng.integers(3)
        if how == 0:  # insertion of a copy, the last slot falls off
            slots = np.insert(slots, place, slots[other], axis=0)[:SLOTS]
        elif how == 1:  # deletion, an empty slot comes in at the end
            empty = np.zeros((1, SLOT), int)
            empty[0, 0] = 255
            slots = np.concatenate([np.delete(slots, place, axis=0), empty])
        else:
            slots[[place, other]] = slots[[other, place]]
    return bytes(np.concatenate([child[:HEADER], slots.ravel()]).astype(np.uint8))
