"""Where the winner comes from: its ancestors, and what each step of its main line changed."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from analysis.figures.style import (
    ORIGINS,
    counted,
    dot_size,
    error_limits,
    error_name,
    legend_below,
    plain_axes,
    save_figure,
    say_instead,
)
from analysis.genealogy import Step, family, main_line, most_telling
from analysis.population import kind_of_origin
from search.evaluation import Evaluation
from search.tuning import STAGE as TUNING

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_STEPS = 12
WRAP = 115  # characters
MOST_LINES = 3  # of a step
MANY = 1000  # networks
LINE_IN, SPACE = 0.17, 1.4  # between lines; lines from a step to the next


def draw_genealogy(evaluations: Sequence[Evaluation], winner: Evaluation | None, fitness: str, path: Path) -> Path:
    """Draw the winner's ancestors by arrival and error, and its main line (the fitter parents) in words.

    Of a long line, the steps that gained the most are told. `fitness` is the name of the score.
    """
    import numpy as np
    from matplotlib import pyplot as plt

    if winner is None or all(e.request.stage == TUNING for e in evaluations):
        figure, axes = plt.subplots(figsize=(10, 2.5), layout="constrained")
        say_instead(axes, "no network was evaluated well: nobody has won" if winner is None else _without(winner))
        return save_figure(figure, path)
    steps = main_line(evaluations, winner)
    shown = most_telling(steps, MOST_STEPS)
    texts = [_lines(step) for step in steps]
    gaps = sum(after > before + 1 for before, after in pairwise(shown))
    length = sum(len(texts[number]) - 1 + SPACE for number in shown) + SPACE * gaps
    height = max(3.6, 0.6 + LINE_IN * length)
    figure, (tree, words) = plt.subplots(1, 2, figsize=(13, height), width_ratios=[4, 7], layout="constrained")
    related = family(evaluations, winner)
    _show_tree(tree, related, steps, shown)
    low, high = error_limits(1 - np.array([network.fitness for network, _ in related]))
    tree.set_ylim(low, max(high, *(1.01 - step.network.fitness for step in steps)))
    tree.set_ylabel(error_name(fitness))
    _tell(words, steps, shown, texts)
    words.set(xlim=(0, 1), ylim=((height - 0.6) / LINE_IN, 0))
    figure.suptitle(
        f"network {winner.request.index}, the fittest, and its {counted(len(related) - 1, 'ancestor')}; "
        f"the line of the fitter parents has {counted(len(steps) - 1, 'step')}",
        fontsize=10.5,
    )
    return save_figure(figure, path)


def _without(winner: Evaluation) -> str:
    """Of a winner of a tuning without an evolution, why there is nothing to tell."""
    return (
        f"network {winner.request.index}, the fittest (error {1 - winner.fitness:.3f}), has no ancestors: "
        f"its topology was given, its hyperparameters are a set of the tuning ({winner.request.origin})"
    )


def _lines(step: Step) -> list[str]:
    """A step in words: its title, then what changed."""
    request, error = step.network.request, 1 - step.network.fitness
    title = f"network {request.index}, generation {request.generation}: error {error:.3f}"
    if step.parent is None:
        return [f"{title}, from the prior"]
    title += f" ({-step.gain:+.3f} on network {step.parent.request.index}), {request.origin.replace('+', ' + ')}"
    if step.other is not None:
        title += f" with network {step.other.request.index} ({1 - step.other.fitness:.3f})"
    lines = textwrap.wrap("; ".join(step.changes) or "nothing changed that the network reads", WRAP)
    if len(lines) > MOST_LINES:
        lines = [*lines[: MOST_LINES - 1], lines[MOST_LINES - 1] + " …"]
    return [title.replace("_", " "), *lines]


def _show_tree(
    panel: Axes,
    related: Sequence[tuple[Evaluation, tuple[Evaluation, ...]]],
    steps: Sequence[Step],
    shown: Sequence[int],
) -> None:
    """Ancestors by number and error, joined to their parents; those of the main line are larger."""
    from matplotlib.collections import LineCollection

    def place(network: Evaluation) -> tuple[float, float]:
        return float(network.request.index), 1 - network.fitness

    lines = [[place(parent), place(child)] for child, parents in related for parent in parents]
    panel.add_collection(LineCollection(lines, colors="0.75", linewidths=0.7, alpha=min(1.0, 300 / max(len(lines), 1))))
    size = dot_size(4 * len(related))
    for kind, (colour, marker) in ORIGINS.items():
        here = [place(network) for network, _ in related if kind_of_origin(network.request) == kind]
        if here:
            panel.plot(*zip(*here, strict=True), marker, color=colour, markersize=size, markeredgewidth=0, label=kind)
    panel.plot(*zip(*(place(step.network) for step in steps), strict=True), "-", color="black", linewidth=1.6)
    for number in shown:
        network = steps[number].network
        colour, marker = ORIGINS[kind_of_origin(network.request)]
        panel.plot(*place(network), marker, color=colour, markersize=7, markeredgecolor="black")
    panel.set_xlabel("number of the network")
    if steps[-1].network.request.index > MANY:  # most ancestors of the fittest are early ones
        panel.set_xscale("symlog", linthresh=MANY / 10)
    plain_axes(panel)
    legend_below(panel, 3)


def _tell(panel: Axes, steps: Sequence[Step], shown: Sequence[int], texts: Sequence[Sequence[str]]) -> None:
    """The shown steps in words, from the founder down to the winner; of the others, how many and what they brought."""
    panel.set_axis_off()
    y, last = 0.6, 0
    for number in shown:
        left_out = steps[last + 1 : number]
        if left_out:
            brought = f"… {counted(len(left_out), 'step')}, together {-sum(step.gain for step in left_out):+.3f}"
            panel.text(0.03, y, brought, color="0.45", fontsize=8, va="center")
            y += SPACE
        last = number
        colour, marker = ORIGINS[kind_of_origin(steps[number].network.request)]
        panel.plot(0.01, y, marker, color=colour, markeredgecolor="black", markersize=7, clip_on=False)
        for line, text in enumerate(texts[number]):
            panel.text(
                0.03,
                y + line,
                text,
                fontsize=8.5 if line == 0 else 8,
                color="black" if line == 0 else "0.3",
                va="center",
            )
        y += len(texts[number]) - 1 + SPACE
