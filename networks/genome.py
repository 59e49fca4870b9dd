"""The genome: an immutable byte string of fixed length, every one of which is a network that trains.

Layout: one byte for each training gene, then `SLOTS` slots of one byte for each layer gene. A
byte picks an entry of its gene's table in proportion, so neighbouring bytes are alike. Genes that
a kind of layer has no use for are carried along silently.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from networks import space
from networks.space import Convolution, FullyConnected, Layer, Limits, NetworkSpec, Pool, Training

TRAINING_GENES: dict[str, tuple[Any, ...]] = {
    "optimiser": space.OPTIMISERS,
    "learning_rate": space.LEARNING_RATES,
    "weight_decay": space.WEIGHT_DECAYS,
    "momentum": space.MOMENTA,
    "batch_size": space.BATCH_SIZES,
    "loss": space.LOSSES,
    "defect_weight": space.DEFECT_WEIGHTS,
    "augmentation": space.AUGMENTATIONS,
}
# A slot's genes; the same byte serves different layers where they share a meaning.
LAYER_GENES = (
    "kind",
    "kernels",
    "kernel_height",
    "kernel_width",
    "stride",
    "dilation",
    "padding",
    "activation",
    "normalisation",
    "dropout",
    "skip",
)
_CONVOLUTION: dict[str, tuple[Any, ...]] = {
    "kernels": space.KERNELS,
    "kernel_height": space.KERNEL_SIDES,
    "kernel_width": space.KERNEL_SIDES,
    "stride": space.STRIDES,
    "dilation": space.DILATIONS,
    "padding": space.PADDINGS,
    "activation": space.ACTIVATIONS,
    "normalisation": space.NORMALISATIONS,
    "dropout": space.DROPOUTS,
    "skip": space.SKIPS,
}
HEADER = len(TRAINING_GENES)
SLOT = len(LAYER_GENES)
LENGTH = HEADER + space.SLOTS * SLOT


def slot_start(slot: int) -> int:
    """Offset of a slot's first byte, which says its kind."""
    return HEADER + slot * SLOT


def kind_of(genome: bytes, slot: int) -> str:
    """Kind of layer in a slot, `empty` included."""
    return str(_pick(space.KINDS, genome[slot_start(slot)]))


def numeric_genes(genome: bytes) -> list[int]:
    """Offsets of the bytes that may vary while the topology (kinds and their order) stays.

    The training genes, and of each layer those that its kind uses.
    """
    offsets = list(range(HEADER))
    used = {
        "convolution": tuple(_CONVOLUTION),
        "max_pool": ("kernel_height", "stride"),
        "average_pool": ("kernel_height", "stride"),
        "fully_connected": ("kernels", "activation", "dropout"),
        "empty": (),
    }
    for slot in range(space.SLOTS):
        names = used[kind_of(genome, slot)]
        offsets += [slot_start(slot) + LAYER_GENES.index(name) for name in names]
    return offsets


def decode(genome: bytes, limits: Limits) -> NetworkSpec:
    """The network of a genome, repaired until it keeps to the limits; never refused.

    Raises ValueError only for a string of another length.
    """
    if len(genome) != LENGTH:
        raise ValueError(f"a genome has {LENGTH} bytes, not {len(genome)}")
    training = Training(**{n: _pick(t, genome[i]) for i, (n, t) in enumerate(TRAINING_GENES.items())})
    slots = [genome[slot_start(i) : slot_start(i) + SLOT] for i in range(space.SLOTS)]
    layers = [layer for slot in slots if (layer := _layer(slot)) is not None]
    if not any(isinstance(layer, Convolution) for layer in layers):
        # Without one, a network sees no neighbourhood; the first slot's genes make one.
        layers = [_convolution(slots[0]), *layers[: space.SLOTS - 1]]
    return NetworkSpec(tuple(repair(layers, limits)), training)


def encode(spec: NetworkSpec) -> bytes:
    """The genome of a network; `decode` gives the same network back if it keeps to the limits."""
    genome = bytearray(_byte(table, getattr(spec.training, name)) for name, table in TRAINING_GENES.items())
    for layer in spec.layers:
        slot = dict.fromkeys(LAYER_GENES, 0)
        if isinstance(layer, Convolution):
            slot["kind"] = _byte(space.KINDS, "convolution")
            slot.update({name: _byte(table, getattr(layer, name)) for name, table in _CONVOLUTION.items()})
        elif isinstance(layer, Pool):
            slot["kind"] = _byte(space.KINDS, f"{layer.operation}_pool")
            slot["kernel_height"] = _byte(space.POOL_SIDES, layer.side)
            slot["stride"] = _byte(space.STRIDES, layer.stride)
        else:
            slot["kind"] = _byte(space.KINDS, "fully_connected")
            slot["kernels"] = _byte(space.NEURONS, layer.neurons)
            slot["activation"] = _byte(space.ACTIVATIONS, layer.activation)
            slot["dropout"] = _byte(space.DROPOUTS, layer.dropout)
        genome += bytes(slot.values())
    empty = _byte(space.KINDS, "empty")
    genome += bytes([empty, *[0] * (SLOT - 1)]) * (space.SLOTS - len(spec.layers))
    return bytes(genome)


def _pick(table: Sequence[Any], byte: int) -> Any:
    return table[byte * len(table) // 256]


def _byte(table: Sequence[Any], value: Any) -> int:
    """The byte in the middle of those that pick `value`."""
    first = table.index(value)
    count = table.count(value)
    return (first * 256 + count * 128) // len(table)


def _layer(slot: bytes) -> Layer | None:
    gene = dict(zip(LAYER_GENES, slot, strict=True))
    kind = _pick(space.KINDS, gene["kind"])
    if kind == "convolution":
        return _convolution(slot)
    if kind == "fully_connected":
        return FullyConnected(
            _pick(space.NEURONS, gene["kernels"]),
            _pick(space.ACTIVATIONS, gene["activation"]),
            _pick(space.DROPOUTS, gene["dropout"]),
        )
    if kind == "empty":
        return None
    side, stride = _pick(space.POOL_SIDES, gene["kernel_height"]), _pick(space.STRIDES, gene["stride"])
    return Pool(kind.removesuffix("_pool"), side, stride)


def _convolution(slot: bytes) -> Convolution:
    gene = dict(zip(LAYER_GENES, slot, strict=True))
    return Convolution(**{name: _pick(table, gene[name]) for name, table in _CONVOLUTION.items()})


def repair(layers: Sequence[Layer], limits: Limits) -> list[Layer]:
    """Layers that keep to the limits: strides first, then cost, then skip links."""
    kept = _repair_strides(layers, limits)
    while sum(costs := operations(kept)) > limits.operations:
        dearest = costs.index(max(costs))
        cheaper = _cheaper(kept[dearest])
        if cheaper == kept[dearest]:
            break  # limits so tight that even the least network is over them
        kept[dearest] = cheaper
    return _repair_skips(kept)


def _repair_strides(layers: Sequence[Layer], limits: Limits) -> list[Layer]:
    kept: list[Layer] = []
    stride = 1
    for layer in layers:
        allowed = layer
        if not isinstance(allowed, FullyConnected):
            if stride * allowed.stride > limits.stride or _window(allowed) < allowed.stride:
                allowed = replace(allowed, stride=1)
            # An even window cannot be centred on a pixel: only where the size is halved too.
            if isinstance(allowed, Pool) and allowed.stride == 1 and allowed.side == 2:
                allowed = replace(allowed, side=3)
            stride *= allowed.stride
        kept.append(allowed)
    return kept


def _window(layer: Convolution | Pool) -> int:
    """The shorter side of a layer's window. Smaller than the stride, it would skip pixels unseen.

    (A strided 1 x 1 convolution also crashes torch 2.13 on CPUs, in the backward pass.)
    """
    return layer.side if isinstance(layer, Pool) else min(layer.kernel_height, layer.kernel_width)


def _repair_skips(layers: Sequence[Layer]) -> list[Layer]:
    """A skip link needs a layer that keeps size and channels."""
    kept: list[Layer] = []
    channels = 1
    for layer in layers:
        fits = isinstance(layer, Convolution) and layer.stride == 1 and layer.kernels == channels
        kept.append(replace(layer, skip=False) if isinstance(layer, Convolution) and not fits else layer)
        if not isinstance(layer, Pool):
            channels = layer.kernels if isinstance(layer, Convolution) else layer.neurons
    return kept


def operations(layers: Sequence[Layer]) -> list[float]:
    """Multiply-adds of each layer per pixel of the frame."""
    channels, area, costs = 1, 1, []
    for layer in layers:
        if isinstance(layer, Pool):
            area *= layer.stride**2
            costs.append(0.0)
        elif isinstance(layer, FullyConnected):
            costs.append(channels * layer.neurons / area)
            channels = layer.neurons
        else:
            area *= layer.stride**2
            costs.append(channels * layer.kernels * layer.kernel_height * layer.kernel_width / area)
            channels = layer.kernels
    return costs


def _cheaper(layer: Layer) -> Layer:
    """The layer with the next smaller width, or kernel when the width is least already."""
    if isinstance(layer, FullyConnected):
        return replace(layer, neurons=max(n for n in space.NEURONS if n < layer.neurons or n == space.NEURONS[0]))
    if isinstance(layer, Pool):
        return layer
    if layer.kernels > space.KERNELS[0]:
        return replace(layer, kernels=max(k for k in space.KERNELS if k < layer.kernels))
    least = 1 if layer.stride == 1 else 3
    if layer.kernel_height > least:
        return replace(layer, kernel_height=layer.kernel_height - 2)
    return replace(layer, kernel_width=max(least, layer.kernel_width - 2))
