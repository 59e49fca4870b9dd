"""What all figures share: colours that colour-blind people tell apart, sizes, saving."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from data_prep.files import whole_file

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

RIGHT, WRONG, MISSED, REST = "#ffffff", "#a64dff", "#ff9500", "#000000"
# Of the Okabe-Ito palette.
BLUE, GREEN, VERMILION, GREY = "#0072b2", "#009e73", "#d55e00", "#999999"
DPI = 150


def save_figure(figure: Figure, path: Path) -> Path:
    """Write a figure and close it."""
    from matplotlib import pyplot as plt

    with whole_file(path) as temporary:
        figure.savefig(temporary, dpi=DPI)
    plt.close(figure)
    return path


def plain_axes(axes: Axes) -> None:
    """Take away what carries no information."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="0.92", linewidth=0.8)
    axes.set_axisbelow(True)
