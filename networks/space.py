"""What may vary in a network: the layers, the training, and a sensible prior over both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import numpy as np

Choice = TypeVar("Choice")

SLOTS = 8  # layers at the most

# Every gene is a table of choices. Order matters: neighbours are alike, so that a small change
# of a byte is a small change of the network.
KINDS = (
    *("convolution",) * 8, *("max_pool",) * 2, "average_pool", *("fully_connected",) * 2, *("empty",) * 2, "upsample"
)  # fmt: skip
# Multiples of 8: vector units and tensor cores work on 8 or 16 channels at a time, so that a layer of 12
# costs what one of 16 does (docs/performance.md).
KERNELS = (8, 16, 24, 32, 48, 64)
KERNEL_SIDES = (1, 3, 3, 5, 5, 7)
STRIDES = (1, 1, 1, 2)
DILATIONS = (1, 1, 1, 2, 3)
PADDINGS = ("zeros", "replicate")
ACTIVATIONS = ("relu", "leaky_relu", "elu", "silu", "tanh")
NORMALISATIONS = ("batch", "batch", "batch", "none")
DROPOUTS = (0.0, 0.0, 0.05, 0.1, 0.2)
SKIPS = (False, True)
NEURONS = (8, 16, 24, 32, 48, 64)
POOL_SIDES = (2, 3, 5)

OPTIMISERS = ("adamw", "adamw", "sgd")
LEARNING_RATES = tuple(float(f"{rate:.2g}") for rate in np.geomspace(3e-4, 3e-2, 24))
WEIGHT_DECAYS = tuple(float(f"{decay:.1g}") for decay in np.geomspace(1e-6, 1e-1, 11))
SCHEDULES = ("one_cycle", "one_cycle", "cosine", "constant")
MOMENTA = (0.8, 0.85, 0.9, 0.95)
BATCH_SIZES = (4, 6, 8, 12)
LOSSES = ("cross_entropy", "cross_entropy", "focal", "dice")
DEFECT_WEIGHTS = (1.0, 1.5, 2.0, 3.0, 5.0)
# None is weak: validation tiles come from the labelled frame, so a search left free would choose
# weak augmentation, which pays there and costs on every other frame (docs/performance.md).
AUGMENTATIONS = (0.8, 1.0, 1.25, 1.5)


@dataclass(frozen=True)
class Convolution:
    """A convolution; padded so that the size changes by the stride alone."""

    kernels: int
    kernel_height: int
    kernel_width: int
    stride: int
    dilation: int
    padding: str
    activation: str
    normalisation: str
    dropout: float
    skip: bool


@dataclass(frozen=True)
class Pool:
    """Max or average pooling over `side` by `side` pixels."""

    operation: str
    side: int
    stride: int


@dataclass(frozen=True)
class FullyConnected:
    """Neurons that see all channels of one pixel: a 1 x 1 convolution, as in fully convolutional networks."""

    neurons: int
    activation: str
    dropout: float


@dataclass(frozen=True)
class Upsample:
    """Back to the resolution before the last stride that is not undone yet; each value is repeated.

    To `join` is to put the channels that entered the layer with that stride behind those that come up, as in a
    U-Net (Ronneberger, Fischer and Brox, MICCAI 2015).
    """

    join: bool


Layer = Convolution | Pool | FullyConnected | Upsample


class Step(NamedTuple):
    """A layer where it stands in a network: how many channels enter and leave it, the total strides before and after.

    A total stride is how many pixels of a frame lie beside one pixel, along an axis. `joins` is the number of the
    layer whose input an `Upsample` joins, None if it does not, and for all other layers.
    """

    layer: Layer
    entering: int
    leaving: int
    before: int
    after: int
    joins: int | None = None


def walk(layers: Sequence[Layer]) -> list[Step]:
    """The layers of a network in order, one channel of full resolution entering the first.

    Raises ValueError for an `Upsample` where no stride is left to undo.
    """
    steps: list[Step] = []
    strided: list[int] = []  # numbers of the layers whose strides are not undone yet
    channels, stride = 1, 1
    for number, layer in enumerate(layers):
        entering, before, joins = channels, stride, None
        if isinstance(layer, Upsample):
            if not strided:
                raise ValueError(f"layer {number + 1} goes up where no stride is left to undo")
            down = strided.pop()
            stride = steps[down].before
            if layer.join:
                joins, channels = down, channels + steps[down].entering
        elif isinstance(layer, FullyConnected):
            channels = layer.neurons
        else:
            channels = layer.kernels if isinstance(layer, Convolution) else channels
            stride *= layer.stride
            strided += [number] if layer.stride > 1 else []
        steps.append(Step(layer, entering, channels, before, stride, joins))
    return steps


@dataclass(frozen=True)
class Training:
    """How a network is trained. `learning_rate` is AdamW's at its highest; SGD takes ten times as much."""

    optimiser: str
    learning_rate: float
    weight_decay: float
    momentum: float
    batch_size: int
    loss: str
    defect_weight: float
    augmentation: float
    schedule: str = "one_cycle"


@dataclass(frozen=True)
class NetworkSpec:
    """A network, ready to build and train."""

    layers: tuple[Layer, ...]
    training: Training

    @property
    def stride(self) -> int:
        """Total stride after the last layer, which the head undoes."""
        return walk(self.layers)[-1].after

    @property
    def deepest_stride(self) -> int:
        """Largest total stride on the way: networks give the same wherever a frame is cut at multiples of it."""
        return max(step.after for step in walk(self.layers))

    def __str__(self) -> str:
        words = [_notation(layer) for layer in self.layers]
        t = self.training
        trained = f"{t.optimiser} {t.learning_rate:g} {t.schedule}, batch {t.batch_size}, {t.loss}"
        return " > ".join(words) + f" | {trained}"


def _notation(layer: Layer) -> str:
    if isinstance(layer, Upsample):
        return "up" + (" +join" if layer.join else "")
    if isinstance(layer, Pool):
        return f"{layer.operation} {layer.side}/{layer.stride}"
    if isinstance(layer, FullyConnected):
        return f"full {layer.neurons} {layer.activation}"
    text = f"conv {layer.kernels}@{layer.kernel_height}x{layer.kernel_width}"
    text += f"/{layer.stride}" if layer.stride > 1 else ""
    text += f" dilated {layer.dilation}" if layer.dilation > 1 else ""
    return text + f" {layer.activation}" + (" +skip" if layer.skip else "")


@dataclass(frozen=True)
class Limits:
    """What a decoded network must keep to.

    `operations` are multiply-adds per pixel of the frame, forward; about three times as many
    are needed in training. `memory_bytes` is what training keeps for the backward pass of a batch
    of tiles, `tile_px` a side. `stride` is the largest total stride on the way; a tile is at least four wide.
    """

    operations: int = 15_000
    stride: int = 4
    weights: int = 200_000
    memory_bytes: int = 1 << 30
    tile_px: int = 64


def one_of(rng: np.random.Generator, table: Sequence[Choice]) -> Choice:
    """An entry of a table, each with the same chance: `rng.choice` takes six times as long."""
    return table[int(rng.integers(len(table)))]


def sample(rng: np.random.Generator) -> NetworkSpec:
    """A network as a practitioner would start: three to six convolutions, mostly normalised.

    This prior is where networks that never learn are avoided: enough context to see a
    lattice cell, moderate learning rates, little dropout.
    """
    layers: list[Layer] = []
    depth = int(rng.integers(3, 7))
    activation = one_of(rng, ACTIVATIONS[:4])
    for place in range(depth):
        side = one_of(rng, [3, 5, 7] if place == 0 else [3, 3, 5])
        layers.append(
            Convolution(
                kernels=one_of(rng, KERNELS[:4]),
                kernel_height=side,
                kernel_width=side,
                stride=1,
                dilation=one_of(rng, [1, 1, 2]) if place else 1,
                padding=one_of(rng, PADDINGS),
                activation=activation,
                normalisation="batch",
                dropout=one_of(rng, [0.0, 0.0, 0.05]),
                skip=bool(place and rng.random() < 0.3),
            )
        )
    if rng.random() < 0.3:
        layers.insert(int(rng.integers(1, 3)), Pool(one_of(rng, ["max", "average"]), 2, 2))
    if len(layers) < SLOTS and rng.random() < 0.4:
        layers.append(FullyConnected(one_of(rng, NEURONS), activation, 0.0))
    training = Training(
        optimiser=one_of(rng, OPTIMISERS),
        learning_rate=one_of(rng, LEARNING_RATES[8:22]),
        weight_decay=one_of(rng, WEIGHT_DECAYS),
        momentum=one_of(rng, MOMENTA),
        batch_size=one_of(rng, BATCH_SIZES[:3]),
        loss=one_of(rng, LOSSES),
        defect_weight=one_of(rng, DEFECT_WEIGHTS),
        augmentation=one_of(rng, AUGMENTATIONS),
        schedule=one_of(rng, SCHEDULES[:3]),
    )
    return NetworkSpec(tuple(layers), training)
