"""Children are screened by a model of fitness before they cost a worker."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np

from networks.features import features
from networks.space import NetworkSpec

CANDIDATES = 12  # children among which one is chosen
FEWEST = 20  # networks to learn from
REMEMBERED = 2000  # the latest networks are learnt from
GROWTH = 0.1  # share of new networks at which the model is learnt anew
TREES = 100


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
    """A forest that learns fitness from what was told, and picks the most promising of several networks.

    After Jin, "Surrogate-assisted evolutionary computation", Swarm and Evolutionary Computation 1, 61-70, 2011
    (pre-selection); extremely randomised trees by Geurts et al., Machine Learning 63, 3-42, 2006.
    """

    def __init__(self) -> None:
        self._told: deque[tuple[list[float], float]] = deque(maxlen=round((1 + GROWTH) * REMEMBERED) + 1)
        self._number = 0
        # The model is learnt on what had been told at certain numbers, so that after a resume it is the same.
        self._learn_on = 0
        self._learnt_on = 0
        self._model: Any = None

    def tell(self, candidate: Candidate, fitness: float) -> None:
        """Take in how fit a network turned out, 0 if it failed."""
        self._told.append((candidate.numbers(), fitness))
        self._number += 1
        if self._number >= max(FEWEST, (1 + GROWTH) * self._learn_on):
            self._learn_on = self._number

    def choose(self, candidates: Sequence[Candidate]) -> int:
        """Number of the most promising candidate; 0 while there is too little to learn from."""
        if not self._learn_on:
            return 0
        if self._learnt_on < self._learn_on:
            self._learn()
        numbers = np.array([candidate.numbers() for candidate in candidates], np.float32)
        # Tree by tree: the forest's own way to predict takes ten times as long for so few.
        return int(np.sum([tree.tree_.predict(numbers) for tree in self._model.estimators_], axis=0).argmax())

    def _learn(self) -> None:
        from sklearn.ensemble import ExtraTreesRegressor

        end = len(self._told) - (self._number - self._learn_on)
        numbers, fitness = zip(*islice(self._told, max(0, end - REMEMBERED), end), strict=True)
        self._model = ExtraTreesRegressor(TREES, min_samples_leaf=2, max_features=0.5, random_state=self._learn_on)
        self._model.fit(np.array(numbers), np.array(fitness))
        self._learnt_on = self._learn_on
