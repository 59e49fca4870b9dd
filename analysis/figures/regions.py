"""Where to look next: the ranked windows on the frame, what each score is made of, the best ones enlarged."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from analysis.figures.panels import kind_style, named, scale_bar, show_image
from analysis.figures.style import GREY, save_figure
from analysis.regions import TERMS, Region
from analysis.survey import Survey

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D

ENLARGED = 5
MOST_ROWS = 20  # of the table; the file has them all
FRAME_IN = 6.2
BAR = 0.55  # length of a bar that is 1, beside the width of its column


def draw_regions(
    frame: NDArray[np.float32],
    pixel_size_nm: float,
    survey: Survey,
    regions: Sequence[Region],
    title: str,
    path: Path,
) -> Path:
    """Draw the windows of a frame (y, x) with their ranks, the defects by class, and the terms of each score."""
    from matplotlib import pyplot as plt

    rows = min(len(regions), MOST_ROWS)
    high = FRAME_IN * float(np.clip(frame.shape[0] / frame.shape[1], 0.5, 1.5))
    below = 2.3 if regions else 0.0
    figure = plt.figure(figsize=(FRAME_IN + 5.4, high + below + 1.1), layout="constrained")
    heights = [high + 0.8, below] if regions else [1.0]
    upper, *lower = figure.subfigures(len(heights), 1, height_ratios=heights, squeeze=False).ravel()
    whole, table = upper.subplots(1, 2, width_ratios=[FRAME_IN, 5.0])
    handles = _frame(whole, frame, survey)
    for rank, region in enumerate(regions, 1):
        _window(whole, rank, region)
    scale_bar(whole, frame.shape, pixel_size_nm)
    if handles:
        upper.legend(handles=handles, loc="outside lower left", ncols=3, frameon=False, fontsize=9)
    _table(table, regions[:rows], pixel_size_nm)
    for part in lower:
        limits = whole.get_images()[0].get_clim()
        panels = part.subplots(1, ENLARGED)
        for rank, (panel, region) in enumerate(zip(panels, regions, strict=False), 1):
            _enlarged(panel, frame, survey, region, limits)
            panel.set_title(f"{rank}: score {region.score:.2f}", fontsize=9.5)
        for panel in panels[len(regions) :]:
            panel.set_axis_off()
        scale_bar(panels[0], (regions[0].side, regions[0].side), pixel_size_nm)
    figure.suptitle(named(title), fontsize=11)
    return save_figure(figure, path)


def _frame(panel: Axes, frame: NDArray[np.float32], survey: Survey) -> list[Artist]:
    """The frame with its defects; returns what the legend shows."""
    from matplotlib.patches import Patch

    show_image(panel, frame)
    point = ~survey.detections.objects.extended()
    found = survey.detections.objects.positions[point], survey.detections.kinds[point]
    handles: list[Artist] = [*_markers(panel, *found, survey.class_names, size=5.5)]
    if survey.hole.any():
        panel.contour(survey.hole, levels=[0.5], colors="white", linewidths=1.0)
        handles.append(Patch(facecolor="black", edgecolor="0.6", label="no lattice, and the rim (outlined)"))
    return handles


def _markers(
    panel: Axes, positions: NDArray[np.float64], kinds: NDArray[np.int64], names: Sequence[str], size: float
) -> list[Line2D]:
    """Defects (n, 2) of kinds (n,): hollow, so that the column is seen; with a halo, so that the marker is."""
    from matplotlib.patheffects import withStroke

    lines = []
    for number, name in enumerate(names):
        at, style = positions[kinds == number + 1], kind_style(number)
        if len(at):
            lines += panel.plot(
                at[:, 1], at[:, 0], style.marker, markersize=size, markerfacecolor="none",
                markeredgecolor=style.colour, markeredgewidth=1.3, label=named(name.replace("_", " ")),
                path_effects=[withStroke(linewidth=2.8, foreground="white")], scalex=False, scaley=False,
            )  # fmt: skip
    return lines


def _window(panel: Axes, rank: int, region: Region) -> None:
    from matplotlib.patches import Rectangle

    (top, left), side = region.corner, region.side
    for colour, width in (("black", 3.2), ("white", 1.6)):
        panel.add_patch(Rectangle((left - 0.5, top - 0.5), side, side, fill=False, edgecolor=colour, linewidth=width))
    panel.annotate(
        str(rank), (left - 0.5, top - 0.5), xytext=(2.5, -2.5), textcoords="offset points", va="top", color="black",
        fontsize=9, fontweight="bold", bbox={"facecolor": "white", "pad": 1.5, "edgecolor": "black", "linewidth": 0.8},
    )  # fmt: skip


def _table(panel: Axes, regions: Sequence[Region], pixel_size_nm: float) -> None:
    """A row for each window: its score and terms as bars with their values, and where it is."""
    panel.set_axis_off()
    if not regions:
        panel.text(0.5, 0.5, "no window of this size is to be had", ha="center", va="center", color="0.3")
        return
    columns = ["score", *TERMS]
    for rank, region in enumerate(regions, 1):
        panel.text(-0.12, rank, str(rank), ha="right", va="center", fontsize=9.5, fontweight="bold")
        for place, name in enumerate(columns):
            value = region.score if name == "score" else region.terms[name]
            panel.barh(rank, BAR, left=place, height=0.5, color="0.93", linewidth=0)
            panel.barh(rank, BAR * value, left=place, height=0.5, color="0.2" if name == "score" else GREY, linewidth=0)
            panel.text(place + BAR + 0.03, rank, f"{value:.2f}", va="center", fontsize=8)
        y, x = (length * pixel_size_nm for length in region.centre)
        panel.text(len(columns) + 0.05, rank, f"{y:.2f}, {x:.2f}", va="center", fontsize=8)
    for place, name in enumerate(columns):
        panel.text(place, 0.25, name, fontsize=9, fontweight="bold" if name == "score" else None)
    panel.text(len(columns) + 0.05, 0.25, "y, x in nm", fontsize=9)
    panel.set(xlim=(-0.4, len(columns) + 0.9), ylim=(max(len(regions), 10) + 0.6, -0.1))


def _enlarged(
    panel: Axes, frame: NDArray[np.float32], survey: Survey, region: Region, limits: tuple[float, float]
) -> None:
    (top, left), side = region.corner, region.side
    show_image(panel, frame[top : top + side, left : left + side], limits)
    positions = survey.detections.objects.positions
    moved, point = positions - region.corner, ~survey.detections.objects.extended()
    inside = point & ((moved > -0.5) & (moved < side - 0.5)).all(axis=1)
    _markers(panel, moved[inside], survey.detections.kinds[inside], survey.class_names, size=9)
