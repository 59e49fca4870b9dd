"""What the workers did, and when: each of them, and how many were busy of how many there were."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from analysis.figures.style import BLUE, STAGES, VERMILION, counted, plain_axes, save_figure, say_instead, tick_failures
from analysis.workers import busy, rows_of, without_pauses
from search.evaluation import Evaluation, Status
from search.utilisation import Utilisation

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_BARS, MOST_BARS_IN_A_ROW = 40, 150  # rows with a bar for each evaluation; above, shades say how busy
BINS = 400
UNITS = ((2 * 86400.0, 86400.0, "days"), (2 * 3600.0, 3600.0, "hours"), (120.0, 60.0, "minutes"), (0.0, 1.0, "seconds"))

Crews = Mapping[str, Sequence[tuple[float, int]]]


def draw_worker_timeline(evaluations: Sequence[Evaluation], crews: Crews, path: Path) -> Path:
    """Draw what each worker did by the workers' own clocks, and below how many of them were busy.

    `crews` has since when there were how many workers for each stage, see `Journal.crew`. Long pauses, as
    between a run and its resumption, are cut out.
    """
    from matplotlib import pyplot as plt

    timed = [e for e in evaluations if e.ended > e.started]
    if not timed:
        figure, axes = plt.subplots(figsize=(10, 2.5), layout="constrained")
        say_instead(axes, f"no worker told its times; {len(evaluations)} evaluations")
        return save_figure(figure, path)
    names, rows = rows_of(timed)
    starts, ends = np.array([e.started for e in timed]), np.array([e.ended for e in timed])
    length = float(without_pauses(starts, ends, ends).max())
    unit_s, unit = next((unit, name) for least, unit, name in UNITS if length >= least)

    def clock(times: Sequence[float] | NDArray[np.float64]) -> NDArray[np.float64]:
        return without_pauses(starts, ends, np.asarray(times, float)) / unit_s

    shown = min(max(len(names), 2), MOST_BARS)
    figure, (above, below) = plt.subplots(
        2, 1, figsize=(10, 3.2 + 0.22 * shown), sharex=True, height_ratios=[0.22 * shown, 1.4], layout="constrained"
    )
    if len(names) <= MOST_BARS and len(timed) <= MOST_BARS_IN_A_ROW * len(names):
        _show_bars(above, timed, rows, clock(starts), clock(ends))
    else:
        _show_shades(above, rows, clock(starts), clock(ends), len(names))
    _name_rows(above, names)
    _show_crew(below, clock(starts), clock(ends), [[clock([t])[0], n] for crew in crews.values() for t, n in crew])
    times, failed = _failures(evaluations)
    tick_failures(below, clock(times), failed)
    paused = ends.max() - starts.min() - length > 1
    below.set_xlabel(f"{unit} since the first evaluation" + (", long pauses cut out" if paused else ""))
    below.yaxis.get_major_locator().set_params(integer=True)
    found = f"{counted(len(evaluations), 'evaluation')} on {counted(len(names), 'worker')}"
    figure.suptitle(f"{found}; busy: {_shares(timed, crews)}", fontsize=10.5)
    figure.legend(loc="outside lower center", ncols=6, frameon=False, fontsize=8.5)
    return save_figure(figure, path)


def _shares(evaluations: Sequence[Evaluation], crews: Crews) -> str:
    """Utilisation of the workers in each stage that there was."""
    said = []
    for stage in STAGES:
        of_stage = [e for e in evaluations if e.request.stage == stage]
        times = Utilisation()
        for e in of_stage:
            times.add(e)
        if of_stage and crews.get(stage):
            said.append(f"{stage} {100 * times.share(crews[stage]):.1f} %")
    return ", ".join(said) or "not known"


def _show_bars(
    panel: Axes,
    evaluations: Sequence[Evaluation],
    rows: NDArray[np.int64],
    starts: NDArray[np.float64],
    ends: NDArray[np.float64],
) -> None:
    """A bar for each evaluation, in the colour of its stage."""
    kinds = np.array([e.request.stage if e.status is Status.OK else "failed" for e in evaluations])
    for kind, colour in (*STAGES.items(), ("failed", VERMILION)):
        here = kinds == kind
        if here.any():
            panel.barh(
                rows[here], (ends - starts)[here], left=starts[here], height=0.75, color=colour, edgecolor="white",
                linewidth=0.5, hatch="////" if kind == "failed" else None, label=kind,
            )  # fmt: skip


def _show_shades(
    panel: Axes, rows: NDArray[np.int64], starts: NDArray[np.float64], ends: NDArray[np.float64], count: int
) -> None:
    """How busy each worker was in each moment, as shades."""
    edges = np.linspace(0, ends.max(), BINS + 1)
    order = rows.argsort(kind="stable")
    parts = np.split(order, np.searchsorted(rows[order], np.arange(1, count)))
    shares = np.array([busy(starts[part], ends[part], edges) for part in parts])
    image = panel.imshow(
        shares, cmap="Blues", vmin=0, vmax=1, aspect="auto", extent=(0, edges[-1], count - 0.5, -0.5),
        interpolation="antialiased",
    )  # fmt: skip
    panel.figure.colorbar(image, ax=panel, label="share of the time busy", pad=0.01)


def _name_rows(panel: Axes, names: Sequence[str]) -> None:
    if len(names) <= MOST_BARS:
        panel.set_yticks(range(len(names)), [f"worker {name}" for name in names], fontsize=7.5)
    else:
        panel.set_ylabel("worker")
    panel.set_ylim(len(names) - 0.5, -0.5)
    panel.spines[["top", "right", "left"]].set_visible(False)
    panel.tick_params(left=False)


def _show_crew(
    panel: Axes, starts: NDArray[np.float64], ends: NDArray[np.float64], crew: Sequence[Sequence[float]]
) -> None:
    """Workers that were busy, beside those that there were."""
    edges = np.linspace(0, ends.max(), BINS + 1)
    panel.stairs(busy(starts, ends, edges), edges, fill=True, color=BLUE, alpha=0.45, label="busy workers")
    if crew:
        times, workers = np.array(sorted(crew, key=lambda since: since[0])).T
        panel.step(
            [*times, edges[-1]], [*workers, workers[-1]], where="post", color="black", label="workers there were"
        )
    panel.set_ylabel("workers")
    panel.set_ylim(bottom=0)
    panel.set_xlim(0, edges[-1])
    plain_axes(panel)


def _failures(evaluations: Sequence[Evaluation]) -> tuple[NDArray[np.float64], list[Evaluation]]:
    """When evaluations failed (n,), and these; one of a lost worker has no times, and counts as of when it arrived."""
    arrived = np.maximum.accumulate([e.ended for e in evaluations])
    times = [e.ended or now for e, now in zip(evaluations, arrived.tolist(), strict=True)]
    failed = [number for number, e in enumerate(evaluations) if e.status is not Status.OK]
    return np.array([times[number] for number in failed]), [evaluations[number] for number in failed]
