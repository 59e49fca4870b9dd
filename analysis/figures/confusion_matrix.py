"""Which classes of defects are taken for which."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from analysis.confusion import LIBRARY, NETWORK
from analysis.figures.style import save_figure, say_instead
from analysis.scores import FALSE_ALARM, MISSED

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

CELL_IN = 1.05
TITLES = {NETWORK: "by the network's classes", LIBRARY: "by the library's kinds"}
DARK = 0.55  # of a cell's share: from here on its text is white


def draw_confusion(table: pd.DataFrame, path: Path) -> Path:
    """Draw the table of `analysis.confusion`, its movies together, as matrices; where it is empty, say so.

    One is by the network's classes, one by the library's kinds. A row for each class that the truth knows, and one for
    false alarms; a column for each class or kind, and one for what was missed. Cells have counts and shares of their
    row; those of the right class have a frame.
    """
    from matplotlib import pyplot as plt

    parts = [(by, table[table["by"] == by]) for by in (NETWORK, LIBRARY) if (table["by"] == by).any()]
    if not parts:
        figure, axes = plt.subplots(figsize=(6.2, 4.2), layout="constrained")
        say_instead(axes, "No defects of known classes to compare with.")
        return save_figure(figure, path)
    height = max(CELL_IN * max(len(_rows(part)) for _, part in parts) + 1.9, 4.2)
    widths = [max(CELL_IN * len(_columns(part)) + 2.2, 4.5) for _, part in parts]
    figure, grid = plt.subplots(
        1, len(parts), figsize=(sum(widths), height), width_ratios=widths, squeeze=False, layout="constrained"
    )
    for axes, (by, part) in zip(grid[0], parts, strict=True):
        _draw(axes, part, TITLES[by])
    return save_figure(figure, path)


def _draw(axes: Axes, table: pd.DataFrame, title: str) -> None:
    rows, columns = _rows(table), _columns(table)
    counts = (
        table.pivot_table(index="true", columns="found", values="count", aggfunc="sum")
        .reindex(index=rows, columns=columns)
        .fillna(0)
        .to_numpy()
        .astype(int)
    )
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1.15)  # the darkest blues are as black as the frames
    _write_cells(axes, counts, shares, rows, columns)
    names = [name.replace("_", " ") for name in columns]
    axes.set_xticks(range(len(columns)), names, rotation=30, ha="right", rotation_mode="anchor")
    axes.set_yticks(
        range(len(rows)), [f"{row.replace('_', ' ')} ({n:,})" for row, n in zip(rows, counts.sum(1), strict=True)]
    )
    axes.set_xlabel("found as")
    axes.set_ylabel("is (number in all frames)")
    axes.set_title(f"{title} (framed: what it is; % of the row)", fontsize=10)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)


def _rows(table: pd.DataFrame) -> list[str]:
    """The truth's classes, the commonest first, and false alarms."""
    known = table[table["true"] != FALSE_ALARM].groupby("true")["count"].sum()
    return [*known.sort_values(ascending=False, kind="stable").index, FALSE_ALARM]


def _columns(table: pd.DataFrame) -> list[str]:
    """The same classes as far as something was found as them, then what else was found, and what was missed."""
    found = set(table["found"]) - {MISSED}
    same = [name for name in _rows(table) if name in found]
    return [*same, *sorted(found - set(same)), MISSED]


def _write_cells(axes: Axes, counts: np.ndarray, shares: np.ndarray, rows: list[str], columns: list[str]) -> None:
    from matplotlib.patches import Rectangle

    for row, column in np.ndindex(counts.shape):
        if (rows[row], columns[column]) == (FALSE_ALARM, MISSED):  # what neither is nor was found
            axes.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, facecolor="0.85", edgecolor="none"))
            continue
        count, share = counts[row, column], shares[row, column]
        text = f"{count:,}\n{100 * share:.0f} %" if count else "0"
        colour = "white" if share >= DARK else "black" if count else "0.6"
        axes.text(column, row, text, ha="center", va="center", color=colour)
        if rows[row] == columns[column].split(" (")[0]:  # a kind has in brackets where it is
            axes.add_patch(Rectangle((column - 0.47, row - 0.47), 0.94, 0.94, fill=False, edgecolor="black", lw=2))
