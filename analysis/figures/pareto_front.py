"""Error against cost: what a better network costs in use."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from analysis.figures.style import (
    MOST_DOTS,
    ORANGE,
    VERMILION,
    counted,
    dot_size,
    error_limits,
    error_name,
    legend_below,
    plain_axes,
    save_figure,
    say_instead,
    spread,
)
from analysis.genealogy import winner_of
from analysis.pareto import inference_flops_per_pixel, on_front
from search.evaluation import Evaluation, Status

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def draw_pareto_front(evaluations: Sequence[Evaluation], shipped: int | None, fitness: str, path: Path) -> Path:
    """Draw the error of networks against FLOPs and time per megapixel of a frame, with the Pareto fronts.

    `shipped` is the index of the network that became the detector; `fitness` the name of the score.
    """
    from matplotlib import pyplot as plt

    good = [e for e in evaluations if e.status is Status.OK]
    winner = winner_of(good)
    figure, panels = plt.subplots(1, 2, figsize=(10, 5), sharey=True, layout="constrained")
    costs = (
        (
            "FLOPs of detection, G per megapixel",
            np.array([1e-3 * inference_flops_per_pixel(e.request.genome) for e in good]),
        ),
        ("measured time of detection, s per megapixel", np.array([e.inference_s_per_megapixel for e in good])),
    )
    error = 1 - np.array([e.fitness for e in good])
    marked = [
        (name, number, marker, colour, size)
        for number, e in enumerate(good)
        for name, of, marker, colour, size in (
            ("fittest in the search", None if winner is None else winner.request.index, "*", VERMILION, 15.0),
            ("the detector", shipped, "D", ORANGE, 8.0),
        )
        if e.request.index == of
    ]
    for panel, (label, cost) in zip(panels, costs, strict=True):
        panel.set_xlabel(label)
        if (cost > 0).any():
            _show(panel, cost, error, marked)
        else:
            say_instead(panel, "no network was evaluated well")
    panels[0].set_ylabel(error_name(fitness))
    figure.suptitle(
        f"{counted(len(good), 'network')}: each step of a front is a better network for more", fontsize=10.5
    )
    return save_figure(figure, path)


def _show(
    panel: Axes,
    cost: NDArray[np.float64],
    error: NDArray[np.float64],
    marked: Sequence[tuple[str, int, str, str, float]],
) -> None:
    """Networks, the front, and the marked ones by their number."""
    from matplotlib.ticker import LogLocator, NullFormatter

    limits = error_limits(error)
    dots = spread(len(cost), MOST_DOTS)
    panel.plot(
        cost[dots], np.minimum(error[dots], limits[1]), "o", color="#bbbbbb", markeredgewidth=0, alpha=0.75,
        markersize=dot_size(len(dots)), clip_on=False, label="networks",
    )  # fmt: skip
    front = np.flatnonzero(on_front(cost, -error) & (cost > 0))
    front = front[cost[front].argsort()]
    panel.step(
        cost[front], error[front], "o-", where="post", color="black", markersize=4, linewidth=1.3, label="Pareto front"
    )
    for name, number, marker, colour, size in marked:
        panel.plot(
            cost[number], min(error[number], limits[1]), marker, color=colour, markeredgecolor="black", markersize=size,
            label=f"{name}: {error[number]:.3f} at {cost[number]:.3g}", linestyle="none", clip_on=False, zorder=4,
        )  # fmt: skip
    panel.set_xscale("log")
    if np.ptp(cost) == 0:  # only the training was varied
        panel.set_xlim(cost[0] / 2, cost[0] * 2)
    panel.set_ylim(limits)
    narrow = cost[cost > 0].min() > cost.max() / 100
    panel.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if narrow else (1,)))
    panel.xaxis.set_major_formatter("{x:g}")
    panel.xaxis.set_minor_formatter(NullFormatter())
    plain_axes(panel)
    legend_below(panel, 2)
