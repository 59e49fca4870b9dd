"""A network as a picture: a box for each layer, as wide as it has channels and as high as its image."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from analysis.figures.style import BLUE, GREEN, GREY, ORANGE, VERMILION, save_figure
from networks.space import Convolution, FullyConnected, Layer, NetworkSpec, Pool, Upsample, walk

if TYPE_CHECKING:
    from matplotlib.axes import Axes

GAP, NARROWEST, WIDEST = 0.5, 0.35, 1.3  # in units of the picture, a box of full resolution is 3 high
MOST_CHANNELS = 64
HEIGHT = 3.0
COLOURS = {"convolution": BLUE, "pool": GREY, "full": GREEN, "up": ORANGE, "ends": "0.85"}
JOIN = 0.8  # of the height of what is joined: above all boxes in between, which are half as high at the most


@dataclass(frozen=True)
class Box:
    """A box; `joins` is the number of the box whose output is joined to this one's."""

    width: float
    height: float
    colour: str
    text: str
    skip: bool = False
    joins: int | None = None


def draw_network(spec: NetworkSpec, class_names: tuple[str, ...], path: Path) -> Path:
    """Draw a network with its training genes underneath; `class_names` are those of the defects."""
    from matplotlib import pyplot as plt
    from matplotlib.patches import Rectangle

    boxes = _boxes(spec, class_names)
    length = sum(box.width for box in boxes) + GAP * (len(boxes) - 1)
    figure, axes = plt.subplots(figsize=(1.05 * length + 0.8, 3.9), layout="constrained")
    left = 0.0
    ends: list[float] = []
    for box in boxes:
        corner = (left, -box.height / 2)
        axes.add_patch(Rectangle(corner, box.width, box.height, facecolor=box.colour, edgecolor="black", alpha=0.75))
        axes.text(left + box.width / 2, -HEIGHT / 2 - 0.15, box.text, ha="center", va="top", fontsize=8)
        if ends:
            axes.annotate("", (left, 0), (ends[-1], 0), arrowprops={"arrowstyle": "->"})
        if box.skip:
            _link(axes, (left - GAP / 2, left + box.width + GAP / 2), 0.05, bow=0.45)
        if box.joins is not None:
            _link(axes, (ends[box.joins], left), JOIN * box.height / 2, bow=0.0)
        ends.append(left + box.width)
        left += box.width + GAP
    axes.set(xlim=(-0.3, length + 0.3), ylim=(-HEIGHT / 2 - 1.9, HEIGHT / 2 + 0.2))
    axes.set_axis_off()
    training = str(spec).split(" | ")[1]
    figure.suptitle("\n".join(textwrap.wrap(f"Trained with {training}", 90)), fontsize=10)
    return save_figure(figure, path)


def _link(axes: Axes, ends: tuple[float, float], height: float, bow: float) -> None:
    """An arrow from the one of two places to the other, past the boxes in between."""
    from matplotlib.patches import FancyArrowPatch

    start, stop = ((place, height) for place in ends)
    arrow = FancyArrowPatch(start, stop, arrowstyle="->", connectionstyle=f"arc3,rad={-bow}", mutation_scale=10)
    arrow.set(color=VERMILION, linewidth=1.5)
    axes.add_patch(arrow)


def _boxes(spec: NetworkSpec, class_names: tuple[str, ...]) -> list[Box]:
    """The boxes from left to right, the frame and the maps at the ends."""
    boxes = [Box(NARROWEST, HEIGHT, COLOURS["ends"], "frame")]
    for layer, _, channels, _, stride, joins in walk(spec.layers):
        width = NARROWEST + (WIDEST - NARROWEST) * channels / MOST_CHANNELS
        # What enters a layer is the output of the box before its own: with the frame in front, that of its number.
        boxes.append(Box(width, HEIGHT / stride, *_look(layer), getattr(layer, "skip", False), joins))
    maps = "\n".join(textwrap.fill(name.replace("_", " "), 14) for name in ("maps of", "background", *class_names))
    return [*boxes, Box(NARROWEST, HEIGHT, COLOURS["ends"], maps)]


def _look(layer: Layer) -> tuple[str, str]:
    if isinstance(layer, Pool):
        return COLOURS["pool"], f"{layer.operation}\n{layer.side} x {layer.side}" + _stride(layer)
    if isinstance(layer, FullyConnected):
        return COLOURS["full"], f"full {layer.neurons}\n{layer.activation}" + _dropout(layer)
    if isinstance(layer, Upsample):
        return COLOURS["up"], "up" + ("\njoined" if layer.join else "")
    size = f"{layer.kernels}\n{layer.kernel_height} x {layer.kernel_width}"
    dilated = f"\ndilated {layer.dilation}" if layer.dilation > 1 else ""
    norm = "\nbatch norm" if layer.normalisation == "batch" else ""
    return COLOURS["convolution"], size + _stride(layer) + dilated + norm + f"\n{layer.activation}" + _dropout(layer)


def _stride(layer: Convolution | Pool) -> str:
    return f"\nstride {layer.stride}" if layer.stride > 1 else ""


def _dropout(layer: Convolution | FullyConnected) -> str:
    return f"\ndropout {layer.dropout:g}" if layer.dropout else ""
