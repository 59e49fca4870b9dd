"""Chemical transformation pathways: what becomes what, as a graph."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from analysis.figures.panels import named, wrapped
from analysis.figures.style import BLUE, counted, save_figure, say_instead
from analysis.figures.transition_matrix import FEWEST_EVENTS, PROCESSES, rounded

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.text import Text
    from matplotlib.transforms import Bbox

BOW = 0.18  # of an edge's length
SMALLEST, LARGEST = 8.0, 22.0  # radius of nodes in points
THINNEST, THICKEST = 0.8, 5.0  # edges in points
WRAP = 16  # characters
ALONG = (0.5, 0.42, 0.58, 0.35, 0.65, 0.28, 0.72, 0.22, 0.78)  # where on an edge its label may be


def draw_pathways(transitions: pd.DataFrame, path: Path) -> Path:
    """Draw a graph for each process of one movie: its states on a circle, an edge for each transition.

    The area of a node is the time spent in it, the width of an edge grows with its events, its label is the
    probability per frame. Edges of few events are left out.
    """
    from matplotlib import pyplot as plt

    graphs = {name: graph_of(transitions[transitions["process"] == name]) for name in PROCESSES}
    graphs = {name: graph for name, graph in graphs.items() if graph.number_of_edges()}
    if not graphs:
        figure, axes = plt.subplots(figsize=(10, 2.5), layout="constrained")
        say_instead(axes, f"no pathways: no transition was seen {FEWEST_EVENTS} times or more")
        return save_figure(figure, path)
    side = 5.6 + 0.42 * max(graph.number_of_nodes() - 4 for graph in graphs.values())
    figure, grid = plt.subplots(
        1, len(graphs), figsize=(side * len(graphs), 0.85 * side + 1.0), squeeze=False, layout="constrained"
    )
    titles = []
    for panel, name in zip(grid[0], graphs, strict=True):
        panel.set(xlim=(-1.7, 1.7), ylim=(-1.4, 1.4), aspect="equal")
        panel.set_axis_off()
        titles.append(panel.set_title(f"{PROCESSES[name]}\n ", fontsize=10))
    figure.suptitle(
        f"{named(str(transitions['movie'].iloc[0]))}: pathways, probabilities per frame\n"
        f"(edges of fewer than {FEWEST_EVENTS} events left out; nodes by the time spent, edges by events)",
        fontsize=10.5,
    )
    figure.draw_without_rendering()  # labels are placed by their size, which the layout decides
    for panel, title, (name, graph) in zip(grid[0], titles, graphs.items(), strict=True):
        hidden = _show(panel, graph)
        said = f"left out: {counted(graph.graph['few'], 'rare edge')}" if graph.graph["few"] else "no edge left out"
        title.set_text(f"{PROCESSES[name]}\n{said}" + (f"; no room for {counted(hidden, 'label')}" if hidden else ""))
    return save_figure(figure, path)


def graph_of(transitions: pd.DataFrame) -> Any:
    """The graph of one process: nodes with `frames` at risk, edges with `events` and `probability`.

    Edges of few events are counted in its attribute `few`; states without an edge that is left are left out.
    """
    import networkx as nx

    changes = transitions[(transitions["from"] != transitions["to"]) & (transitions["events"] > 0)]
    often = changes[changes["events"] >= FEWEST_EVENTS]
    graph = nx.DiGraph(few=len(changes) - len(often))
    at_risk = transitions.groupby("from")["at_risk"].max()
    for state in dict.fromkeys([*transitions["from"], *transitions["to"]]):
        if state in set(often["from"]) | set(often["to"]):
            graph.add_node(state, frames=float(at_risk.get(state, 0)))
    for row in often.to_dict("records"):
        graph.add_edge(row["from"], row["to"], events=float(row["events"]), probability=float(row["probability"]))
    return graph


def _show(panel: Axes, graph: Any) -> int:
    """Draw a graph; returns for how many edges there was no room for a label."""
    import networkx as nx
    from matplotlib.patches import FancyArrowPatch

    places = {name: np.asarray(place) for name, place in nx.circular_layout(graph).items()}
    most_frames = max(*(frames for _, frames in graph.nodes(data="frames")), 1.0)
    radii = {
        name: max(LARGEST * np.sqrt(frames / most_frames), SMALLEST) for name, frames in graph.nodes(data="frames")
    }
    taken: list[Bbox] = []
    for name, place in places.items():
        panel.plot(*place, "o", markersize=2 * radii[name], color="0.85", markeredgecolor="0.2", zorder=3)
        taken.append(_square(panel, place, radii[name]))
    for name, place in places.items():
        text = _name_node(panel, name, place, radii[name], graph.nodes[name]["frames"])
        taken.append(text.get_window_extent())
    most_events = max(events for _, _, events in graph.edges(data="events"))
    hidden = 0
    for start, end, edge in sorted(graph.edges(data=True), key=lambda of: -of[2]["events"]):
        share = np.log(edge["events"] / FEWEST_EVENTS + 1) / np.log(most_events / FEWEST_EVENTS + 1)
        width = THINNEST + (THICKEST - THINNEST) * share
        arrow = FancyArrowPatch(
            tuple(places[start]), tuple(places[end]), connectionstyle=f"arc3,rad={BOW}", arrowstyle="-|>",
            mutation_scale=9 + 2 * width, shrinkA=radii[start], shrinkB=radii[end] + 1, linewidth=width, color=BLUE,
            alpha=0.75, zorder=2,
        )  # fmt: skip
        panel.add_patch(arrow)
        hidden += not _label_edge(panel, (places[start], places[end]), rounded(edge["probability"]), taken)
    return hidden


def _square(panel: Axes, place: NDArray[np.float64], radius_pt: float) -> Bbox:
    """What a node takes of the picture, in pixels."""
    from matplotlib.transforms import Bbox

    x, y = panel.transData.transform(place)
    radius = radius_pt * panel.figure.dpi / 72
    return Bbox.from_extents(x - radius, y - radius, x + radius, y + radius)


def _name_node(panel: Axes, name: str, place: NDArray[np.float64], radius_pt: float, frames: float) -> Text:
    """The name of a state outside the circle, and the time spent in it."""
    x, y = place / max(float(np.hypot(*place)), 1e-9)
    said = "\n".join([wrapped(name, WRAP), f"{frames:,.0f} frames"])
    away = (radius_pt + 5) * np.array([x, y])
    return panel.annotate(
        said,
        tuple(place.tolist()),
        xytext=tuple(away.tolist()),
        textcoords="offset points",
        fontsize=8.5,
        ha="left" if x > 0.3 else "right" if x < -0.3 else "center",
        va="bottom" if y > 0.3 else "top" if y < -0.3 else "center",
        linespacing=1.1,
    )


def _label_edge(
    panel: Axes, ends: tuple[NDArray[np.float64], NDArray[np.float64]], label: str, taken: list[Bbox]
) -> bool:
    """Write on an edge where nothing else is written; False if there is no such place."""
    text = panel.text(
        0, 0, label, fontsize=8, ha="center", va="center", zorder=4,
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.2, "alpha": 0.9},
    )  # fmt: skip
    for place in _along(*ends):
        text.set_position(tuple(place))
        box = text.get_window_extent().padded(2)
        if not box.count_overlaps(taken):
            taken.append(box)
            return True
    text.remove()
    return False


def _along(start: NDArray[np.float64], end: NDArray[np.float64]) -> Iterator[NDArray[np.float64]]:
    """Places on an edge, the best first: a parabola, as matplotlib's connection style `arc3` draws it."""
    dx, dy = end - start
    bend = (start + end) / 2 + BOW * np.array([dy, -dx])
    for t in ALONG:
        yield (1 - t) ** 2 * start + 2 * t * (1 - t) * bend + t**2 * end
