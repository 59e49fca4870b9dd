"""The second half of the method: a support vector machine learns which hyperparameter sets are good.

The topology, the kinds of layers and their order, is fixed; everything numeric may vary. First,
random sets are evaluated. Then an SVM with a radial kernel, trained on which of them did well,
accepts or rejects further random sets before they cost a training (Patton et al., "167-PFlops
deep learning for electron microscopy", SC18).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from networks.genes import SIZES, numeric_genes, pack, unpack
from search.evaluation import Evaluation, Request, rng_of, training_seed

STAGE = "tuning"
GOOD_QUANTILE = 0.75  # a set is good if its fitness is among the best quarter
DRAWS = 2000  # random sets an SVM may reject before the likeliest of them is taken
FEWEST_OF_A_KIND = 3  # good and bad sets needed to fit, and folds of the cross-validation
GRID = {"svc__C": [1.0, 10.0, 100.0], "svc__gamma": ["scale", 0.01, 0.1]}


class SvmTuning:
    """Ask and tell over sets of one topology, as variants of the genome `start`.

    The first `random_sets` asked are drawn blindly, the rest are what the SVM accepts; it is
    fitted anew when results have come in. `parents` are the evaluations that `start` is from.
    """

    stage = STAGE

    def __init__(self, start: bytes, random_sets: int, seed: int, parents: tuple[int, ...] = ()) -> None:
        self.random_sets = random_sets
        self.seed = seed
        self._parents = parents
        self._start = unpack(start)
        self._numbers = np.array(numeric_genes(self._start))
        self._sets: list[NDArray[np.int64]] = []
        self._fitness: list[float] = []
        self._asked = 0
        self._accept: object | None = None
        self._fitted_on = 0

    def ask(self, index: int) -> Request:
        """The next set to evaluate."""
        rng = rng_of(self.seed, index)
        # After a resume, sets that the journal told of were asked for in an earlier life.
        number = max(self._asked, len(self._sets))
        self._asked = number + 1
        blind = number < self.random_sets
        chosen, origin = (self._draw(1, rng)[0], "random") if blind else self._choose(rng)
        genes = self._start.copy()
        genes[self._numbers] = chosen
        generation = 0 if blind else 1
        return Request(index, STAGE, generation, pack(genes), training_seed(self.seed, index), self._parents, origin)

    def tell(self, evaluation: Evaluation) -> None:
        """Take in a result, also one from the journal."""
        self._sets.append(unpack(evaluation.request.genome)[self._numbers])
        self._fitness.append(evaluation.fitness)

    def parents(self) -> set[int]:
        """Numbers of the evaluations whose weights sets may begin with."""
        return set(self._parents)

    def _draw(self, count: int, rng: np.random.Generator) -> NDArray[np.int64]:
        sizes = SIZES[self._numbers]
        return rng.integers(0, sizes, size=(count, len(sizes)))

    def _features(self, sets: NDArray[np.int64]) -> NDArray[np.float64]:
        """Sets (n, gene) between 0 and 1."""
        return np.asarray(sets / (SIZES[self._numbers] - 1))

    def _choose(self, rng: np.random.Generator) -> tuple[NDArray[np.int64], str]:
        if self._fitted_on < len(self._sets):
            self._accept = self._fit()
            self._fitted_on = len(self._sets)
        drawn = self._draw(DRAWS, rng)
        if self._accept is None:
            return drawn[0], "random"
        margin = np.asarray(self._accept.decision_function(self._features(drawn)))  # type: ignore[attr-defined]
        accepted = np.flatnonzero(margin > 0)
        # The first accepted one: among them the choice stays random, as in the paper.
        return drawn[accepted[0] if len(accepted) else margin.argmax()], "svm"

    def _fit(self) -> object | None:
        """The SVM, or None where there are too few good or bad sets to learn from."""
        from sklearn.model_selection import GridSearchCV, StratifiedKFold
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler
        from sklearn.svm import SVC

        fitness = np.array(self._fitness)
        good = fitness >= np.quantile(fitness, GOOD_QUANTILE)
        if min(good.sum(), (~good).sum()) < FEWEST_OF_A_KIND:
            return None
        machine = make_pipeline(StandardScaler(), SVC(kernel="rbf", class_weight="balanced"))
        folds = StratifiedKFold(FEWEST_OF_A_KIND, shuffle=True, random_state=self.seed)
        search = GridSearchCV(machine, GRID, cv=folds, scoring="balanced_accuracy")
        fitted: object = search.fit(self._features(np.array(self._sets)), good).best_estimator_
        return fitted
