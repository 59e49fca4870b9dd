"""How the columns around each kind of defect are displaced, and by how much bonds are longer or shorter."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from analysis.figures.panels import KindStyle, bar_length, small_multiples, styles_of, wrapped
from analysis.figures.style import counted, save_figure, say_instead

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.collections import PathCollection

# Markers of sublattices, the brightest first.
MARKERS = {"o": "circles", "s": "squares", "D": "diamonds", "^": "triangles"}
LONGEST = 0.9  # arrow in distances between neighbours
BESIDE = 0.47  # distances between neighbours
FEWEST = 3  # defects of a kind: the mean of fewer is no more than noise
NEAREST = 1.15  # times the least distance: the neighbours whose change is written down


def draw_surroundings(surroundings: pd.DataFrame, kinds: Sequence[str], path: Path) -> Path:
    """Draw a vector map for each kind, the defect in the middle, axes in nm, y down as in the frame.

    Arrows are the mean displacements, of one scale in all maps; those that are smaller than their error are pale.
    Colours, and numbers at the nearest neighbours, are the change of the distance to the defect in %.
    `surroundings` is the table of that name. Kinds of fewer than `FEWEST` defects are left out.
    """
    from matplotlib import pyplot as plt

    known = surroundings.dropna(subset=["dy_nm", "dx_nm", "uy_pm", "ux_pm"])
    known = known[known.groupby("kind")["count"].transform("max") >= FEWEST]
    styles = styles_of(known["kind"], kinds)
    if not styles:
        figure, axes = plt.subplots(figsize=(10, 2.5), layout="constrained")
        said = f"no kind has {FEWEST} defects that lie alone on the lattice"
        if len(surroundings) and surroundings["dy_nm"].isna().all():
            said = "the pixel size is not known: give --pixel-size"
        say_instead(axes, f"no surroundings: {said}")
        return save_figure(figure, path)
    apart = float(np.hypot(known["dy_nm"], known["dx_nm"]).min())
    lengths = np.hypot(known["uy_pm"], known["ux_pm"])
    clear = lengths[lengths > known["error_pm"]]
    longest = max(float((clear if len(clear) else lengths).max()), 1e-3)
    pm_per_nm = longest / (LONGEST * apart)
    most = max(float(known["bond_change_percent"].abs().max()), 0.1)
    reach = float(known[["dy_nm", "dx_nm"]].abs().max().max()) + 0.9 * apart
    figure, panels = small_multiples(len(styles), (3.5, 3.6))
    across = panels[0].get_gridspec().ncols  # type: ignore[union-attr]
    figure.set_figheight(figure.get_figheight() + 0.5)  # the title, of three lines
    figure.set_figwidth(max(3.5 * across, 3.9) + 1)  # the colour bar
    for panel, (name, style) in zip(panels, styles.items(), strict=True):
        dots = _show(panel, known[known["kind"] == name], style, pm_per_nm, most, apart)
        panel.set(xlim=(-reach, reach), ylim=(reach, -reach), aspect="equal")
        panel.tick_params(labelsize=8)
        panel.set_xlabel("x, nm", fontsize=8.5)
        panel.set_ylabel("y, nm", fontsize=8.5)
        of_kind = known[known["kind"] == name]
        panel.set_title(f"{wrapped(name)}\nmean of {counted(int(of_kind['count'].max()), 'defect')}", fontsize=9)
    _key(panels[0], pm_per_nm, longest, reach)
    figure.colorbar(dots, ax=panels, label="change of the distance to the defect, %", shrink=0.8, aspect=30, pad=0.02)
    shapes = [f"{MARKERS[marker]}: sublattice {of}" for of, marker in _markers(known["sublattice"]).items() if of]
    figure.suptitle(
        "mean displacement of neighbouring columns\npale arrows: smaller than their error\n" + ", ".join(shapes),
        fontsize=10.5,
    )
    return save_figure(figure, path)


def _show(
    panel: Axes, around: pd.DataFrame, style: KindStyle, pm_per_nm: float, most: float, apart: float
) -> PathCollection:
    """The map of one kind; returns the dots for the colour bar."""
    y, x, uy, ux = (around[name].to_numpy(np.float64) for name in ("dy_nm", "dx_nm", "uy_pm", "ux_pm"))
    change = around["bond_change_percent"].to_numpy(np.float64)
    for sublattice, marker in _markers(around["sublattice"]).items():
        here = (around["sublattice"] == sublattice).to_numpy()
        # Where no change is known, the dot is white.
        dots = panel.scatter(
            x[here], y[here], c=change[here], marker=marker, s=58, cmap="PuOr_r", vmin=-most, vmax=most,
            edgecolors="0.35", linewidths=0.7, zorder=2, plotnonfinite=True,
        )  # fmt: skip
    clear = np.hypot(uy, ux) > around["error_pm"].to_numpy(np.float64)
    for which, colour, order in ((~clear, "0.72", 3), (clear, "black", 4)):
        if which.any():
            panel.quiver(
                x[which], y[which], ux[which], uy[which], angles="xy", scale_units="xy", scale=pm_per_nm, color=colour,
                width=0.009, zorder=order, minlength=0,
            )  # fmt: skip
    panel.plot(0, 0, style.marker, color=style.colour, markersize=11, markeredgecolor="black", zorder=5)
    distance = np.hypot(y, x)
    for number in np.flatnonzero((distance < NEAREST * distance.min()) & np.isfinite(change)):
        # Beside the dot, across the bond: there is no arrow.
        aside = BESIDE * apart / distance[number]
        panel.text(
            x[number] - aside * y[number], y[number] + aside * x[number], f"{change[number]:+.1f}", fontsize=6.5,
            zorder=6, ha="center", va="center",
            bbox={"facecolor": "white", "alpha": 0.8, "pad": 0.6, "linewidth": 0},
        )  # fmt: skip
    return dots


def _markers(sublattices: Iterable[str]) -> dict[str, str]:
    """The marker of each sublattice there is, "A" the first."""
    markers = list(MARKERS)
    return {
        name: markers[(ord(name[0]) - ord("A")) % len(markers)] if name else "o" for name in sorted(set(sublattices))
    }


def _key(panel: Axes, pm_per_nm: float, longest: float, reach: float) -> None:
    """An arrow of a round length, in the lower left corner."""
    length = bar_length(4 * longest)
    x, y = -0.94 * reach, 0.93 * reach
    panel.quiver(
        [x], [y], [length], [0], angles="xy", scale_units="xy", scale=pm_per_nm, color="black", width=0.009, minlength=0
    )
    panel.text(x + length / pm_per_nm + 0.04 * reach, y, f"{length:g} pm", fontsize=8, va="center")
