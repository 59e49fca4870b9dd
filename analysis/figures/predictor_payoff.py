"""Does the predictor of the tuning pay on this problem?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

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
)
from search.evaluation import Evaluation
from search.payoff import Payoff, PayoffFold, interval
from search.predictors import RANDOM
from search.tuning import STAGE

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def draw_predictor_payoff(
    evaluations: Sequence[Evaluation], builds: Sequence[Mapping[str, Any]], good_share: float, fitness: str, path: Path
) -> Path:
    """Draw how sets that a predictor chose did beside random ones, and how many of those it looked at an SVM accepted.

    `builds` are the predictors of the journal; `fitness` is the name of the score.
    """
    from matplotlib import pyplot as plt

    fold = PayoffFold()
    tuned = [e for e in evaluations if e.request.stage == STAGE]
    for evaluation in tuned:
        fold.add(evaluation)
    payoff = fold.payoff(good_share)
    if payoff.threshold is None or payoff.precision is None:
        figure, panel = plt.subplots(figsize=(8, 4), layout="constrained")
        reasons = [build["reason"] for build in builds if build["reason"]]
        why = reasons[-1] if reasons else "there was none, or all sets were under way before it had learnt anything"
        say_instead(panel, f"no set was chosen by a predictor: {why}")
        return save_figure(figure, path)
    widths = [3, 2] if payoff.acceptance is None else [3, 2, 2]
    figure, panels = plt.subplots(
        1, len(widths), figsize=(2 + 1.3 * sum(widths), 4.6), layout="constrained", width_ratios=widths
    )
    _show_sets(panels[0], tuned, builds, payoff, fitness)
    _show_shares(panels[1], payoff)
    if payoff.acceptance is not None:
        _show_acceptance(panels[2], tuned, payoff)
    for panel in panels:
        plain_axes(panel)
    return save_figure(figure, path)


def _show_sets(
    panel: Axes, tuned: Sequence[Evaluation], builds: Sequence[Mapping[str, Any]], payoff: Payoff, fitness: str
) -> None:
    """A dot for each set, and the line below which it did well."""
    known = [e for e in tuned if e.request.origin in ORIGINS]
    numbers = spread(len(known), MOST_DOTS)
    shown = [known[number] for number in numbers]
    error = 1 - np.array([e.fitness for e in shown])
    limits = error_limits(error)
    origins = np.array([e.request.origin for e in shown])
    for origin in dict.fromkeys(origins.tolist()):
        colour, marker = ORIGINS[origin]
        here = origins == origin
        panel.plot(
            numbers[here] + 1, np.minimum(error[here], limits[1]), marker, color=colour, markeredgewidth=0, alpha=0.75,
            markersize=dot_size(len(shown)), clip_on=False, label=origin if origin == RANDOM else f"chosen by {origin}",
        )  # fmt: skip
    panel.axhline(1 - (payoff.threshold or 0.0), color="black", linewidth=1, linestyle="--", label="did well, below")
    built = [build["learnt_on"] for build in builds if not build["reason"]]
    panel.plot(
        built, np.full(len(built), 0.02), "|", color="0.3", transform=panel.get_xaxis_transform(), markersize=7,
        label="built anew",
    )  # fmt: skip
    panel.set_ylim(limits)
    panel.set_xlim(left=0)
    panel.set_xlabel("set of hyperparameters")
    panel.set_ylabel(error_name(fitness))
    legend_below(panel, 2)


def _show_shares(panel: Axes, payoff: Payoff) -> None:
    """The share of good sets among random and chosen ones, with its 95 % interval."""
    rows = (("random", payoff.base_rate, payoff.random_sets), ("chosen", payoff.precision, payoff.chosen_sets))
    for place, (_, share, count) in enumerate(rows):
        low, high = interval(share or 0.0, count)
        panel.bar(place, share or 0.0, width=0.6, color="#bbbbbb" if place == 0 else "0.35")
        panel.plot([place, place], [low, high], color="black", linewidth=1.4)
        panel.text(place, min(high + 0.02, 1.02), f"{share:.2f}", ha="center", va="bottom", fontsize=10)
    panel.set_xticks(range(2), [f"{name}\n({counted(count, 'set')})" for name, _, count in rows])
    panel.set_ylim(0, 1.1)
    panel.set_ylabel("share that did well, with 95 % interval")
    ratio = (payoff.precision or 0.0) / (payoff.base_rate or 1.0)
    panel.set_title(f"{ratio:.1f} times as often", fontsize=10.5)


def _show_acceptance(panel: Axes, tuned: Sequence[Evaluation], payoff: Payoff) -> None:
    """Of the sets that each SVM looked at, the share that it accepted."""
    draws: dict[str, list[Evaluation]] = {}
    for evaluation in tuned:
        if evaluation.draws and evaluation.request.origin != RANDOM:
            draws.setdefault(evaluation.request.predictor, []).append(evaluation)
    learnt_on = [int(name.rpartition("_")[2]) for name in draws]
    share = [sum(not e.rejected for e in of_one) / sum(e.draws for e in of_one) for of_one in draws.values()]
    panel.plot(learnt_on, share, "o-", color="0.35", linewidth=1.2, markersize=4, clip_on=False)
    panel.set_yscale("symlog", linthresh=1e-3)
    panel.set_ylim(0, 1.3)
    panel.yaxis.set_major_formatter("{x:g}")
    panel.set_xlabel("sets learnt from")
    panel.set_ylabel("share of the sets looked at that the SVM accepted")
    none = f"; none for {payoff.rejected} of the sets" if payoff.rejected else ""
    panel.set_title(f"{payoff.acceptance:.3f} in all{none}", fontsize=10.5)
