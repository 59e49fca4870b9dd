"""How many defects of each kind there were in each frame, and how much of it was holes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from analysis.figures.panels import HOLE, named, styles_of, time_axis, whole_ticks, wrapped
from analysis.figures.style import plain_axes, save_figure, say_instead

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

MARKS = 15  # markers along a line
TOGETHER = 6  # kinds in a panel
WRAP = 24  # characters


def draw_counts_over_time(counts: pd.DataFrame, kinds: Sequence[str], path: Path) -> Path:
    """Draw the counts of one movie by kind over time, and the area of its holes below where it has any.

    `counts` is the table of that name; a kind without a row in a frame that has others was not there.
    """
    from matplotlib import pyplot as plt

    if counts.empty:
        figure, above = plt.subplots(figsize=(10, 2.5), layout="constrained")
        say_instead(above, "no defect was counted")
        return save_figure(figure, path)
    frames = counts.drop_duplicates("frame").sort_values("frame")
    time, unit = time_axis(frames["time_s"].to_numpy(np.float64), frames["frame"].to_numpy(np.float64))
    holes = counts[counts["kind"] == HOLE].groupby("frame")[["area_nm2", "area_px"]].sum(min_count=1)
    with_holes = bool((holes["area_px"] > 0).any() or (holes["area_nm2"] > 0).any())
    by_kind = counts.pivot_table(index="frame", columns="kind", values="count", aggfunc="sum").reindex(frames["frame"])
    styles = styles_of(by_kind.columns, kinds)
    groups = [part.tolist() for part in np.array_split(list(styles), math.ceil(len(styles) / TOGETHER))]
    heights = [4.2 if len(groups) == 1 else 2.6] * len(groups) + [2.0] * with_holes
    figure, axes = plt.subplots(
        len(heights), 1, figsize=(11, sum(heights) + 0.8), sharex=True, squeeze=False, height_ratios=heights,
        layout="constrained",
    )  # fmt: skip
    panels: list[Axes] = list(axes[:, 0])
    for panel, group in zip(panels, groups, strict=False):
        for name in group:
            style = styles[name]
            panel.plot(
                time, by_kind[name].fillna(0), color=style.colour, linestyle=style.line, marker=style.marker,
                markevery=max(len(time) // MARKS, 1), markersize=5, linewidth=1.2, clip_on=False,
                label=wrapped(name, WRAP),
            )  # fmt: skip
        panel.set(ylabel="defects in the frame", ylim=(0, None))
        panel.legend(frameon=False, fontsize=8.5, loc="upper left", bbox_to_anchor=(1.01, 1), borderaxespad=0)
        whole_ticks(panel.yaxis)
    if with_holes:
        column, area_unit = ("area_nm2", "nm²") if holes["area_nm2"].notna().any() else ("area_px", "px²")
        area = holes[column].reindex(frames["frame"]).fillna(0)
        panels[-1].fill_between(time, area, color="0.75", linewidth=0)
        panels[-1].plot(time, area, color="black", marker="." if len(time) == 1 else None)
        panels[-1].set(ylabel=f"area of holes, {area_unit}", ylim=(0, None))
    for panel in panels:
        plain_axes(panel)
    panels[-1].set_xlabel("time, s" if unit == "s" else "frame")
    if len(time) > 1:
        panels[-1].set_xlim(time[0], time[-1])
    else:
        panels[-1].set_xticks(time)
    if unit == "frames" and len(time) > 1:
        whole_ticks(panels[-1].xaxis)
    figure.suptitle(f"{named(str(counts['movie'].iloc[0]))}: defects over time", fontsize=10.5)
    return save_figure(figure, path)
