"""Whether a network can be as somebody wrote it: what `networks.repair` would change of it."""

from __future__ import annotations

import json
import reprlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from data_prep.errors import InputError
from networks.genes import FIELDS, LAYER, LAYER_GENES, kind_of, pick, slot_start, unpack
from networks.genome import decode
from networks.hyperparameters import Hyperparameters
from networks.space import SLOTS, Limits

DRAWS = 200  # sets that are looked at
LONG = 40  # characters of a message
LIMITS = Limits()
COST = (
    f"with it, every set is over {LIMITS.operations:,} multiply-adds per pixel, {LIMITS.weights:,} weights or "
    f"{LIMITS.memory_bytes >> 20:,} MB of memory"
)
WHY = {
    "stride": f"the total stride is at most {LIMITS.stride}, and no window is smaller than its stride",
    "side": "a pool of side 2 needs stride 2",
    "skip": "a skip link needs stride 1, and as many kernels as channels enter",
}
_BITS = {name: bits for name, _, bits in LAYER}


def check_limits(space: Hyperparameters, kinds: Sequence[str]) -> list[str]:
    """Notes on a topology, the kinds of its layers in the first slots, of which some sets would be repaired.

    Raises InputError if something fixed would be changed in every set.
    """
    vary = {number for hyperparameter in space.vary for number in hyperparameter.genes}
    least = np.zeros((1, len(space.vary)), np.uint8)  # numbers rise in the tables
    sets = np.concatenate([least, space.draw(DRAWS, np.random.default_rng(0))])
    changed = [_changes(space.genome(one), kinds) for one in sets]
    fixed = [[said for number, said in changes.items() if number not in vary] for changes in changed]
    if all(fixed):
        raise InputError(min(fixed, key=len)[0])
    share = sum(map(bool, changed[1:])) / DRAWS
    return [f"about {100 * share:.0f} % of its sets go beyond what networks may be, and are not drawn"] if share else []


def can_be(genome: bytes) -> bool:
    """Whether the network of a genome is what its genes say, with nothing repaired."""
    genes = unpack(genome)
    kinds = [kind for slot in range(SLOTS) if (kind := kind_of(genes, slot)) != "empty"]
    return not _changes(genome, kinds)


def _changes(genome: bytes, kinds: Sequence[str]) -> dict[int, str]:
    """What decoding changes, by the number of the gene; of a layer that it leaves out, that of its kind."""
    genes, made = unpack(genome), list(decode(genome, LIMITS).layers)
    changes: dict[int, str] = {}
    for slot, kind in enumerate(kinds):
        where = f"layer {slot + 1} ({kind})"
        if not made or not all(hasattr(made[0], name) for name in FIELDS[kind]):
            changes[slot_start(slot)] = f"{where}: cannot be there: no stride before it is left to undo"
            continue
        layer = made.pop(0)
        # Strides first: a side changes with its stride.
        for name, (field, table) in sorted(FIELDS[kind].items(), key=lambda item: item[0] != "stride"):
            number = slot_start(slot) + LAYER_GENES.index(field)
            said = pick(table, int(genes[number]), _BITS[field])
            if getattr(layer, name) != said:
                changes[number] = f"{where}: {name}: {shown(said)} cannot be: {WHY.get(name, COST)}"
    return changes


def shown(value: Any) -> str:
    """A value of a JSON file as it was written, but short."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (int, float)):
        return f"{value:g}"
    if isinstance(value, str):
        return json.dumps(value if len(value) <= LONG else f"{value[:LONG]}...")
    return "null" if value is None else reprlib.repr(value)
