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
        say_instead(axes, f"no worker told its times; {counted(len(evaluations), 'evaluation')}")
        return save_figure(figure, path)
    names, rows = rows_of(timed)
    clock = _Clock(timed)
    starts, ends = clock.show(clock.starts), clock.show(clock.ends)
    as_bars = len(names) <= MOST_BARS and len(timed) <= MOST_BARS_IN_A_ROW * len(names)
    high = 0.22 * (max(len(names), 2) if as_bars else min(len(names) + 1, MOST_BARS // 2))
    figure, (above, below) = plt.subplots(
        2, 1, figsize=(10, 3.2 + high), sharex=True, height_ratios=[high, 1.4], layout="constrained"
    )
    if as_bars:
        _show_bars(above, timed, rows, starts, ends)
    else:
        _show_shades(above, rows, starts, ends, len(names))
    _name_rows(above, names)
    since = np.array(sorted(entry for crew in crews.values() for entry in crew)).reshape(-1, 2)
    _show_crew(below, starts, ends, clock.show(since[:, 0]), since[:, 1])
    times, failed = _failures(evaluations)
    tick_failures(below, clock.show(times), failed)
    below.set_xlabel(clock.label)
    found = f"{counted(len(evaluations), 'evaluation')} on {counted(len(names), 'worker')}"
    figure.suptitle(f"{found}; busy: {_shares(timed, crews)}", fontsize=10.5)
    figure.legend(loc="outside lower center", ncols=6, frameon=False, fontsize=8.5)
    return save_figure(figure, path)


class _Clock:
    """Time in a unit that suits, since the first start, with long pauses cut out."""

    def __init__(self, timed: Sequence[Evaluation]) -> None:
        self.starts, self.ends = np.array([e.started for e in timed]), np.array([e.ended for e in timed])
        seconds = without_pauses(self.starts, self.ends, self.ends).max()
        self._unit_s, name = next((unit, name) for least, unit, name in UNITS if seconds >= least)
        paused = self.ends.max() - self.starts.min() - seconds > 1
        self.label = f"{name} since the first evaluation" + (", long pauses cut out" if paused else "")

    def show(self, times: NDArray[np.float64]) -> NDArray[np.float64]:
        """Times (n,) since the epoch as they are shown."""
        return without_pauses(self.starts, self.ends, times) / self._unit_s


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
    panel: Axes,
    starts: NDArray[np.float64],
    ends: NDArray[np.float64],
    since: NDArray[np.float64],
    workers: NDArray[np.float64],
) -> None:
    """Workers that were busy, beside those that there were, so many (n,) `since` then."""
    from matplotlib.ticker import MaxNLocator

    edges = np.linspace(0, ends.max(), BINS + 1)
    panel.stairs(busy(starts, ends, edges), edges, fill=True, color=BLUE, alpha=0.45, label="busy workers")
    if len(since):
        there = [*workers, workers[-1]]
        panel.step([*since, edges[-1]], there, where="post", color="black", label="workers there were")
    panel.set_ylabel("workers")
    panel.set_ylim(bottom=0)
    panel.set_xlim(0, edges[-1])
    panel.yaxis.set_major_locator(MaxNLocator(integer=True))
    plain_axes(panel)


def _failures(evaluations: Sequence[Evaluation]) -> tuple[NDArray[np.float64], list[Evaluation]]:
    """When evaluations failed (n,), and these; one of a lost worker has no times, and counts as of when it arrived."""
    arrived = np.maximum.accumulate([e.ended for e in evaluations])
    times = [e.ended or now for e, now in zip(evaluations, arrived.tolist(), strict=True)]
    failed = [number for number, e in enumerate(evaluations) if e.status is not Status.OK]
    return np.array([times[number] for number in failed]), [evaluations[number] for number in failed]
