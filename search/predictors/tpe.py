"""The tree-structured Parzen estimator of Optuna."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from networks.hyperparameters import Hyperparameters, Sets
from search.predictors.predictor import Arrays, Predictor, Proposal, check_results

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

FEWEST = 8  # results to learn from


@dataclass(frozen=True)
class Tpe(Predictor):
    """Proposes what is likely among the good and unlikely among the bad results.

    Source: Bergstra et al., "Algorithms for hyper-parameter optimization", NIPS 2011; multivariate, after Falkner et
    al., ICML 2018, as Optuna has it. It has learnt the results by heart; a study is made of them for each proposal.
    """

    name: ClassVar[str] = "tpe"

    sets: Sets
    fitness: NDArray[np.float64]

    @classmethod
    def fewest(cls, good_share: float) -> int:  # noqa: ARG003
        """Some good and some bad ones."""
        return FEWEST

    @classmethod
    def learn(
        cls,
        space: Hyperparameters,  # noqa: ARG003
        sets: Sets,
        fitness: NDArray[np.float64],
        good_share: float,  # noqa: ARG003
        seed: int,  # noqa: ARG003
    ) -> Self:
        """Learn from sets (n, hyperparameter) and their fitness (n,). Raises NothingLearntError."""
        check_results(fitness, FEWEST)
        return cls(sets, fitness)

    def propose(self, space: Hyperparameters, rng: np.random.Generator) -> Proposal:
        """A set that promises to do well."""
        from optuna import create_study, logging
        from optuna.samplers import TPESampler
        from optuna.trial import create_trial

        logging.set_verbosity(logging.WARNING)
        distributions = _distributions(space)
        sampler = TPESampler(seed=int(rng.integers(2**31)), n_startup_trials=0, multivariate=True)
        study = create_study(direction="maximize", sampler=sampler)
        study.add_trials(
            create_trial(
                params=dict(zip(distributions, chosen.tolist(), strict=True)), distributions=distributions, value=value
            )
            for chosen, value in zip(self.sets, self.fitness.tolist(), strict=True)
        )
        free = {
            name: distribution
            for h, (name, distribution) in zip(space.vary, distributions.items(), strict=True)
            if max(h.chances) < 1
        }
        asked = study.ask(free).params
        fixed = space.draw(1, rng)[0].tolist()
        return Proposal(
            np.array([asked.get(name, choice) for name, choice in zip(distributions, fixed, strict=True)], np.uint8)
        )

    def arrays(self) -> Arrays:
        """All that it knows."""
        return dict(vars(self))

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> Self:
        """Back from its arrays."""
        return cls(**arrays)


def _distributions(space: Hyperparameters) -> dict[str, BaseDistribution]:
    """Of each hyperparameter, by its name, the numbers of its choices as Optuna has them."""
    from optuna.distributions import CategoricalDistribution, IntDistribution

    return {
        h.name: IntDistribution(0, len(h.choices) - 1) if h.ordered else CategoricalDistribution(range(len(h.choices)))
        for h in space.vary
    }
