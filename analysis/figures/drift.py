"""Where the sample went while the movie was recorded."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from analysis.figures.panels import named, whole_ticks
from analysis.figures.style import BLUE, ORANGE, plain_axes, save_figure, say_instead

if TYPE_CHECKING:
    import pandas as pd


def draw_drift(drift: pd.DataFrame, pixel_size_nm: float | None, path: Path) -> Path:
    """Draw the path of one movie's sample as it lies in the frame, y down, and beside it by frame; in nm, else px."""
    from matplotlib import pyplot as plt

    if len(drift) < 2:
        figure, axes = plt.subplots(figsize=(10, 2.5), layout="constrained")
        said = "no drift: the lattice was found in no frame" if drift.empty else "no drift: there is one frame only"
        say_instead(axes, said)
        return save_figure(figure, path)
    drift = drift.sort_values("frame")
    scale, unit = (1.0, "px") if pixel_size_nm is None else (pixel_size_nm, "nm")
    frame = drift["frame"].to_numpy()
    dy, dx = (scale * drift[name].to_numpy(np.float64) for name in ("dy_px", "dx_px"))
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4.8), width_ratios=[1, 1], layout="constrained")
    left.plot(dx, dy, color="0.7", linewidth=0.9, zorder=1)
    dots = left.scatter(dx, dy, c=frame, cmap="viridis", s=16, zorder=2)
    left.plot(dx[0], dy[0], "o", markersize=10, markerfacecolor="none", markeredgecolor="black", label="first frame")
    left.plot(dx[-1], dy[-1], "s", markersize=10, markerfacecolor="none", markeredgecolor="black", label="last frame")
    left.set(xlabel=f"x, {unit}", ylabel=f"y, {unit} (down, as in the frame)", aspect="equal", adjustable="datalim")
    left.invert_yaxis()
    left.grid(color="0.92", linewidth=0.8)
    left.legend(frameon=False, fontsize=8.5, loc="best")
    whole_ticks(figure.colorbar(dots, ax=left, label="frame", pad=0.02).ax.yaxis)
    right.plot(frame, dy, color=BLUE, label="y")
    right.plot(frame, dx, "--", color=ORANGE, label="x")
    right.set(xlabel="frame", ylabel=f"position since the first frame, {unit}", xlim=(frame[0], frame[-1]))
    whole_ticks(right.xaxis)
    plain_axes(right)
    right.legend(frameon=False, fontsize=8.5)
    steps = np.hypot(np.diff(dy), np.diff(dx)) / np.diff(frame)
    name = named(str(drift["movie"].iloc[0]))
    figure.suptitle(f"{name}: drift of the sample, {np.nanmedian(steps):.2g} {unit} per frame (median)", fontsize=10.5)
    return save_figure(figure, path)
