"""How a stage of the search stands: a fold over its evaluations, of the same size after any number of them."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence

from search.evaluation import Evaluation, Status
from search.evolution import STAGE as EVOLUTION
from search.tuning import STAGE as TUNING
from search.utilisation import Utilisation, running_seconds
from workflow.config import RunConfig

# What counts as lately: at most so many results, of so many seconds unless there are few.
LATELY, LATELY_S, FEW = 1000, 300.0, 10

Crew = Sequence[tuple[float, int]]


def budgets_of(config: RunConfig) -> dict[str, int]:
    """The stages of a run's search in their order, and how many networks each evaluates at the most."""
    tuning = {TUNING: config.tuning.most_evaluations}
    return {EVOLUTION: config.search.most_evaluations, **tuning} if config.network is None else tuning


class Standing:
    """Counts, the best, and the times of the evaluations of one stage."""

    def __init__(self) -> None:
        self.done = 0
        self.failures: Counter[Status] = Counter()
        self.best: Evaluation | None = None
        self.time = Utilisation()
        self._began = 0.0
        self._ends: deque[float] = deque(maxlen=LATELY)

    def add(self, evaluation: Evaluation) -> None:
        """Count one more evaluation."""
        self.done += 1
        if evaluation.status is not Status.OK:
            self.failures[evaluation.status] += 1
        elif self.best is None or evaluation.fitness > self.best.fitness:
            self.best = evaluation
        self.time.add(evaluation)
        if evaluation.ended:  # of a lost network nobody knows
            self._began = min(self._began or evaluation.started, evaluation.started)
            self._ends.append(evaluation.ended)
            while len(self._ends) > FEW and self._ends[0] < evaluation.ended - LATELY_S:
                self._ends.popleft()

    def per_minute(self, crew: Crew) -> float | None:
        """Networks a minute lately, of the time that there was a crew; None before there are two."""
        if len(self._ends) < 2:
            return None
        crew = crew or [(self._began, 1)]  # an old journal does not tell
        first, last = min(self._ends), max(self._ends)
        seconds = running_seconds(crew, last) - running_seconds(crew, first)
        return 60 * (len(self._ends) - 1) / seconds if seconds > 0 else None

    def best_text(self) -> str:
        """The best error and whose it is; "" before there is one."""
        return "" if self.best is None else f"{1 - self.best.fitness:.4f} (network {self.best.request.index})"

    def failures_text(self) -> str:
        """Failures by status; "" without."""
        return ", ".join(f"{count} {status.replace('_', ' ')}" for status, count in self.failures.most_common())


def duration(seconds: float) -> str:
    """Seconds in the two units that matter: `45 s`, `12 min`, `3 h 20 min`, `2 d 4 h`."""
    if seconds < 90:
        return f"{max(seconds, 0):.0f} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours} h {minutes} min"
    return f"{hours // 24} d {hours % 24} h"
