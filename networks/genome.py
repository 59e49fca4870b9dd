"""The genome: an immutable byte string of fixed length, every one of which is a network that trains."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from networks import genes as layout
from networks import space
from networks.genes import LENGTH, pack, unpack
from networks.repair import repair
from networks.space import Convolution, FullyConnected, Layer, Limits, NetworkSpec, Pool, Training, Upsample

__all__ = ["LENGTH", "decode", "encode"]

_FIELD_BITS = {name: bits for name, _, bits in layout.LAYER}


def decode(genome: bytes, limits: Limits) -> NetworkSpec:
    """The network of a genome, repaired until it keeps to the limits; never refused.

    Raises ValueError only for a string of another length.
    """
    values = [int(value) for value in unpack(genome)]
    header = zip(layout.TRAINING, values, strict=False)
    training = Training(**{name: layout.pick(table, value, bits) for (name, table, bits), value in header})
    slots = [
        dict(zip(layout.LAYER_GENES, values[start : start + layout.SLOT], strict=True))
        for start in map(layout.slot_start, range(space.SLOTS))
    ]
    layers = [layer for slot in slots if (layer := _layer(slot)) is not None]
    if not any(isinstance(layer, Convolution) for layer in layers):
        # Without one, a network sees no neighbourhood; the first slot's genes make one.
        layers = [_convolution(slots[0]), *layers[: space.SLOTS - 1]]
    return NetworkSpec(tuple(repair(layers, limits, training.batch_size)), training)


def encode(spec: NetworkSpec) -> bytes:
    """The genome of a network; `decode` gives the same network back if it keeps to the limits.

    Raises ValueError for a value that its gene's table does not have, and for too many layers.
    """
    if len(spec.layers) > space.SLOTS:
        raise ValueError(f"a genome has {space.SLOTS} slots, not {len(spec.layers)}")
    values = [layout.value_of(table, getattr(spec.training, name), bits) for name, table, bits in layout.TRAINING]
    for layer in spec.layers:
        values += _slot(layer)
    empty = layout.value_of(space.KINDS, "empty", _FIELD_BITS["kind"])
    values += [empty, *[0] * (layout.SLOT - 1)] * (space.SLOTS - len(spec.layers))
    return pack(np.array(values))


def _slot(layer: Layer) -> list[int]:
    kind = layout.kind_of_layer(layer)
    slot = dict.fromkeys(layout.LAYER_GENES, 0)
    slot["kind"] = layout.value_of(space.KINDS, kind, _FIELD_BITS["kind"])
    for name, (field, table) in layout.FIELDS[kind].items():
        slot[field] = layout.value_of(table, getattr(layer, name), _FIELD_BITS[field])
    return list(slot.values())


def _layer(slot: Mapping[str, int]) -> Layer | None:
    kind = layout.pick(space.KINDS, slot["kind"], _FIELD_BITS["kind"])
    if kind == "convolution":
        return _convolution(slot)
    if kind == "fully_connected":
        return FullyConnected(**_read(slot, kind))
    if kind == "upsample":
        return Upsample(**_read(slot, kind))
    if kind == "empty":
        return None
    return Pool(kind.removesuffix("_pool"), **_read(slot, kind))


def _convolution(slot: Mapping[str, int]) -> Convolution:
    return Convolution(**_read(slot, "convolution"))


def _read(slot: Mapping[str, int], kind: str) -> dict[str, Any]:
    fields = layout.FIELDS[kind].items()
    return {name: layout.pick(table, slot[field], _FIELD_BITS[field]) for name, (field, table) in fields}
