"""Children are screened by a model of fitness before they cost a worker."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np

from networks.features import features
from networks.space import NetworkSpec
from search.predictors.predictor import Chooser, NothingLearntError
from search.predictors.trees import Trees

CANDIDATES = 12  # children among which one is chosen
FEWEST = 20  # networks to learn from
REMEMBERED = 2000  # the latest networks are learnt from
GROWTH = 0.1  # share of new networks at which the model is learnt anew


@dataclass(frozen=True)
class Candidate:
    """A network that may be evaluated, the fitness of its better parent, and the share of its weights to inherit."""

    spec: NetworkSpec
    to_beat: float = 0.0
    shared: float = 0.0

    def numbers(self) -> list[float]:
        """What the model learns from."""
        return [*features(self.spec).values(), self.to_beat, self.shared]


class Screening:
    """Learns from what was told which networks do well, and picks a promising one of several.

    After Jin, "Surrogate-assisted evolutionary computation", Swarm and Evolutionary Computation 1, 61-70, 2011
    (pre-selection). What learns is a `chooser`, as in the tuning, to which the best `good_share` did well.
    """

    def __init__(self, chooser: type[Chooser] = Trees, good_share: float = 0.25) -> None:
        self._chooser, self._good_share = chooser, good_share
        self._told: deque[tuple[list[float], float]] = deque(maxlen=round((1 + GROWTH) * REMEMBERED) + 1)
        self._number = 0
        # The model is learnt on what had been told at certain numbers, so that after a resume it is the same.
        self._learn_on = 0
        self._learnt_on = 0
        self._model: Chooser | None = None

    def tell(self, candidate: Candidate, fitness: float) -> None:
        """Take in how fit a network turned out, 0 if it failed."""
        self._told.append((candidate.numbers(), fitness))
        self._number += 1
        if self._number >= max(FEWEST, (1 + GROWTH) * self._learn_on):
            self._learn_on = self._number

    def choose(self, candidates: Sequence[Candidate]) -> int:
        """Number of the candidate chosen; 0 while there is too little to learn from."""
        if self._learnt_on < self._learn_on:
            self._model = self._learn()
            self._learnt_on = self._learn_on
        if self._model is None:
            return 0
        return self._model.choose(np.array([candidate.numbers() for candidate in candidates])).number

    def _learn(self) -> Chooser | None:
        end = len(self._told) - (self._number - self._learn_on)
        numbers, fitness = zip(*islice(self._told, max(0, end - REMEMBERED), end), strict=True)
        try:
            return self._chooser.learn_features(np.array(numbers), np.array(fitness), self._good_share, self._learn_on)
        except NothingLearntError:
            return None
