"""The second half of the method: the best set of hyperparameters of a fixed topology.

The kinds of layers and their order are fixed; everything else may vary. First, workers draw sets at random. Then
a predictor that has learnt which sets did well goes to the workers, and each of them draws what that proposes
(Patton et al., "167-PFlops deep learning for electron microscopy", SC18). The driver never chooses a set.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from concurrent.futures import Executor, Future
from dataclasses import dataclass, replace

import numpy as np

from networks.hyperparameters import Hyperparameters
from search.evaluation import Evaluation, Request, training_seed
from search.payoff import PayoffFold
from search.predictors import PREDICTORS, RANDOM
from search.predictors.predictor import NothingLearntError, Predictor
from search.verdict import said

STAGE = "tuning"
GROWTH = 0.1  # share of new results at which a predictor is built anew
REMEMBERED = 2000  # the latest results are learnt from: to teach an SVM takes the square of their number


@dataclass(frozen=True)
class Plan:
    """How sets are chosen.

    The first `random_sets` that are asked for are random, or those of the first `random_s` seconds that workers were at
    work. Then, as soon as there is enough to learn from, the predictor of that name chooses. It learns that the best
    `good_share` of the results did well.
    """

    random_sets: int
    predictor: str
    good_share: float = 0.25
    random_s: float = math.inf


@dataclass(frozen=True)
class Build:
    """A predictor, built from the first `learnt_on` results that workers told of, or the `reason` why it could not be.

    To build it took `seconds`, of which the search waited for `waited_s`.
    """

    name: str
    learnt_on: int
    seconds: float
    waited_s: float = 0.0
    predictor: Predictor | None = None
    reason: str = ""


class Tuning:
    """Ask and tell over sets of one topology, which are drawn by who evaluates them.

    Predictors are built in the `background`; only the first of them is waited for. `publish` puts one where workers
    find it by its name, and says whether that could be done. Its state is a fold over what it is told: after a resume
    the same predictor is built from the same results. Sets begin with weights of the `parents`.
    """

    stage = STAGE

    def __init__(
        self,
        space: Hyperparameters,
        plan: Plan,
        seed: int,
        background: Executor,
        publish: Callable[[Build], bool],
        parents: tuple[int, ...] = (),
    ) -> None:
        self.space, self.plan, self.seed = space, plan, seed
        self._background, self._publish, self._parents = background, publish, parents
        self.payoff = PayoffFold()
        self._asked = self._told = self._known = 0
        self._worked_s = self._latest = 0.0  # time with a worker at work, and when that was last
        self._results: list[tuple[bytes, float]] = []
        # Predictors learn from what was known at certain numbers of results, so that after a resume they are the same.
        self._learn_on = self._learnt_on = 0
        self._examples: list[tuple[bytes, float]] = []
        self._fewest = PREDICTORS[plan.predictor].fewest(plan.good_share) if plan.predictor != RANDOM else math.inf
        self._building: Future[Build] | None = None
        self._predictor = ""

    def ask(self, index: int) -> Request:
        """The next set to evaluate, which is still to be drawn."""
        # After a resume, sets that the journal told of were asked for in an earlier life.
        number = max(self._asked, self._told)
        self._asked = number + 1
        random = number < self.plan.random_sets and self._worked_s < self.plan.random_s
        if not random:
            self._build()
        predictor = "" if random else self._predictor
        seed = training_seed(self.seed, index)
        return Request(index, STAGE, int(bool(predictor)), b"", seed, self._parents, predictor=predictor)

    def tell(self, evaluation: Evaluation) -> None:
        """Take in a result, also one from the journal."""
        self._told += 1
        self.payoff.add(evaluation)
        if not evaluation.ended:  # it was lost, and nothing is known of it
            return
        self._worked_s += max(0.0, evaluation.ended - max(evaluation.started, self._latest))
        self._latest = max(self._latest, evaluation.ended)
        if evaluation.request.genome:
            self._known += 1
            self._results.append((evaluation.request.genome, evaluation.fitness))
            if self._known >= max(self._fewest, (1 + GROWTH) * self._learn_on):
                self._learn_on = self._known
                self._examples = self._results[-REMEMBERED:]
                self._results = list(self._examples)

    def parents(self) -> set[int]:
        """Numbers of the evaluations whose weights sets may begin with."""
        return set(self._parents)

    def _build(self) -> None:
        """Have a predictor built if there is enough that is new, and published once it is."""
        first = self._learnt_on == 0
        if self._building is None and self._learnt_on < self._learn_on:
            self._learnt_on = self._learn_on
            self._building = self._background.submit(self.build, self._learnt_on, self._examples)
        if self._building is not None and (first or self._building.done()):
            started = time.perf_counter()
            build = replace(self._building.result(), waited_s=time.perf_counter() - started if first else 0.0)
            self._building = None
            if self._publish(build) and build.predictor is not None:
                self._predictor = build.name

    def build(self, known: int, results: list[tuple[bytes, float]]) -> Build:
        """The predictor that learns from `results`, genomes and their fitness, the latest of all that are `known`."""
        started = time.perf_counter()
        predictor, reason = None, ""
        name = f"{self.plan.predictor}_{known:06d}"
        try:
            sets = np.array([self.space.set_of(genome) for genome, _ in results]).reshape(
                len(results), len(self.space.vary)
            )
            fitness = np.array([fitness for _, fitness in results])
            kind = PREDICTORS[self.plan.predictor]
            predictor = kind.learn(self.space, sets, fitness, self.plan.good_share, seed=known)
        except NothingLearntError as error:
            reason = str(error)
        except Exception as error:  # whatever it is, the search goes on without
            reason = f"the fit failed ({said(error)})"
        return Build(name, known, time.perf_counter() - started, 0.0, predictor, reason)
