"""How far defects get: the mean square displacement over the time since."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from analysis.figures.panels import KindStyle, named, small_multiples, styles_of, wrapped
from analysis.figures.style import counted, plain_axes, save_figure, say_instead

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


def draw_diffusion(displacements: pd.DataFrame, diffusion: pd.DataFrame, kinds: Sequence[str], path: Path) -> Path:
    """Draw for each kind of one movie the mean square displacement against the lag, with the line 4 D t.

    `displacements` and `diffusion` are the tables of those names. Without a frame interval lags are in frames.
    """
    from matplotlib import pyplot as plt

    known = displacements[displacements["msd_nm2"].notna()]
    styles = styles_of(known["kind"], kinds)
    if not styles:
        figure, axes = plt.subplots(figsize=(10, 2.5), layout="constrained")
        said = "the pixel size is not known: give --pixel-size" if len(displacements) else "no defect was followed"
        say_instead(axes, f"no diffusion: {said}")
        return save_figure(figure, path)
    in_s = bool(known["lag_s"].notna().all())
    fits = {str(row["kind"]): row for row in diffusion.to_dict("records")}
    figure, panels = small_multiples(len(styles), (3.3, 2.8))
    for panel, (name, style) in zip(panels, styles.items(), strict=True):
        _show_msd(panel, known[known["kind"] == name], "lag_s" if in_s else "lag_frames", style)
        said = _show_line(panel, fits.get(name), in_s=in_s)
        panel.set_title(f"{wrapped(name)}\n{said}", fontsize=9)
        panel.set_xlim(left=0)
        panel.set_ylim(bottom=min(0.0, panel.get_ylim()[0]) if (known["msd_nm2"] < 0).any() else 0.0)
        panel.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
        plain_axes(panel)
    figure.supxlabel("time between, " + ("s" if in_s else "frames"), fontsize=9.5)
    figure.supylabel("mean square displacement, nm²", fontsize=9.5)
    figure.suptitle(f"{named(str(known['movie'].iloc[0]))}: diffusion (95 % intervals; dashed: 4 D t)", fontsize=10.5)
    return save_figure(figure, path)


def _show_msd(panel: Axes, curve: pd.DataFrame, lag: str, style: KindStyle) -> None:
    curve = curve.sort_values(lag)
    time, msd = curve[lag].to_numpy(np.float64), curve["msd_nm2"].to_numpy(np.float64)
    error = np.nan_to_num([msd - curve["low_nm2"], curve["high_nm2"] - msd]).clip(min=0)
    panel.errorbar(
        time, msd, error, color=style.colour, marker=style.marker, linestyle="none", markersize=5, elinewidth=1,
        capsize=2, label="seen",
    )  # fmt: skip


def _show_line(panel: Axes, fit: Mapping[Any, Any] | None, *, in_s: bool) -> str:
    """The line of the diffusion coefficient; returns it in words."""
    if fit is None:
        return "no coefficient"
    moves = f"{counted(int(fit['moves']), 'move')} of {counted(int(fit['tracks']), 'track')}"
    if not in_s or not np.isfinite(fit["coefficient_nm2_s"]):
        return moves
    end = panel.get_xlim()[1]
    panel.plot([0, end], [0, 4 * fit["coefficient_nm2_s"] * end], "--", color="black", linewidth=1.1, label="4 D t")
    value, low, high = (fit[name] for name in ("coefficient_nm2_s", "low_nm2_s", "high_nm2_s"))
    return f"D = {value:.2g} ({low:.2g} to {high:.2g}) nm²/s\n{moves}"
