"""Frames in four rows: as recorded, as known, as the Fourier filter and as the network see them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from analysis.figures.panels import frame_title, named, scale_bar, show_image
from analysis.figures.style import MISSED, REST, RIGHT, WRONG, save_figure
from analysis.results import FrameResult
from analysis.scores import match, matching_f1
from data_prep.labels import LabelledFrame
from data_prep.movie import Movie
from data_prep.objects import LABEL_RADIUS, Objects, paint

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ROWS = ("recorded", "known", "Fourier filter", "network")
PANEL_IN, WIDEST_IN = 3.4, 10.8
MOST_COLUMNS = 6  # more frames go on in further blocks of four rows
LEFT_IN, RIGHT_IN, TOP_IN, BOTTOM_IN, TITLE_IN, GAP_IN = 0.35, 0.1, 0.4, 0.4, 0.3, 0.06
DISPLAY_RADIUS = 1.5  # times the label radius: single columns must be seen in a small panel


def draw_defect_maps(
    movie: Movie, results: Sequence[FrameResult], truths: Sequence[LabelledFrame | None], path: Path
) -> Path:
    """Draw frames of a movie, a column each, six side by side; one frame alone is laid out as a row.

    In the last two rows white is rightly found, purple found but not there, orange missed; where
    nothing is known, what was found is white.
    """
    from matplotlib.patches import Patch

    across = len(results) == 1
    figure, places = _layout(len(results), movie.shape)
    title = named(movie.source.name) + (f", {frame_title(movie, results[0].frame)}" if across else "")
    figure.suptitle(title, fontsize=11, y=1 - 0.1 / figure.get_figheight())
    for number, (result, truth, panels) in enumerate(zip(results, truths, places, strict=True)):
        _show_frame(panels, movie, result, truth)
        for name, panel in zip(ROWS, panels, strict=True):
            if across:
                panel.set_title(name)
            elif number % _columns(len(results)) == 0:
                panel.set_ylabel(name)
        if not across:
            panels[0].set_title(frame_title(movie, result.frame), fontsize=9.5)
    names = {RIGHT: "found"}
    if any(truth is not None for truth in truths):
        names = {RIGHT: "rightly found", WRONG: "found, not there", MISSED: "missed"}
    patches = [Patch(facecolor=colour, edgecolor="0.4", label=name) for colour, name in names.items()]
    figure.legend(handles=patches, loc="lower center", ncols=3, frameon=False)
    return save_figure(figure, path)


def _columns(frames: int) -> int:
    """How many frames stand side by side, so that the blocks are alike."""
    return math.ceil(frames / math.ceil(frames / MOST_COLUMNS))


def _layout(frames: int, shape: tuple[int, int]) -> tuple[Figure, list[list[Axes]]]:
    """A figure, and for each frame its four panels; placed by hand, as layout engines are slow with hundreds."""
    from matplotlib import pyplot as plt

    columns = len(ROWS) if frames == 1 else _columns(frames)
    blocks = 1 if frames == 1 else math.ceil(frames / columns)
    rows = 1 if frames == 1 else len(ROWS)
    width = min(PANEL_IN, WIDEST_IN / columns) if frames > 1 else PANEL_IN
    height = width * shape[0] / shape[1]
    block = TITLE_IN + rows * (height + GAP_IN)
    size = (LEFT_IN + columns * (width + GAP_IN) + RIGHT_IN, TOP_IN + blocks * block + BOTTOM_IN)
    figure = plt.figure(figsize=size)
    places: list[list[Axes]] = []
    for frame in range(frames):
        at_block, at_column = divmod(frame, columns)
        places.append([])
        for row in range(len(ROWS)):
            down, across = (0, row) if frames == 1 else (row, at_column)
            left = LEFT_IN + across * (width + GAP_IN)
            top = TOP_IN + at_block * block + TITLE_IN + down * (height + GAP_IN)
            corner = (left / size[0], 1 - (top + height) / size[1])
            places[-1].append(figure.add_axes((*corner, width / size[0], height / size[1]), xticks=[], yticks=[]))
    return figure, places


def _show_frame(panels: Sequence[Axes], movie: Movie, result: FrameResult, truth: LabelledFrame | None) -> None:
    """A frame as recorded, as known and as both methods see it."""
    frame = movie.frame(result.frame)
    show_image(panels[0], frame)
    scale_bar(panels[0], frame.shape, movie.pixel_size_nm)
    if truth is not None:
        known = paint(truth.objects, DISPLAY_RADIUS * LABEL_RADIUS * result.period_px) > 0
        panels[1].imshow(known, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    else:
        panels[1].text(0.5, 0.5, "no truth given", ha="center", transform=panels[1].transAxes)
    if result.fourier is None or result.network is None:
        return
    network = result.network.objects.keep(result.network.by_network)
    for panel, found in ((panels[2], result.fourier), (panels[3], network)):
        panel.imshow(compare(found, truth, result.period_px), interpolation="nearest")
        if truth is not None:
            f1 = matching_f1(match(found, truth, result.period_px))
            _note(panel, f"F1 {f1:.2f}")


def compare(found: Objects, truth: LabelledFrame | None, period_px: float) -> NDArray[np.uint8]:
    """Colour image (y, x, rgb) of found objects against the truth; what is not scored is left black."""
    from matplotlib.colors import to_rgb

    radius = DISPLAY_RADIUS * LABEL_RADIUS * period_px
    right, wrong, missed = ([round(255 * v) for v in to_rgb(colour)] for colour in (RIGHT, WRONG, MISSED))
    image = np.empty((*found.regions.shape, 3), np.uint8)
    image[:] = [round(255 * v) for v in to_rgb(REST)]
    painted = paint(found, radius)
    if truth is None:
        image[painted > 0] = right
        return image
    matching = match(found, truth, period_px)
    held = np.concatenate([[False], ~matching.known & matching.counted_known])
    image[held[paint(truth.objects, radius)]] = missed
    image[np.concatenate([[False], ~matching.found & matching.counted_found])[painted]] = wrong
    image[np.concatenate([[False], matching.found & matching.counted_found])[painted]] = right
    return image


def _note(panel: Axes, text: str) -> None:
    panel.text(
        0.03,
        0.97,
        text,
        color="white",
        va="top",
        transform=panel.transAxes,
        bbox={"facecolor": "black", "alpha": 0.7, "pad": 2, "linewidth": 0},
    )
