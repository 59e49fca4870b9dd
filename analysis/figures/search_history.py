"""How the search went: every network, the population and the best so far."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from analysis.figures.style import (
    MOST_DOTS,
    ORIGINS,
    counted,
    dot_size,
    error_limits,
    error_name,
    legend_below,
    plain_axes,
    save_figure,
    say_instead,
    spread,
    tick_failures,
)
from analysis.population import Rules, kind_of_origin, population_quantiles
from search.evaluation import Evaluation, Status

if TYPE_CHECKING:
    from matplotlib.axes import Axes

STAGES = ("evolution", "tuning")
MOST_STEPS = 3000  # of a line


def draw_search_history(evaluations: Sequence[Evaluation], rules: Rules, path: Path) -> Path:
    """Draw the error of networks by generation, and beside it by tuned set; only one of them where the other was not.

    A dot is a network, by its origin; ticks below are those that failed. The band holds the middle half of the
    population, as `rules` make it.
    """
    from matplotlib import pyplot as plt

    stages = {name: [e for e in evaluations if e.request.stage == name] for name in STAGES}
    shown = [name for name, of_stage in stages.items() if of_stage] or ["evolution"]
    figure, panels = plt.subplots(
        1, len(shown), figsize=(10, 5), sharey=True, squeeze=False, width_ratios=[3, 2][: len(shown)],
        layout="constrained",
    )  # fmt: skip
    if not evaluations:
        say_instead(panels[0, 0], "no network was evaluated")
        return save_figure(figure, path)
    limits = error_limits(1 - np.array([e.fitness for e in evaluations if e.status is Status.OK]))
    for panel, name in zip(panels[0], shown, strict=True):
        per_x = rules.population if name == "evolution" else 1
        _show(panel, stages[name], per_x, limits)
        if name == "evolution":
            _show_population(panel, stages[name], rules)
        _show_best(panel, _fitness(stages[name]), per_x, _best(stages["evolution"] if name == "tuning" else []))
        panel.set_xlabel("generation" if name == "evolution" else "hyperparameter set")
        title = "tuning of the best topology" if name == "tuning" and stages["evolution"] else name
        panel.set_title(f"{title}: {counted(len(stages[name]), 'network')}", fontsize=10.5)
        panel.set_ylim(limits)
        plain_axes(panel)
        panel.set_xlim(left=0)
        legend_below(panel, 3)
    panels[0, 0].set_ylabel(error_name(rules.fitness))
    return save_figure(figure, path)


def _fitness(evaluations: Sequence[Evaluation]) -> NDArray[np.float64]:
    """Fitness (n,), NaN for networks that failed."""
    return np.array([e.fitness if e.status is Status.OK else np.nan for e in evaluations])


def _best(evaluations: Sequence[Evaluation]) -> float:
    return max((e.fitness for e in evaluations if e.status is Status.OK), default=np.nan)


def _show(panel: Axes, evaluations: Sequence[Evaluation], per_x: int, limits: tuple[float, float]) -> None:
    """A dot for each network, on the upper edge if it is worse than that; a tick for each that failed."""
    numbers = spread(len(evaluations), MOST_DOTS)
    chosen = [evaluations[number] for number in numbers]
    error, x = 1 - _fitness(chosen), (numbers + 1) / per_x
    kinds = np.array([kind_of_origin(e.request) for e in chosen])
    for kind, (colour, marker) in ORIGINS.items():
        here = kinds == kind
        if here.any():
            panel.plot(
                x[here], np.minimum(error[here], limits[1]), marker, color=colour, markersize=dot_size(len(chosen)),
                markeredgewidth=0, alpha=0.75, clip_on=False, label=kind,
            )  # fmt: skip
    bad = [number for number, e in enumerate(evaluations) if e.status is not Status.OK]
    tick_failures(panel, (np.array(bad) + 1) / per_x, [evaluations[number] for number in bad])
    if len(chosen) < len(evaluations):
        panel.plot([], [], " ", label=f"(one network in {len(evaluations) / len(chosen):.0f} drawn)")


def _show_population(panel: Axes, evaluations: Sequence[Evaluation], rules: Rules) -> None:
    """Median and middle half of the population."""
    numbers = spread(len(evaluations), MOST_STEPS)
    _, lower, median, upper, _ = 1 - population_quantiles(evaluations, rules, numbers.tolist()).T
    if np.isnan(median).all():
        return
    x = (numbers + 1) / rules.population
    panel.fill_between(x, upper, lower, step="post", color="0.35", alpha=0.3, linewidth=0, label="its middle half")
    panel.step(x, median, where="post", color="0.25", linewidth=1.1, linestyle="--", label="population, median")


def _show_best(panel: Axes, fitness: NDArray[np.float64], per_x: int, before: float) -> None:
    """The least error so far, from that of an earlier stage on, where it is not NaN."""
    best = 1 - np.fmax.accumulate(np.concatenate([[before], fitness]))[1:]
    if np.isnan(best).all():
        return
    numbers = spread(len(best), MOST_STEPS)
    panel.step((numbers + 1) / per_x, best[numbers], where="post", color="black", linewidth=1.6, label="best so far")
    panel.annotate(
        f"{best[-1]:.3f}", (len(best) / per_x, best[-1]), xytext=(0, -11), textcoords="offset points", ha="right"
    )
