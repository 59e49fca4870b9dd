"""When a campaign ends."""

from __future__ import annotations

import math
from dataclasses import dataclass

from search.evaluation import Evaluation, Status


@dataclass(frozen=True)
class Budget:
    """What a campaign may use up. Whichever is reached first ends it: nothing more is submitted.

    Networks that run then are finished and recorded. All counts are over the whole stage, however often the
    driver was started.

    - `evaluations`: completed ones of any status; met exactly. A generation is as many as the population.
    - `seconds`: of the campaign's running, without the time that it waits for its first worker or for any, and not
      before a network was evaluated well; nothing is submitted after.
    - `plateau`: completed evaluations since the fittest one arrived.
    - `target`: a fitness; the first evaluation that reaches it ends the campaign.
    """

    evaluations: int
    seconds: float = math.inf
    plateau: int | None = None
    target: float = math.inf


class Tally:
    """What was used up of a budget: a fold over the evaluations in their order of arrival."""

    def __init__(self, budget: Budget) -> None:
        self.budget = budget
        self.completed = 0
        self.best = -math.inf
        self._best_at = 0
        self._any_good = False
        self._ended = ""

    def add(self, evaluation: Evaluation) -> None:
        """Count one more evaluation."""
        self.completed += 1
        self._any_good |= evaluation.status is Status.OK
        if evaluation.fitness > self.best:
            self.best, self._best_at = evaluation.fitness, self.completed
        if not self._ended:  # what arrives after the end changes nothing, so that a resume sees the same end
            self._ended = self._look()

    def ended(self, seconds: float = 0.0) -> str:
        """Why nothing more may be submitted after `seconds` of running; "" if something may."""
        if not self._ended and self._any_good and seconds >= self.budget.seconds:
            return f"{self.budget.seconds:g} s have passed"
        return self._ended

    def _look(self) -> str:
        budget = self.budget
        if self.best >= budget.target:
            return f"fitness {self.best:.4f} reaches the target of {budget.target:g}"
        if self.completed >= budget.evaluations:
            return f"{self.completed} networks are evaluated"
        if budget.plateau is not None and self.completed - self._best_at >= budget.plateau:
            return f"{budget.plateau} networks in a row were no better"
        return ""
