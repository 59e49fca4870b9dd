"""Repair in decoding: whatever a string says, the network keeps to the limits and trains."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from networks import space
from networks.space import Convolution, FullyConnected, Layer, Limits, Pool, Step, Upsample, walk

FAST_WIDTH = 16  # channels that vector units work on at a time
BYTES_PER_VALUE = 4  # single precision
# Of each layer's output, training keeps what the convolution, the normalisation and the activation made.
KEPT_COPIES = 3


def repair(layers: Sequence[Layer], limits: Limits, batch_size: int) -> list[Layer]:
    """Layers that keep to the limits: strides first, then cost, weights and memory, then skip links."""
    kept = _repair_strides(layers, min(limits.stride, limits.tile_px // 4))
    kept = _shrink(kept, operations, limits.operations, _cheaper)
    kept = _shrink(kept, weights, limits.weights, _cheaper)
    kept = _shrink(kept, lambda some: activations(some, limits.tile_px, batch_size), limits.memory_bytes, _narrower)
    return _repair_skips(kept)


def _shrink(
    layers: list[Layer],
    costs_of: Callable[[Sequence[Layer]], list[float]],
    most: float,
    cheaper: Callable[[Layer], Layer],
) -> list[Layer]:
    """Make the dearest layer cheaper, and again, until the sum of the costs is within its limit."""
    kept = list(layers)
    while sum(costs := costs_of(kept)) > most:
        by_cost = sorted(range(len(kept)), key=lambda number: -costs[number])
        able = next((number for number in by_cost if cheaper(kept[number]) != kept[number]), None)
        if able is None:
            break  # limits so tight that even the least network is over them
        kept[able] = cheaper(kept[able])
    return kept


def _repair_strides(layers: Sequence[Layer], most: int) -> list[Layer]:
    """Strides that stay within `most` on the way, and ways up only where one is left to undo."""
    kept: list[Layer] = []
    strides = [1]  # total ones, the last as it is now, the others to come back to
    for layer in layers:
        allowed = layer
        if isinstance(allowed, Upsample):
            if len(strides) == 1:
                continue
            strides.pop()
        elif not isinstance(allowed, FullyConnected):
            if strides[-1] * allowed.stride > most or _window(allowed) < allowed.stride:
                allowed = replace(allowed, stride=1)
            # An even window cannot be centred on a pixel: only where the size is halved too.
            if isinstance(allowed, Pool) and allowed.stride == 1 and allowed.side == 2:
                allowed = replace(allowed, side=3)
            strides += [strides[-1] * allowed.stride] if allowed.stride > 1 else []
        kept.append(allowed)
    return kept


def _window(layer: Convolution | Pool) -> int:
    """The shorter side of a layer's window. Smaller than the stride, it would skip pixels unseen.

    (A strided 1 x 1 convolution also crashes torch 2.13 on CPUs, in the backward pass.)
    """
    return layer.side if isinstance(layer, Pool) else min(layer.kernel_height, layer.kernel_width)


def _repair_skips(layers: Sequence[Layer]) -> list[Layer]:
    """A skip link needs a layer that keeps size and channels."""
    return [
        replace(step.layer, skip=False)
        if isinstance(step.layer, Convolution) and (step.entering, step.before) != (step.leaving, step.after)
        else step.layer
        for step in walk(layers)
    ]


def weights(layers: Sequence[Layer]) -> list[float]:
    """Weights of each layer, without those of normalisation and biases."""
    return [_weights(step) for step in walk(layers)]


def _weights(step: Step) -> float:
    if isinstance(step.layer, (Pool, Upsample)):
        return 0.0
    window = step.layer.kernel_height * step.layer.kernel_width if isinstance(step.layer, Convolution) else 1
    return float(step.entering * step.leaving * window)


def operations(layers: Sequence[Layer]) -> list[float]:
    """Multiply-adds of each layer per pixel of the frame: each weight works once at each pixel that is left."""
    return [_weights(step) / step.after**2 for step in walk(layers)]


def activations(layers: Sequence[Layer], tile_px: int, batch_size: int) -> list[float]:
    """Bytes that training keeps of each layer's output for the backward pass of a batch of tiles."""
    per_channel = KEPT_COPIES * BYTES_PER_VALUE * batch_size * tile_px**2
    return [per_channel * step.leaving / step.after**2 for step in walk(layers)]


def _narrower(layer: Layer) -> Layer:
    """The layer with the next smaller number of kernels or neurons, if there is one."""
    if isinstance(layer, Convolution):
        return replace(layer, kernels=max([k for k in space.KERNELS if k < layer.kernels], default=layer.kernels))
    if isinstance(layer, FullyConnected):
        return replace(layer, neurons=max([n for n in space.NEURONS if n < layer.neurons], default=layer.neurons))
    return layer


def _cheaper(layer: Layer) -> Layer:
    """The layer with the next smaller number of kernels or neurons, or with a smaller window.

    Windows shrink to 3 before there are fewer than `FAST_WIDTH` kernels, which would be as slow.
    """
    if not isinstance(layer, Convolution):
        return _narrower(layer)
    least = 1 if layer.stride == 1 else 3
    for width, window in ((FAST_WIDTH, 3), (space.KERNELS[0], least)):
        if layer.kernels > width:
            return _narrower(layer)
        if max(layer.kernel_height, layer.kernel_width) > window:
            if layer.kernel_height >= layer.kernel_width:
                return replace(layer, kernel_height=layer.kernel_height - 2)
            return replace(layer, kernel_width=layer.kernel_width - 2)
    return layer
