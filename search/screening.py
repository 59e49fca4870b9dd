"""Children are screened by a model of fitness before they cost a worker."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
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
    """A network that may be evaluated, the fitness of its better parent, and the share of weights it would inherit."""

    spec: NetworkSpec
    to_beat: float = 0.0
    inherited: float = 0.0

    def numbers(self) -> list[float]:
        """What the model learns from."""
        return [*features(self.spec).values(), self.to_beat, self.inherited]


class Screening:
    """A forest that learns fitness from what was told, and picks the most promising of several networks.

    After Jin, "Surrogate-assisted evolutionary computation", Swarm and Evolutionary Computation 1, 61-70, 2011
    (pre-selection); extremely randomised trees by Geurts et al., Machine Learning 63, 3-42, 2006.
    """

    def __init__(self) -> None:
        self._numbers: deque[list[float]] = deque(maxlen=REMEMBERED)
        self._fitness: deque[float] = deque(maxlen=REMEMBERED)
        self._told = 0
        self._learnt_on = 0
        self._model: Any = None

    def tell(self, candidate: Candidate, fitness: float) -> None:
        """Take in how fit a network turned out, 0 if it failed."""
        self._numbers.append(candidate.numbers())
        self._fitness.append(fitness)
        self._told += 1

    def choose(self, candidates: Sequence[Candidate]) -> int:
        """Number of the most promising candidate; 0 while there is too little to learn from."""
        if self._told < FEWEST:
            return 0
        if self._model is None or self._told >= (1 + GROWTH) * self._learnt_on:
            self._learn()
        return int(self._model.predict([candidate.numbers() for candidate in candidates]).argmax())

    def _learn(self) -> None:
        from sklearn.ensemble import ExtraTreesRegressor

        # The number of networks as the seed: after a resume, the model is the same.
        self._model = ExtraTreesRegressor(TREES, min_samples_leaf=2, max_features=0.5, random_state=self._told)
        self._model.fit(np.array(self._numbers), np.array(self._fitness))
        self._learnt_on = self._told
