"""What the operators on layers share: slots with and without a layer."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from networks.genes import HEADER, LAYER, SLOT, pick, value_of
from networks.space import KINDS, SLOTS

_KIND_BITS = LAYER[0][2]
_IS_EMPTY = np.array([pick(KINDS, value, _KIND_BITS) == "empty" for value in range(2**_KIND_BITS)])
_EMPTY = np.array([value_of(KINDS, "empty", _KIND_BITS), *[0] * (SLOT - 1)])


def split(genes: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Training genes (n,) and slots (slot, gene), both copies."""
    return genes[:HEADER].copy(), genes[HEADER:].reshape(SLOTS, SLOT).copy()


def join(training: NDArray[np.int64], slots: NDArray[np.int64]) -> NDArray[np.int64]:
    """Back from `split`."""
    return np.concatenate([training, slots.ravel()])


def filled(slots: NDArray[np.int64]) -> list[int]:
    """Numbers of the slots that hold a layer."""
    return list(np.flatnonzero(~_IS_EMPTY[slots[:, 0]]).tolist())


def put_in(slots: NDArray[np.int64], place: int, layer: NDArray[Any]) -> NDArray[np.int64]:
    """Slots (slot, gene) with a layer (gene,) more, before `place`; an empty slot makes room for it.

    Without an empty slot nothing changes.
    """
    empty = np.flatnonzero(_IS_EMPTY[slots[:, 0]])
    if not len(empty):
        return slots
    gap = int(empty[np.abs(empty - place).argmin()])
    at = place - (gap < place)
    moved = _moved(slots, gap, at)
    moved[at] = layer
    return moved


def take_out(slots: NDArray[np.int64], place: int) -> NDArray[np.int64]:
    """Slots (slot, gene) without the layer at `place`; an empty one comes in at the end."""
    moved = _moved(slots, place, SLOTS - 1)
    moved[-1] = _EMPTY
    return moved


def _moved(slots: NDArray[np.int64], place: int, to: int) -> NDArray[np.int64]:
    """Slots (slot, gene), a copy, with the one at `place` taken out and put in again as number `to`."""
    order = list(range(SLOTS))
    order.insert(to, order.pop(place))
    return slots[order]
