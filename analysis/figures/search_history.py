"""How the search went: validation error of every network, and the best so far."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from analysis.figures.style import BLUE, GREEN, GREY, VERMILION, plain_axes, save_figure
from search.evaluation import Evaluation

ORIGINS = {"prior": GREY, "mutation": GREEN, "crossover": BLUE, "random": GREY, "svm": VERMILION}


def draw_search_history(evaluations: Sequence[Evaluation], population: int, path: Path) -> Path:
    """Draw validation error (1 - pixel F1) against generation, then against tuned set."""
    from matplotlib import pyplot as plt

    evolved = [e for e in evaluations if e.request.stage == "evolution"]
    tuned = [e for e in evaluations if e.request.stage == "tuning"]
    figure, axes = plt.subplots(1, 2, figsize=(10, 4.2), sharey=True, width_ratios=[3, 2], layout="constrained")
    best_before = min((1 - e.fitness for e in evolved), default=1.0)
    panels = (
        (axes[0], evolved, np.arange(1, len(evolved) + 1) / population, "generation", "evolution", 1.0),
        (
            axes[1],
            tuned,
            np.arange(1, len(tuned) + 1),
            "hyperparameter set",
            "tuning of the best topology",
            best_before,
        ),
    )
    for panel, of_stage, x, label, title, start in panels:
        error = np.array([1 - e.fitness for e in of_stage])
        for origin, colour in ORIGINS.items():
            chosen = np.array([e.request.origin == origin for e in of_stage], bool)
            if chosen.any():
                panel.plot(x[chosen], error[chosen], "o", color=colour, markersize=5, alpha=0.75, label=origin)
        if len(error):
            best = np.minimum(np.minimum.accumulate(error), start)
            panel.step(x, best, where="post", color="black", linewidth=1.6, label="best so far")
            panel.annotate(
                f"{best[-1]:.3f}", (x[-1], best[-1]), xytext=(0, -12), textcoords="offset points", ha="right"
            )
        panel.set_xlabel(label)
        panel.set_title(f"{title}: {len(of_stage)} networks", fontsize=10.5)
        plain_axes(panel)
        if len(of_stage):
            panel.legend(frameon=False, fontsize=9)
    axes[0].set_ylabel("validation error, 1 - pixel F1")
    axes[0].set_ylim(bottom=0)
    return save_figure(figure, path)
