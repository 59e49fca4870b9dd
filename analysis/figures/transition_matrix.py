"""How probable it is, from a frame to the next, that a column or a complex becomes another."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from analysis.figures.panels import named, wrapped
from analysis.figures.style import save_figure, say_instead

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

FEWEST_EVENTS = 5  # fields with fewer are pale, and no edge of the pathways
PROCESSES = {"column": "columns of atoms", "complex": "dopants and bound vacancies"}
CELL_IN = 0.88
WRAP = 12  # characters
SIDE_BY_SIDE = 10  # states in all


def draw_transition_matrix(transitions: pd.DataFrame, path: Path) -> Path:
    """Draw a matrix for each process of one movie: from the state of a row to that of a column.

    A field says the probability per frame, its interval and the events; those with few events are pale.
    """
    from matplotlib import pyplot as plt

    processes = [name for name in PROCESSES if (transitions["process"] == name).any()]
    if not processes:
        figure, axes = plt.subplots(figsize=(10, 2.5), layout="constrained")
        say_instead(axes, "no transitions: no column could be followed from a frame to the next")
        return save_figure(figure, path)
    of_process = [transitions[transitions["process"] == name] for name in processes]
    sizes = [len(states_of(table)) for table in of_process]
    beside = len(sizes) > 1 and sum(sizes) <= SIDE_BY_SIDE
    inches = [max(size * CELL_IN, 2.4) + 1.2 for size in sizes]
    across = sum(inches) if beside else max(inches)
    down = max(inches) if beside else sum(inches)
    figure = plt.figure(figsize=(max(across, 5.5), down + 0.9), layout="constrained")
    grid = (
        figure.add_gridspec(1, len(sizes), width_ratios=inches)
        if beside
        else figure.add_gridspec(len(sizes), 1, height_ratios=inches)
    )
    for number, (name, table) in enumerate(zip(processes, of_process, strict=True)):
        panel = figure.add_subplot(grid[number])
        _show(panel, table)
        panel.set_title(PROCESSES[name], fontsize=10)
    figure.suptitle(
        f"{named(str(transitions['movie'].iloc[0]))}: probability per frame, "
        "its interval (95 % for all together) and events\n"
        f"(pale: fewer than {FEWEST_EVENTS} events)",
        fontsize=10.5,
    )
    return save_figure(figure, path)


def states_of(transitions: pd.DataFrame) -> list[str]:
    """The states of a process in the order of the table: those that something left first."""
    return list(dict.fromkeys([*transitions["from"], *transitions["to"]]))


def _show(panel: Axes, table: pd.DataFrame) -> None:
    from matplotlib import colormaps
    from matplotlib.patches import Rectangle

    states = states_of(table)
    place = {state: number for number, state in enumerate(states)}
    for row in table.to_dict("records"):
        y, x = place[row["from"]], place[row["to"]]
        pale = row["events"] < FEWEST_EVENTS
        # The square root shows what happens once in a hundred frames beside what stays as it is.
        shade = 0.0 if pale or not np.isfinite(row["probability"]) else 0.9 * np.sqrt(row["probability"])
        panel.add_patch(Rectangle((x - 0.5, y - 0.5), 1, 1, facecolor=colormaps["Blues"](shade), linewidth=0))
        _write(panel, x, y, row, "0.55" if pale else "white" if shade > 0.55 else "black")
    edges = np.arange(len(states) + 1) - 0.5
    panel.hlines(edges, -0.5, len(states) - 0.5, color="0.8", linewidth=0.7)
    panel.vlines(edges, -0.5, len(states) - 0.5, color="0.8", linewidth=0.7)
    labels = [wrapped(state, WRAP) for state in states]
    many = len(states) > 4
    panel.set_xticks(range(len(states)), labels, fontsize=8, va="top", ha="right" if many else "center")
    panel.tick_params(axis="x", rotation=30 if many else 0, rotation_mode="anchor")
    panel.set_yticks(range(len(states)), labels, fontsize=8)
    panel.set(
        xlim=(-0.5, len(states) - 0.5), ylim=(len(states) - 0.5, -0.5), aspect="equal", xlabel="to", ylabel="from"
    )
    panel.spines[:].set_visible(False)
    panel.tick_params(length=0)


def _write(panel: Axes, x: int, y: int, row: dict[Any, Any], colour: str) -> None:
    """What a field says: the probability large, interval and events below."""
    if not np.isfinite(row["probability"]):
        return
    probability = "0" if row["events"] == 0 else rounded(row["probability"])
    panel.text(x, y - 0.17, probability, color=colour, fontsize=9, ha="center", va="center")
    below = f"{rounded(row['low'])} to {rounded(row['high'])}\n{row['events']:,.0f}"
    panel.text(x, y + 0.17, below, color=colour, fontsize=6.5, ha="center", va="center")


def rounded(probability: float) -> str:
    """A probability to two digits, one if it is very small, and not 1 where it is less; "?" where it is not known."""
    if not np.isfinite(probability):
        return "?"
    if probability < 0.001:
        return "0" if probability < 1e-5 else f"{probability:.0e}".replace("e-0", "e-")
    if 0.99 <= probability < 1:
        return f"{probability:.3f}" if probability < 0.9995 else "> 0.999"
    return f"{probability:#.2g}" if probability < 1 else "1"
