"""Which classes of defects the network takes for which."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from analysis.figures.style import save_figure, say_instead
from analysis.scores import FALSE_ALARM, MISSED

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

CELL_IN = 1.05
DARK = 0.55  # of a cell's share: from here on its text is white


def draw_confusion(table: pd.DataFrame, path: Path) -> Path:
    """Draw the table of `analysis.confusion`, its movies together, as a matrix; where it is empty, say so.

    A row for each class that the truth or the network knows, and one for false alarms; a column for each class, and
    one for what was missed. Cells have counts and shares of their row; those of the right class have a frame.
    """
    from matplotlib import pyplot as plt

    classes = _classes(table)
    side = CELL_IN * (len(classes) + 1)
    figure, axes = plt.subplots(figsize=(max(side + 2.2, 6.2), max(side + 1.9, 4.2)), layout="constrained")
    if not classes:
        say_instead(axes, "No defects of known classes to compare with.")
        return save_figure(figure, path)
    rows, columns = [*classes, FALSE_ALARM], [*classes, MISSED]
    counts = (
        table.pivot_table(index="true", columns="found", values="count", aggfunc="sum")
        .reindex(index=rows, columns=columns)
        .fillna(0)
        .to_numpy()
        .astype(int)
    )
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1.15)  # the darkest blues are as black as the frames
    _write_cells(axes, counts, shares)
    names = [name.replace("_", " ") for name in columns]
    axes.set_xticks(range(len(columns)), names, rotation=30, ha="right", rotation_mode="anchor")
    axes.set_yticks(
        range(len(rows)), [f"{row.replace('_', ' ')} ({n:,})" for row, n in zip(rows, counts.sum(1), strict=True)]
    )
    axes.set_xlabel("found as")
    axes.set_ylabel("is (number in all frames)")
    axes.set_title("framed: found as what it is; % of the row", fontsize=10)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    return save_figure(figure, path)


def _classes(table: pd.DataFrame) -> list[str]:
    """The truth's classes, the commonest first, then those that only the network knows."""
    known = (
        table[table["true"] != FALSE_ALARM].groupby("true")["count"].sum().sort_values(ascending=False, kind="stable")
    )
    found = table.loc[table["found"] != MISSED, "found"]
    return list(dict.fromkeys([*known.index, *sorted(found)]))


def _write_cells(axes: Axes, counts: np.ndarray, shares: np.ndarray) -> None:
    from matplotlib.patches import Rectangle

    last = len(counts) - 1
    for row, column in np.ndindex(counts.shape):
        if row == column == last:  # what neither is nor was found
            axes.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, facecolor="0.85", edgecolor="none"))
            continue
        count, share = counts[row, column], shares[row, column]
        text = f"{count:,}\n{100 * share:.0f} %" if count else "0"
        colour = "white" if share >= DARK else "black" if count else "0.6"
        axes.text(column, row, text, ha="center", va="center", color=colour)
    for place in range(last):
        axes.add_patch(Rectangle((place - 0.47, place - 0.47), 0.94, 0.94, fill=False, edgecolor="black", linewidth=2))
