"""What all predictors have in common: they learn which sets of hyperparameters do well, and propose such sets."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from networks.hyperparameters import Hyperparameters, Sets

Arrays = Mapping[str, NDArray[Any]]


class NothingLearntError(Exception):
    """There is nothing to be learnt from what is there; the message says why."""


@dataclass(frozen=True)
class Proposal:
    """A set (hyperparameter,) to be evaluated, and how many random ones were looked at to find it."""

    chosen: Sets
    draws: int = 1


class Predictor(ABC):
    """Learns on the driver, proposes on workers; travels as arrays.

    Its state is a function of what it learnt from and a seed: what is learnt again is the same.
    """

    name: ClassVar[str]

    @classmethod
    @abstractmethod
    def learn(
        cls, space: Hyperparameters, sets: Sets, fitness: NDArray[np.float64], good_share: float, seed: int
    ) -> Self:
        """Learn from sets (n, hyperparameter) and their fitness (n,), of which the best `good_share` did well.

        Raises NothingLearntError.
        """

    @abstractmethod
    def propose(self, space: Hyperparameters, rng: np.random.Generator) -> Proposal:
        """A set that promises to do well."""

    @abstractmethod
    def arrays(self) -> Arrays:
        """All that it knows."""

    @classmethod
    @abstractmethod
    def from_arrays(cls, arrays: Arrays) -> Self:
        """Back from its arrays."""


class Chooser(Predictor):
    """A predictor that looks at `looks` random sets and chooses one, by their features."""

    looks: ClassVar[int]

    @classmethod
    @abstractmethod
    def learn_features(
        cls, features: NDArray[np.float64], fitness: NDArray[np.float64], good_share: float, seed: int
    ) -> Self:
        """Learn from features (n, feature), of any scale, and fitness (n,). Raises NothingLearntError."""

    @abstractmethod
    def choose(self, features: NDArray[np.float64]) -> tuple[int, int]:
        """Of candidates, given by features (n, feature): the number of the one chosen, and how many were looked at."""

    @classmethod
    def learn(
        cls, space: Hyperparameters, sets: Sets, fitness: NDArray[np.float64], good_share: float, seed: int
    ) -> Self:
        """Learn from sets (n, hyperparameter) and their fitness (n,). Raises NothingLearntError."""
        return cls.learn_features(space.features(sets), fitness, good_share, seed)

    def propose(self, space: Hyperparameters, rng: np.random.Generator) -> Proposal:
        """A set that promises to do well, of `looks` random ones."""
        sets = space.draw(self.looks, rng)
        chosen, looked_at = self.choose(space.features(sets))
        return Proposal(sets[chosen], looked_at)


def did_well(fitness: NDArray[np.float64], good_share: float, fewest: int) -> NDArray[np.bool_]:
    """Which of fitness (n,) are among the best `good_share`.

    Raises NothingLearntError where there are fewer than `fewest` good or bad ones.
    """
    if len(fitness) < 2 * fewest:
        raise NothingLearntError(f"{len(fitness)} results are too few")
    if np.ptp(fitness) == 0:
        raise NothingLearntError(f"all {len(fitness)} results are the same")
    good = fitness >= np.quantile(fitness, 1 - good_share)
    if good.all():  # most did equally badly
        good = fitness > fitness.min()
    kinds = int(good.sum()), int((~good).sum())
    if min(kinds) < fewest:
        raise NothingLearntError(
            f"of {len(fitness)} results {kinds[0]} are good and {kinds[1]} bad; {fewest} are needed"
        )
    return good
