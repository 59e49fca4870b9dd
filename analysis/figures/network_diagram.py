"""A network as a picture: a box for each layer, as wide as it has channels and as high as its image."""

from __future__ import annotations

import textwrap
from pathlib import Path

from analysis.figures.style import BLUE, GREEN, GREY, VERMILION, save_figure
from networks.space import Convolution, FullyConnected, Layer, NetworkSpec, Pool, channels_after

GAP, NARROWEST, WIDEST = 0.5, 0.35, 1.3  # in units of the picture, a box of full resolution is 3 high
MOST_CHANNELS = 64
HEIGHT = 3.0
COLOURS = {"convolution": BLUE, "pool": GREY, "full": GREEN, "ends": "0.85"}


def draw_network(spec: NetworkSpec, class_names: tuple[str, ...], path: Path) -> Path:
    """Draw a network with its training genes underneath; `class_names` are those of the defects."""
    from matplotlib import pyplot as plt
    from matplotlib.patches import FancyArrowPatch, Rectangle

    boxes = _boxes(spec, class_names)
    length = sum(width for width, *_ in boxes) + GAP * (len(boxes) - 1)
    figure, axes = plt.subplots(figsize=(1.05 * length + 0.8, 3.9), layout="constrained")
    left = 0.0
    ends: list[float] = []
    for width, height, colour, text, skip in boxes:
        axes.add_patch(Rectangle((left, -height / 2), width, height, facecolor=colour, edgecolor="black", alpha=0.75))
        axes.text(left + width / 2, -HEIGHT / 2 - 0.15, text, ha="center", va="top", fontsize=8)
        if ends:
            axes.annotate("", (left, 0), (ends[-1], 0), arrowprops={"arrowstyle": "->"})
        if skip:
            start, stop = (left - GAP / 2, 0.05), (left + width + GAP / 2, 0.05)
            bow = FancyArrowPatch(start, stop, arrowstyle="->", connectionstyle="arc3,rad=-0.45", mutation_scale=10)
            bow.set(color=VERMILION, linewidth=1.5)
            axes.add_patch(bow)
        ends.append(left + width)
        left += width + GAP
    axes.set(xlim=(-0.3, length + 0.3), ylim=(-HEIGHT / 2 - 1.9, HEIGHT / 2 + 0.2))
    axes.set_axis_off()
    training = str(spec).split(" | ")[1]
    figure.suptitle("\n".join(textwrap.wrap(f"Trained with {training}", 90)), fontsize=10)
    return save_figure(figure, path)


def _boxes(spec: NetworkSpec, class_names: tuple[str, ...]) -> list[tuple[float, float, str, str, bool]]:
    """Width, height, colour, text and skip link of each box, the image and the logits at the ends."""
    boxes = [(NARROWEST, HEIGHT, COLOURS["ends"], "frame", False)]
    channels, stride = 1, 1
    for layer in spec.layers:
        stride *= getattr(layer, "stride", 1)
        channels = channels_after(layer, channels)
        width = NARROWEST + (WIDEST - NARROWEST) * channels / MOST_CHANNELS
        boxes.append((width, HEIGHT / stride, *_look(layer), getattr(layer, "skip", False)))
    maps = "\n".join(textwrap.fill(name.replace("_", " "), 14) for name in ("maps of", "background", *class_names))
    return [*boxes, (NARROWEST, HEIGHT, COLOURS["ends"], maps, False)]


def _look(layer: Layer) -> tuple[str, str]:
    if isinstance(layer, Pool):
        return COLOURS["pool"], f"{layer.operation}\n{layer.side} x {layer.side}" + _stride(layer)
    if isinstance(layer, FullyConnected):
        return COLOURS["full"], f"full {layer.neurons}\n{layer.activation}" + _dropout(layer)
    size = f"{layer.kernels}\n{layer.kernel_height} x {layer.kernel_width}"
    dilated = f"\ndilated {layer.dilation}" if layer.dilation > 1 else ""
    norm = "\nbatch norm" if layer.normalisation == "batch" else ""
    return COLOURS["convolution"], size + _stride(layer) + dilated + norm + f"\n{layer.activation}" + _dropout(layer)


def _stride(layer: Convolution | Pool) -> str:
    return f"\nstride {layer.stride}" if layer.stride > 1 else ""


def _dropout(layer: Convolution | FullyConnected) -> str:
    return f"\ndropout {layer.dropout:g}" if layer.dropout else ""
