"""How busy the workers were."""

from __future__ import annotations

from collections.abc import Sequence

from search.evaluation import Evaluation


class Utilisation:
    """Worker-seconds inside evaluations beside those that there were: a fold over evaluations."""

    def __init__(self) -> None:
        self.busy_s = 0.0
        self.latest = 0.0  # end of an evaluation, on the workers' clocks

    def add(self, evaluation: Evaluation) -> None:
        """Count the time of one more evaluation."""
        self.busy_s += max(evaluation.ended - evaluation.started, 0.0)
        self.latest = max(self.latest, evaluation.ended)

    def share(self, crew: Sequence[tuple[float, int]]) -> float:
        """The share of the crew's time, see `Journal.crew`, that was spent in evaluations.

        What runs now counts on neither side: the crew's time is taken up to the last end of an evaluation.
        """
        available = worker_seconds(crew, self.latest)
        return self.busy_s / available if available > 0 else 0.0


def worker_seconds(crew: Sequence[tuple[float, int]], until: float) -> float:
    """Seconds times workers that a crew `(since when, workers)` was there, up to `until`."""
    ends = [*(min(time, until) for time, _ in crew[1:]), until]
    return sum((workers * max(end - start, 0.0) for (start, workers), end in zip(crew, ends, strict=False)), 0.0)


def running_seconds(crew: Sequence[tuple[float, int]], until: float) -> float:
    """Seconds that there was a crew, up to `until`."""
    return worker_seconds([(time, min(workers, 1)) for time, workers in crew], until)
