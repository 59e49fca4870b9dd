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
    """A set (hyperparameter,) to be evaluated, and how many random ones were looked at to find it.

    `rejected` if the predictor had accepted none of them, so that this one is the nearest to it.
    """

    chosen: Sets
    draws: int = 1
    rejected: bool = False


class Predictor(ABC):
    """Learns on the driver, proposes on workers; travels as arrays.

    Its state is a function of what it learnt from and a seed: what is learnt again is the same.
    """

    name: ClassVar[str]

    @classmethod
    @abstractmethod
    def fewest(cls, good_share: float) -> int:
        """How many results it takes to learn anything, if the best `good_share` of them did well."""

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


@dataclass(frozen=True)
class Choice:
    """The number of a candidate, and what a Proposal says of it."""

    number: int
    draws: int
    rejected: bool = False


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
    def choose(self, features: NDArray[np.float64]) -> Choice:
        """One of the candidates, given by features (n, feature)."""

    @classmethod
    def learn(
        cls, space: Hyperparameters, sets: Sets, fitness: NDArray[np.float64], good_share: float, seed: int
    ) -> Self:
        """Learn from sets (n, hyperparameter) and their fitness (n,). Raises NothingLearntError."""
        return cls.learn_features(space.features(sets), fitness, good_share, seed)

    def propose(self, space: Hyperparameters, rng: np.random.Generator) -> Proposal:
        """A set that promises to do well, of `looks` random ones."""
        sets = space.draw(self.looks, rng)
        choice = self.choose(space.features(sets))
        return Proposal(sets[choice.number], choice.draws, choice.rejected)


def least_good(fitness: NDArray[np.float64], good_share: float) -> float:
    """The least fitness that is good, if the best `good_share` of results (n,) did well.

    What is as bad as the worst is never good, however much of it there is: then it is the least above, or infinity.
    """
    worst, least = float(fitness.min()), float(np.quantile(fitness, 1 - good_share))
    return least if least > worst else float(fitness[fitness > worst].min(initial=np.inf))


def check_results(fitness: NDArray[np.float64], fewest: int) -> None:
    """Raise NothingLearntError if results (n,) are fewer than that, or all the same."""
    if len(fitness) < fewest:
        raise NothingLearntError(f"{len(fitness)} results are too few, {fewest} are needed")
    if np.ptp(fitness) == 0:
        raise NothingLearntError(f"all {len(fitness)} results are the same")
