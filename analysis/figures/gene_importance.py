"""Which genes matter for fitness, as far as the networks of the run can tell."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from analysis.figures.style import BLUE, plain_axes, save_figure, say_instead
from analysis.importance import FEWEST, gene_importance
from search.evaluation import Evaluation, Status

MOST_SHOWN, FEWEST_ROWS = 15, 6


def draw_gene_importance(evaluations: Sequence[Evaluation], path: Path) -> Path:
    """Draw a bar for each gene; where nothing can be learnt from these networks, say so."""
    from matplotlib import pyplot as plt

    importance = gene_importance(evaluations)
    figure, axes = plt.subplots(figsize=(10, 4.8), layout="constrained")
    if importance is None:
        good = sum(e.status is Status.OK for e in evaluations)
        say_instead(axes, f"Too few networks to learn which genes matter: {good} good ones, at least {FEWEST} needed.")
        return save_figure(figure, path)
    if importance.r2 <= 0:
        say_instead(
            axes,
            f"{importance.networks:,} networks do not tell which genes matter: what was learnt from some of them\n"
            f"says nothing on the others (out-of-sample R² = {importance.r2:.2f}).",
        )
        return save_figure(figure, path)
    order = importance.drop.argsort()[::-1][:MOST_SHOWN]
    rows = np.arange(len(order))
    axes.barh(rows, importance.drop[order], xerr=importance.error[order], color=BLUE, ecolor="0.3", height=0.7)
    axes.set_yticks(rows, [importance.names[number].replace("_", " ") for number in order])
    for row, number in enumerate(order):
        if importance.fitter[number] and importance.drop[number] > importance.error[number]:
            right = max(importance.drop[number] + importance.error[number], 0)
            text = f" fitter with {importance.fitter[number]}"
            axes.text(right, row, text, va="center", fontsize=8, color="0.3")
    axes.margins(x=0.15)
    axes.set_ylim(max(len(order), FEWEST_ROWS) - 0.4, -0.6)
    axes.axvline(0, color="black", linewidth=0.8)
    axes.set_xlabel("importance: loss of R² when the gene's values are shuffled (± standard error)")
    axes.set_title(
        f"rank of fitness, learnt from {importance.networks:,} networks by a random forest: "
        f"out-of-sample R² = {importance.r2:.2f}",
        fontsize=10.5,
    )
    plain_axes(axes)
    axes.grid(axis="y", visible=False)
    axes.grid(axis="x", color="0.92", linewidth=0.8)
    return save_figure(figure, path)
