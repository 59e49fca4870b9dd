"""The library of defects: a row for each kind, with its mean image, examples and intensity."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from analysis.figures.panels import KindStyle, kind_style, named, scale_bar, show_image
from analysis.figures.style import counted, save_figure, say_instead

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from analysis.library.kinds import Kind

EXAMPLES = 6
BINS = 40
NAME_IN, IMAGE_IN, RATIO_IN = 1.9, 1.05, 2.3
WRAP = 20  # characters


def draw_defect_library(kinds: Sequence[Kind], defects: pd.DataFrame, path: Path) -> Path:
    """Draw a row for each kind: its mean image, its spread, six examples, how often it has which intensity ratio.

    Images are in units of the frame's local standard deviation, on one scale of greys; `defects` are those of all
    movies, with the columns `kind` and `ratio`.
    """
    from matplotlib import pyplot as plt

    if not kinds:
        figure, axes = plt.subplots(figsize=(10, 2.5), layout="constrained")
        say_instead(axes, "no kinds of defects: too few defects were found to tell kinds apart")
        return save_figure(figure, path)
    widths = [NAME_IN, *[IMAGE_IN] * (2 + EXAMPLES), RATIO_IN]
    size = (sum(widths) + 0.3, (IMAGE_IN + 0.08) * len(kinds) + 1.0)
    figure, grid = plt.subplots(
        len(kinds), len(widths), figsize=size, width_ratios=widths, squeeze=False, layout="constrained"
    )
    limits = _limits([kind.mean for kind in kinds] + [kind.examples for kind in kinds if len(kind.examples)])
    most = max(float(np.nanmax(kind.spread)) for kind in kinds)
    ratios = [defects.loc[defects["kind"] == kind.name, "ratio"].dropna().to_numpy(np.float64) for kind in kinds]
    edges = _edges(np.concatenate(ratios))
    for number, (kind, panels) in enumerate(zip(kinds, grid, strict=True)):
        _name(panels[0], kind, kind_style(number))
        show_image(panels[1], kind.mean, limits)
        scale_bar(panels[1], kind.mean.shape, kind.step_nm)
        show_image(panels[2], kind.spread, (0.0, most))
        for panel in panels[3:-1]:
            panel.set_axis_off()
        for panel, example in zip(panels[3:-1], kind.examples, strict=False):
            panel.set_axis_on()
            show_image(panel, example, limits)
        _show_ratios(panels[-1], ratios[number], edges, kind_style(number), last=number == len(kinds) - 1)
    for panel, title in zip(grid[0], ("", "mean", f"spread\n(0 to {most:.2g} sd)", "examples"), strict=False):
        panel.set_title(title, fontsize=9)
    grid[0, -1].set_title("intensity beside its\nsublattice, counts", fontsize=9)
    figure.suptitle(
        f"{counted(len(kinds), 'kind')} of defects; black to white: {limits[0]:.2g} to {limits[1]:.2g} standard "
        "deviations of the frame",
        fontsize=10.5,
    )
    return save_figure(figure, path)


def _limits(images: Sequence[NDArray[np.float32]]) -> tuple[float, float]:
    low, high = np.nanpercentile(np.concatenate([image.ravel() for image in images]), [0.5, 99.8])
    return float(low), float(max(high, low + 1e-6))


def _edges(ratios: NDArray[np.float64]) -> NDArray[np.float64]:
    """Edges of the bins of all histograms: the few far off do not squeeze the others."""
    low, high = np.percentile(ratios, [0.5, 99.5]) if len(ratios) else (0.0, 1.0)
    return np.linspace(min(low, 0.0), max(high, 1.2), BINS + 1)


def _name(panel: Axes, kind: Kind, style: KindStyle) -> None:
    import textwrap

    panel.set_axis_off()
    panel.plot(0.04, 0.72, style.marker, color=style.colour, markersize=8, transform=panel.transAxes, clip_on=False)
    lines = textwrap.wrap(named(kind.name.replace("_", " ")), WRAP) or [""]
    if len(lines) > 2:
        lines = [lines[0], lines[1] + " …"]
    panel.text(0.13, 0.72, "\n".join(lines), fontsize=9.5, weight="bold", va="center", transform=panel.transAxes)
    where = f"sublattice {kind.sublattice}" if kind.sublattice else "off the lattice"
    said = f"{counted(kind.count, 'defect')}\n{where}"
    panel.text(0.13, 0.42, said, fontsize=8.5, color="0.3", va="top", transform=panel.transAxes)


def _show_ratios(
    panel: Axes, ratios: NDArray[np.float64], edges: NDArray[np.float64], style: KindStyle, *, last: bool
) -> None:
    """How often a kind has which intensity ratio; a line where a perfect column is."""
    panel.set_xlim(edges[0], edges[-1])
    panel.spines[["top", "right", "left"]].set_visible(False)
    panel.set_yticks([])
    panel.tick_params(labelsize=8, labelbottom=last)
    panel.axvline(1, color="0.6", linewidth=0.8, linestyle=":")
    if len(ratios) == 0:
        panel.text(0.5, 0.5, "not known", ha="center", color="0.4", fontsize=8.5, transform=panel.transAxes)
        return
    counts = np.histogram(np.clip(ratios, edges[0], edges[-1]), edges)[0]
    panel.stairs(counts, edges, fill=True, color=style.colour, alpha=0.6)
    panel.set_ylim(0, 1.45 * counts.max())
    spread = f" ± {ratios.std(ddof=1):.2f}" if len(ratios) > 1 else ""
    panel.text(
        0.98, 0.97, f"{ratios.mean():.2f}{spread}", ha="right", va="top", fontsize=8.5, transform=panel.transAxes
    )
