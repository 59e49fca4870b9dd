"""A forest of regression trees that predicts fitness."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from search.predictors.predictor import Arrays, Chooser, did_well

TREES = 100
FEWEST = 4  # good and bad results to learn from
LEAF = -1  # the child that a leaf has in place of one


@dataclass(frozen=True)
class Trees(Chooser):
    """Extremely randomised trees; of some candidates the one that they find fittest is proposed.

    Sources: Geurts et al., "Extremely randomized trees", Machine Learning 63, 2006; Jin, "Surrogate-assisted
    evolutionary computation", Swarm and Evolutionary Computation 1, 2011 (pre-selection). Arrays are (tree, node), the
    first node of each tree its root. Scikit-learn learns, but is not needed to predict.
    """

    name: ClassVar[str] = "trees"
    looks: ClassVar[int] = 200

    left: NDArray[np.int32]
    right: NDArray[np.int32]
    feature: NDArray[np.int32]
    threshold: NDArray[np.float64]
    value: NDArray[np.float64]

    @classmethod
    def learn_features(
        cls, features: NDArray[np.float64], fitness: NDArray[np.float64], good_share: float, seed: int
    ) -> Self:
        """Learn from features (n, feature), of any scale, and fitness (n,). Raises NothingLearntError."""
        from sklearn.ensemble import ExtraTreesRegressor

        did_well(fitness, good_share, FEWEST)
        forest = ExtraTreesRegressor(TREES, min_samples_leaf=2, max_features=0.5, random_state=seed)
        trees = [estimator.tree_ for estimator in forest.fit(features, fitness).estimators_]
        nodes = max(tree.node_count for tree in trees)

        def padded(name: str, kind: type[Any]) -> NDArray[Any]:
            rows = np.full((TREES, nodes), LEAF, kind)
            for row, tree in zip(rows, trees, strict=True):
                row[: tree.node_count] = getattr(tree, name).reshape(tree.node_count)
            return rows

        return cls(
            left=padded("children_left", np.int32),
            right=padded("children_right", np.int32),
            feature=padded("feature", np.int32),
            threshold=padded("threshold", np.float64),
            value=padded("value", np.float64),
        )

    def predict(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        """Fitness (n,) that features (n, feature) promise."""
        single = features.astype(np.float32)  # as scikit-learn compares them
        trees, candidates = np.arange(len(self.left))[:, None], np.arange(len(single))[None, :]
        node = np.zeros((len(self.left), len(single)), np.int32)
        while True:
            inner = self.left[trees, node] != LEAF
            if not inner.any():
                return np.asarray(self.value[trees, node].mean(axis=0))
            goes_left = single[candidates, self.feature[trees, node]] <= self.threshold[trees, node]
            below = np.where(goes_left, self.left[trees, node], self.right[trees, node])
            node = np.where(inner, below, node)

    def choose(self, features: NDArray[np.float64]) -> tuple[int, int]:
        """The candidate (n, feature) that promises most, and how many were looked at."""
        return int(self.predict(features).argmax()), len(features)

    def arrays(self) -> Arrays:
        """All that it knows."""
        return dict(vars(self))

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> Self:
        """Back from its arrays."""
        return cls(**arrays)
