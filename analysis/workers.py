"""Who worked when: evaluations put into rows, and workers counted over time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from search.evaluation import Evaluation

LONGEST_PAUSE = 0.05  # of the time that something was under way: longer ones are cut out


def rows_of(evaluations: Sequence[Evaluation]) -> tuple[list[str], NDArray[np.int64]]:
    """Names of the workers, a row each, and the row (n,) of each evaluation.

    Workers of the same name that worked at the same time get a row each.
    """
    free_from: dict[str, list[float]] = {}
    places: list[tuple[str, int]] = [("", 0)] * len(evaluations)
    for number in sorted(range(len(evaluations)), key=lambda n: evaluations[n].started):
        e = evaluations[number]
        name = f"{e.host} {e.worker}".strip()
        ends = free_from.setdefault(name, [])
        row = next((row for row, end in enumerate(ends) if end <= e.started), len(ends))
        ends[row : row + 1] = [e.ended]
        places[number] = (name, row)
    order = {place: row for row, place in enumerate(sorted(set(places), key=_by_number))}
    return [name for name, _ in order], np.array([order[place] for place in places], np.int64)


def _by_number(place: tuple[str, int]) -> tuple[str, int, str, int]:
    """Worker 10 after worker 9."""
    name, row = place
    host, _, worker = name.rpartition(" ")
    return host, int(worker) if worker.isdecimal() else 0, worker, row


def without_pauses(
    starts: NDArray[np.float64], ends: NDArray[np.float64], times: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Times (m,) as seconds since the first start, long pauses in which nothing ran taken out.

    `starts` and `ends` (n,) are those of evaluations; a run that was taken up again the next day pauses.
    """
    order = starts.argsort()
    begins, latest = starts[order], np.maximum.accumulate(ends[order])
    pauses = np.maximum(begins[1:] - latest[:-1], 0)
    pauses[pauses <= LONGEST_PAUSE * (latest[-1] - begins[0] - pauses.sum())] = 0
    long = np.flatnonzero(pauses)
    edges = np.column_stack([latest[long], begins[long + 1]]).ravel()
    lost = np.repeat(pauses[long].cumsum(), 2)
    lost[::2] -= pauses[long]
    knots = np.concatenate([[begins[0]], edges, [latest[-1]]])
    worked = knots - begins[0] - np.concatenate([[0], lost, lost[-1:] if len(lost) else [0]])
    return np.asarray(np.interp(times, knots, worked))


def busy(starts: NDArray[np.float64], ends: NDArray[np.float64], edges: NDArray[np.float64]) -> NDArray[np.float64]:
    """How many workers were busy in each bin (b,) between `edges` (b + 1,), on average."""
    return np.diff(_worked_until(starts, edges) - _worked_until(ends, edges)) / np.diff(edges)


def _worked_until(starts: NDArray[np.float64], times: NDArray[np.float64]) -> NDArray[np.float64]:
    """At each time, the sum of the times since those starts that are past."""
    ordered = np.sort(starts)
    sums = np.concatenate([[0.0], ordered.cumsum()])
    past = ordered.searchsorted(times)
    return np.asarray(past * times - sums[past])
