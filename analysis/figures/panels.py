"""What figures of defects share: pictures with scale bars, and the look of each kind."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from analysis.figures.style import BLUE, GREEN, ORANGE, VERMILION

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

    from data_prep.movie import Movie

PURPLE, SKY = "#cc79a7", "#56b4e9"  # of the Okabe-Ito palette, as those of `style`
NARROW_IN = 3.4  # panels below have smaller letters


@dataclass(frozen=True)
class KindStyle:
    """The look of a kind: `marker` and `line` tell it from the others in print without colours."""

    colour: str
    marker: str
    line: str | tuple[float, tuple[float, ...]]
    hatch: str


# Neighbours differ in lightness; colours come again only with another marker and line.
KIND_STYLES = (
    KindStyle(BLUE, "o", "-", ""),
    KindStyle(ORANGE, "s", "--", "////"),
    KindStyle(GREEN, "^", "-.", "...."),
    KindStyle("#000000", "D", ":", "xxxx"),
    KindStyle(SKY, "v", (0, (6, 1.5)), "----"),
    KindStyle(VERMILION, "P", (0, (4, 1.5, 1, 1.5, 1, 1.5)), "\\\\\\\\"),
    KindStyle(PURPLE, "X", (0, (1, 2)), "++++"),
    KindStyle("#888888", "*", "-", "oooo"),
    KindStyle(BLUE, "<", "--", "||||"),
    KindStyle(ORANGE, ">", "-.", "////...."),
    KindStyle(GREEN, "p", (0, (6, 1.5)), "xxxx----"),
    KindStyle(VERMILION, "h", (0, (1, 2)), "||||...."),
)


HOLE = "hole"  # no kind of the library, but counted and a state of columns
HOLE_STYLE = KindStyle("#555555", "H", (0, (3, 1, 1, 1)), "ooo")


def kind_style(number: int) -> KindStyle:
    """The look of the kind that stands at this place, from 0, in the list of kinds."""
    return KIND_STYLES[number % len(KIND_STYLES)]


def styles_of(names: Iterable[str], kinds: Sequence[str]) -> dict[str, KindStyle]:
    """The look of each of some names, in order: `kinds` as in every figure, then what there is besides, then holes."""
    there = set(names)
    order = [*kinds, *sorted(there - {*kinds, HOLE})]
    styles = {name: kind_style(number) for number, name in enumerate(order) if name in there}
    return {**styles, HOLE: HOLE_STYLE} if HOLE in there - set(kinds) else styles


def named(name: str) -> str:
    """A name that people gave as matplotlib shows it unchanged: no formula, and not hidden from the legend."""
    shown = name.replace("$", r"\$")
    return f" {shown}" if shown.startswith("_") else shown


def wrapped(name: str, width: int = 32) -> str:
    """A kind's name, its words apart, in lines of up to `width` characters; the standard is that of a panel's title."""
    kept = named(name.replace("_", " ")).replace(" + ", " +\u00a0")  # "molybdenum" and below "+ 1", not "molybdenum +"
    return textwrap.fill(kept, width) or kept


def time_axis(seconds: NDArray[np.float64], frames: NDArray[np.float64]) -> tuple[NDArray[np.float64], str]:
    """Times (n,) where all are known, else frames (n,); and the unit."""
    return (seconds, "s") if len(seconds) and np.isfinite(seconds).all() else (frames, "frames")


def whole_ticks(axis: Axis) -> None:
    """Ticks of an axis at whole, round numbers only."""
    from matplotlib.ticker import MaxNLocator

    axis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))


def frame_title(movie: Movie, number: int) -> str:
    """The number of a frame, and its time where it is known."""
    time = "" if movie.frame_interval_s is None else f", {number * movie.frame_interval_s:.6g} s"
    return f"frame {number}{time}"


def small_multiples(count: int, size_in: tuple[float, float], most_columns: int = 4) -> tuple[Figure, list[Axes]]:
    """A figure of `count` panels of this (width, height), in rows; places left over are empty."""
    from matplotlib import pyplot as plt

    rows = math.ceil(count / most_columns)
    columns = math.ceil(count / rows)
    size = (max(size_in[0] * columns, 5.5), size_in[1] * rows + 0.6)
    figure, grid = plt.subplots(rows, columns, figsize=size, layout="constrained", squeeze=False)
    figure.get_layout_engine().set(h_pad=0.1)  # type: ignore[union-attr, call-arg]
    panels: list[Axes] = list(grid.ravel())
    for panel in panels[count:]:
        panel.set_axis_off()
    return figure, panels[:count]


def show_image(axes: Axes, image: NDArray[Any], limits: tuple[float, float] | None = None) -> None:
    """An image (y, x) in grey without ticks; `limits` are the values of black and white."""
    low, high = np.percentile(image, [0.5, 99.8]) if limits is None else limits
    axes.imshow(image, cmap="gray", vmin=low, vmax=high)
    axes.set(xticks=[], yticks=[])


def bar_length(width_nm: float) -> float:
    """The largest 1, 2 or 5 times a power of ten that is no more than a quarter of a width."""
    power = 10.0 ** math.floor(math.log10(width_nm / 4))
    return max(step * power for step in (1, 2, 5) if step * power <= width_nm / 4 * (1 + 1e-9))


def scale_bar(axes: Axes, shape: tuple[int, ...], pixel_size_nm: float | None) -> None:
    """A scale bar at the lower left of an image of this shape (rows, columns); none where the scale is not known."""
    if pixel_size_nm is None or not 0 < pixel_size_nm < math.inf:
        return
    length_nm = bar_length(shape[1] * pixel_size_nm)
    width_in = axes.get_window_extent().width / axes.get_figure(root=True).dpi  # type: ignore[union-attr]
    relative = min(width_in / NARROW_IN, 1.0)
    y, x = shape[0] * 0.94 - 0.5, shape[1] * 0.05
    right = x + length_nm / pixel_size_nm
    for colour, linewidth in (("black", 3 + 4 * relative), ("white", 1.5 + 2.5 * relative)):
        axes.plot(
            [x, right], [y, y], color=colour, linewidth=linewidth, solid_capstyle="butt", scalex=False, scaley=False
        )
    axes.annotate(
        f"{length_nm:g} nm",
        (x, y),
        xytext=(0, 3 + 2 * relative),
        textcoords="offset points",
        color="white",
        fontsize=max(5 + 5 * relative, 6),
        va="bottom",
        bbox={"facecolor": "black", "alpha": 0.55, "pad": 1.5, "linewidth": 0},
    )
