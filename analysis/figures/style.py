"""What all figures share: colours that colour-blind people tell apart, sizes, saving."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from data_prep.files import whole_file
from search.evaluation import Evaluation

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

RIGHT, WRONG, MISSED, REST = "#ffffff", "#a64dff", "#ff9500", "#000000"
# Of the Okabe-Ito palette.
BLUE, GREEN, VERMILION, GREY, ORANGE = "#0072b2", "#009e73", "#d55e00", "#999999", "#e69f00"
# Colour and marker of networks by their origin: in print without colours, the marker tells.
ORIGINS = {
    "prior": ("#bbbbbb", "o"),
    "mutation": (ORANGE, "^"),
    "crossover": (BLUE, "s"),
    "random": ("#bbbbbb", "o"),
    "svm": (VERMILION, "D"),
    "trees": (GREEN, "s"),
    "tpe": (BLUE, "^"),
}
STAGES = {"evolution": BLUE, "tuning": ORANGE}
SCORES = {
    "f1": "pixel F1",
    "iou": "pixel IoU",
    "accuracy": "pixel accuracy",
    "balanced_accuracy": "balanced pixel accuracy",
}
MOST_DOTS = 10_000
FEW_TICKS = 300
SHOWN_SHARE = 0.9  # of networks on the error axis; the worst lie on its upper edge
DPI = 150
MOST_VECTORS = 2000  # dots of a line, or parts of a collection, in a PDF


def save_figure(figure: Figure, path: Path) -> Path:
    """Write a figure as PNG, and beside it as PDF, and close it. Returns the PNG's path.

    In the PDF, what has very many dots or lines is an image: so it stays small. It says nothing of when it was
    written: of the same figure the same file.
    """
    from matplotlib import pyplot as plt

    try:
        with whole_file(path) as png, whole_file(path.with_suffix(".pdf")) as pdf:
            figure.savefig(png, dpi=DPI)
            _rasterize_clouds(figure)
            figure.savefig(pdf, dpi=DPI, metadata={"CreationDate": None})
    finally:
        plt.close(figure)
    return path


def _rasterize_clouds(figure: Figure) -> None:
    from matplotlib.collections import Collection
    from matplotlib.lines import Line2D

    for line in figure.findobj(Line2D):
        if isinstance(line, Line2D) and line.get_marker() not in ("", " ", "None", None):
            line.set_rasterized(np.size(line.get_xdata()) > MOST_VECTORS)
    for parts in figure.findobj(Collection):
        if isinstance(parts, Collection):
            parts.set_rasterized(max(np.shape(parts.get_offsets())[0], len(parts.get_paths())) > MOST_VECTORS)


def plain_axes(axes: Axes) -> None:
    """Take away what carries no information."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="0.92", linewidth=0.8)
    axes.set_axisbelow(True)


def legend_below(axes: Axes, columns: int) -> None:
    """A legend that hides nothing; its dots can be seen however small those of the figure are."""
    from matplotlib.lines import Line2D

    legend = axes.legend(
        frameon=False, fontsize=8.5, loc="upper center", bbox_to_anchor=(0.5, 0), borderaxespad=4.5, ncols=columns
    )
    for handle in legend.legend_handles:
        if isinstance(handle, Line2D):
            handle.set_markersize(max(handle.get_markersize(), 5))


def say_instead(axes: Axes, text: str) -> None:
    """Say why there is nothing to be seen."""
    axes.set_axis_off()
    axes.text(0.5, 0.5, text, ha="center", va="center", color="0.3", transform=axes.transAxes, wrap=True)


def tick_failures(axes: Axes, x: NDArray[np.float64], failed: Sequence[Evaluation]) -> None:
    """A tick at the bottom for each evaluation that failed, at `x` (n,); the legend says how they did."""
    if not failed:
        return
    counts = Counter(str(e.status).replace("_", " ") for e in failed).most_common()
    said = ", ".join(f"{count:,} {status}" for status, count in counts)
    height, alpha = np.full(len(x), 0.02), 0.8 if len(x) < FEW_TICKS else 0.2
    axes.plot(x, height, "|", color=VERMILION, markersize=8, alpha=alpha, transform=axes.get_xaxis_transform())
    axes.plot([], [], "|", color=VERMILION, markersize=8, label=f"failed: {said}")


def counted(count: int, noun: str) -> str:
    """1 network, 2,000 networks."""
    return f"{count:,} {noun}" + ("s" if count != 1 else "")


def error_name(fitness: str) -> str:
    """What the error axis says, for the score that the run's fitness was."""
    return f"validation error, 1 - {SCORES[fitness]}"


def error_limits(error: NDArray[np.float64]) -> tuple[float, float]:
    """Limits of the error axis for networks (n,): the few that learnt next to nothing do not squeeze the others."""
    if not len(error):
        return 0.0, 1.0
    low, high = float(error.min()), float(np.quantile(error, SHOWN_SHARE))
    pad = max(0.08 * (high - low), 0.005)
    return low - 1.6 * pad, high + pad  # below is room for what is written there


def spread(count: int, most: int) -> NDArray[np.int64]:
    """Up to `most` numbers below `count`, evenly spread, the last among them."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).astype(np.int64))


def dot_size(count: int) -> float:
    """Size of markers in points of which there are `count`."""
    return float(np.clip(130 / max(count, 1) ** 0.5, 1.8, 5))
