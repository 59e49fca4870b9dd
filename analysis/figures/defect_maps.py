"""Frames in four rows: as recorded, as known, as the Fourier filter and as the network see them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from analysis.figures.style import MISSED, REST, RIGHT, WRONG, save_figure
from analysis.results import FrameResult
from analysis.scores import match, matching_f1
from data_prep.labels import LabelledFrame
from data_prep.movie import Movie
from data_prep.objects import LABEL_RADIUS, Objects, paint

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ROWS = ("recorded", "known", "Fourier filter", "network")
PANEL_IN = 3.4
DISPLAY_RADIUS = 1.5  # times the label radius: single columns must be seen in a small panel


def draw_defect_maps(
    movie: Movie, results: Sequence[FrameResult], truths: Sequence[LabelledFrame | None], path: Path
) -> Path:
    """Draw some frames of a movie, a column each; one frame alone is laid out as a row.

    In the last two rows white is rightly found, purple found but not there, orange missed; where
    nothing is known, what was found is white.
    """
    from matplotlib import pyplot as plt
    from matplotlib.patches import Patch

    across = len(results) == 1
    shape = (1, len(ROWS)) if across else (len(ROWS), len(results))
    size = (PANEL_IN * shape[1] + 0.4, PANEL_IN * movie.shape[0] / movie.shape[1] * shape[0] + 0.9)
    figure, grid = plt.subplots(*shape, figsize=size, squeeze=False, layout="constrained")
    for column, (result, truth) in enumerate(zip(results, truths, strict=True)):
        panels: list[Axes] = list(grid[0] if across else grid[:, column])
        _show_frame(panels[0], movie, result.frame)
        if truth is not None:
            known = paint(truth.objects, DISPLAY_RADIUS * LABEL_RADIUS * result.period_px) > 0
            panels[1].imshow(known, cmap="gray", interpolation="nearest")
        else:
            panels[1].text(0.5, 0.5, "no truth given", ha="center", transform=panels[1].transAxes)
        if result.fourier is None or result.network is None:
            continue
        for panel, found in ((panels[2], result.fourier), (panels[3], result.network.objects)):
            panel.imshow(compare(found, truth, result.period_px), interpolation="nearest")
            if truth is not None:
                f1 = matching_f1(match(found, truth, result.period_px))
                _note(panel, f"F1 {f1:.2f}")
        for row, panel in enumerate(panels):
            panel.set_xticks([])
            panel.set_yticks([])
            if across:
                panel.set_title(ROWS[row])
            elif column == 0:
                panel.set_ylabel(ROWS[row])
        if not across:
            panels[0].set_title(f"frame {result.frame}")
    names = {RIGHT: "rightly found", WRONG: "found, not there", MISSED: "missed"}
    patches = [Patch(facecolor=colour, edgecolor="0.4", label=name) for colour, name in names.items()]
    figure.legend(handles=patches, loc="outside lower center", ncols=3, frameon=False)
    figure.suptitle(f"{movie.source.name}" + (f", frame {results[0].frame}" if across else ""))
    return save_figure(figure, path)


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


def _show_frame(panel: Axes, movie: Movie, number: int) -> None:
    frame = movie.frame(number)
    low, high = np.percentile(frame, [0.5, 99.8])
    panel.imshow(frame, cmap="gray", vmin=low, vmax=high)
    if movie.pixel_size_nm is None:
        return
    width_nm = frame.shape[1] * movie.pixel_size_nm
    length_nm = max(v for e in range(-1, 5) for v in (10.0**e, 2 * 10.0**e, 5 * 10.0**e) if v <= width_nm / 4 or e < 0)
    y, x = frame.shape[0] * 0.94, frame.shape[1] * 0.05
    right = x + length_nm / movie.pixel_size_nm
    panel.plot([x, right], [y, y], color="black", linewidth=7, solid_capstyle="butt")
    panel.plot([x, right], [y, y], color="white", linewidth=4, solid_capstyle="butt")
    panel.text(
        (x + right) / 2,
        y - 0.025 * frame.shape[0],
        f"{length_nm:g} nm",
        color="white",
        ha="center",
        va="bottom",
        bbox={"facecolor": "black", "alpha": 0.55, "pad": 1.5, "linewidth": 0},
    )


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
