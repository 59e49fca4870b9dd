"""From a network's specification to a `torch.nn.Module`."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from networks.space import Convolution, FullyConnected, NetworkSpec, Step, Upsample, walk

ACTIVATION_MODULES: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "elu": nn.ELU,
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
}
PADDING_MODES: dict[str, Literal["zeros", "replicate"]] = {"zeros": "zeros", "replicate": "replicate"}
# Few pixels are defects; starting from that belief saves the first iterations (Lin et al.,
# "Focal loss for dense object detection", ICCV 2017, section 3.3).
PRIOR = 0.05


class Dropout(nn.Module):
    """Dropout of whole channels in training, with noise that is drawn before the forward pass.

    So that a network draws the same noise, from a generator of its own, whether it is trained alone or in a group.
    """

    kept: Tensor

    def __init__(self, batch_size: int, channels: int, rate: float) -> None:
        super().__init__()
        self.rate = rate
        self.register_buffer("kept", torch.ones(batch_size, channels, 1, 1), persistent=False)

    def draw(self, generator: torch.Generator) -> None:
        """Choose anew which channels of which images are kept."""
        if self.rate:
            self.kept.bernoulli_(1 - self.rate, generator=generator).div_(1 - self.rate)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channels, y, x) to the same shape, for at most as many images as a batch has in training."""
        return x * self.kept[: len(x)] if self.training and self.rate else x


class Block(nn.Module):
    """Convolution, normalisation, activation and dropout, with an optional skip link."""

    def __init__(self, channels: int, layer: Convolution, batch_size: int) -> None:
        super().__init__()
        size = (layer.kernel_height, layer.kernel_width)
        self.skip = layer.skip
        self.convolution = nn.Conv2d(
            channels,
            layer.kernels,
            size,
            stride=layer.stride,
            padding=((size[0] - 1) * layer.dilation // 2, (size[1] - 1) * layer.dilation // 2),
            dilation=layer.dilation,
            padding_mode=PADDING_MODES[layer.padding],
            bias=layer.normalisation == "none",
        )
        self.normalisation = nn.BatchNorm2d(layer.kernels) if layer.normalisation == "batch" else nn.Identity()
        self.activation = ACTIVATION_MODULES[layer.activation]()
        self.dropout = Dropout(batch_size, layer.kernels, layer.dropout)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channels, y, x) to (batch, kernels, y / stride, x / stride)."""
        out: Tensor = self.dropout(self.activation(self.normalisation(self.convolution(x))))
        return out + x if self.skip else out


class PixelNetwork(nn.Module):
    """A network that gives logits for every pixel of an image of any size.

    After strided layers, each remaining pixel gives the logits of the `stride` x `stride` pixels
    it stands for (sub-pixel convolution: Shi et al., CVPR 2016).
    """

    def __init__(self, spec: NetworkSpec, classes: int) -> None:
        super().__init__()
        steps = walk(spec.layers)
        self.stride, self.deepest_stride = spec.stride, spec.deepest_stride
        self.layers = nn.Sequential(*(_module(step, spec.training.batch_size) for step in steps))
        self.joins = [step.joins for step in steps]
        self.head = nn.Conv2d(steps[-1].leaving, classes * self.stride**2, 1)
        self.shuffle = nn.PixelShuffle(self.stride) if self.stride > 1 else nn.Identity()
        with torch.no_grad():
            belief = torch.full((classes,), math.log(PRIOR / max(1, classes - 1)))
            belief[0] = math.log(1 - PRIOR)
            self.head.bias = nn.Parameter(belief.repeat_interleave(self.stride**2))

    def dropouts(self) -> list[Dropout]:
        """The dropout of each layer that may have some, in their order."""
        return [module for module in self.modules() if isinstance(module, Dropout)]

    def forward(self, x: Tensor) -> Tensor:
        """Images (batch, 1, y, x) to logits (batch, class, y, x)."""
        height, width = x.shape[-2:]
        # All sizes on the way are then whole numbers, so that what is joined has one size.
        over = (-width % self.deepest_stride, -height % self.deepest_stride)
        if any(over):
            x = functional.pad(x, (0, over[0], 0, over[1]), mode="replicate")
        logits: Tensor = self.shuffle(self.head(self._features(x)))
        return logits[..., :height, :width]

    def _features(self, x: Tensor) -> Tensor:
        """Images (batch, 1, y, x) to what leaves the last layer (batch, channel, y / stride, x / stride)."""
        entered: dict[int, Tensor] = {}  # a layer, by number, that is joined further on
        for number, (layer, joined) in enumerate(zip(self.layers, self.joins, strict=True)):
            if number in self.joins:
                entered[number] = x
            x = layer(x)
            if joined is not None:
                x = torch.cat((x, entered.pop(joined)), 1)
        return x


class TileNetwork(PixelNetwork):
    """A network that gives logits for an image as a whole: the mean of those of its pixels."""

    def forward(self, x: Tensor) -> Tensor:
        """Images (batch, 1, y, x) to logits (batch, class)."""
        return super().forward(x).mean((-2, -1))


def _module(step: Step, batch_size: int) -> nn.Module:
    layer = step.layer
    if isinstance(layer, Convolution):
        return Block(step.entering, layer, batch_size)
    if isinstance(layer, Upsample):
        return nn.Upsample(scale_factor=step.before // step.after)
    if isinstance(layer, FullyConnected):
        activation, dropout = ACTIVATION_MODULES[layer.activation](), Dropout(batch_size, layer.neurons, layer.dropout)
        return nn.Sequential(nn.Conv2d(step.entering, layer.neurons, 1), activation, dropout)
    padding = layer.side // 2 if layer.side % 2 else 0
    if layer.operation == "max":
        return nn.MaxPool2d(layer.side, layer.stride, padding)
    return nn.AvgPool2d(layer.side, layer.stride, padding, count_include_pad=False)


def build(spec: NetworkSpec, classes: int, *, per_tile: bool = False) -> PixelNetwork:
    """Build a network for `classes` classes, background included, with fresh weights.

    It answers for each pixel, or `per_tile` for an image as a whole. Weights come from torch's global
    generator: seed it first.
    """
    return channels_last((TileNetwork if per_tile else PixelNetwork)(spec, classes))


def channels_last(model: PixelNetwork) -> PixelNetwork:
    """Lay the weights out as convolutions are fastest with, on CPUs as on GPUs."""
    # torch's type stubs do not know this argument.
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return model
