"""A forest of regression trees that predicts fitness."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from search.predictors.predictor import Arrays, Choice, Chooser, check_results

TREES = 100
FEWEST = 8  # results to learn from
LEAF = -1  # what scikit-learn has in place of a leaf's children


@dataclass(frozen=True)
class Trees(Chooser):
    """Extremely randomised trees; of some candidates the one that they find fittest is proposed.

    Sources: Geurts et al., "Extremely randomized trees", Machine Learning 63, 2006; Jin, "Surrogate-assisted
    evolutionary computation", Swarm and Evolutionary Computation 1, 2011 (pre-selection). Arrays are (node,), over all
    trees; `children` (node, 2) are nodes too, a leaf's children the leaf itself, and so are `roots` (tree,).
    Scikit-learn learns, but is not needed to predict.
    """

    name: ClassVar[str] = "trees"
    looks: ClassVar[int] = 200

    roots: NDArray[np.int32]
    children: NDArray[np.int32]
    feature: NDArray[np.int32]
    threshold: NDArray[np.float64]
    value: NDArray[np.float64]

    @classmethod
    def fewest(cls, good_share: float) -> int:  # noqa: ARG003
        """Some leaves of two results."""
        return FEWEST

    @classmethod
    def learn_features(
        cls,
        features: NDArray[np.float64],
        fitness: NDArray[np.float64],
        good_share: float,  # noqa: ARG003
        seed: int,
    ) -> Self:
        """Learn from features (n, feature), of any scale, and fitness (n,). Raises NothingLearntError."""
        from sklearn.ensemble import ExtraTreesRegressor

        check_results(fitness, FEWEST)
        forest = ExtraTreesRegressor(TREES, min_samples_leaf=2, max_features=0.5, random_state=seed)
        trees = [estimator.tree_ for estimator in forest.fit(features, fitness).estimators_]
        ends = np.cumsum([tree.node_count for tree in trees])
        roots = np.array([0, *ends[:-1]], np.int32)
        return cls(
            roots=roots,
            children=np.concatenate([_children(tree) + root for tree, root in zip(trees, roots, strict=True)]),
            feature=np.concatenate([tree.feature for tree in trees]).clip(0).astype(np.int32),  # leaves have none
            threshold=np.concatenate([tree.threshold for tree in trees]),
            value=np.concatenate([tree.value[:, 0, 0] for tree in trees]),
        )

    def predict(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        """Fitness (n,) that features (n, feature) promise."""
        single = features.astype(np.float32).ravel()  # as scikit-learn compares them
        starts = np.arange(len(features)) * features.shape[1]
        children = self.children.ravel()
        node = np.repeat(self.roots[:, None], len(features), axis=1)
        while True:
            goes_right = single.take(starts + self.feature.take(node)) > self.threshold.take(node)
            below = children.take(2 * node + goes_right)
            if np.array_equal(below, node):
                return np.asarray(self.value.take(node).mean(axis=0))
            node = below

    def choose(self, features: NDArray[np.float64]) -> Choice:
        """The candidate (n, feature) that promises most."""
        return Choice(int(self.predict(features).argmax()), len(features))

    def arrays(self) -> Arrays:
        """All that it knows."""
        return dict(vars(self))

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> Self:
        """Back from its arrays."""
        return cls(**arrays)


def _children(tree: Any) -> NDArray[np.int32]:
    """The children (node, 2) of a tree of scikit-learn; a leaf's are itself."""
    children = np.stack([tree.children_left, tree.children_right], axis=1).astype(np.int32)
    return np.where(children == LEAF, np.arange(len(children), dtype=np.int32)[:, None], children)
