"""A support vector machine that accepts or rejects sets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from networks.hyperparameters import Hyperparameters, Sets
from search.predictors.predictor import Arrays, Choice, Chooser, NothingLearntError, check_results, least_good

FOLDS = 4
MANY = 2000  # results, of which even a small share is enough
COSTS = (1.0, 10.0, 100.0)  # C; with less, machines that order sets well accept none
WIDTHS = (0.1, 0.3, 1.0, 3.0)  # gamma times the number of hyperparameters, over which distances add up


@dataclass(frozen=True)
class Svm(Chooser):
    """An SVM with a radial kernel, which was taught what did well; the first set that it accepts is proposed.

    Source: Patton et al., "167-PFlops deep learning for electron microscopy", SC18. Features are scaled to mean 0 and
    variance 1, those of a name together, so that it counts no more in distances than a number. C and gamma are those
    of the best average precision in cross-validation: a machine that orders sets well may accept very few, or none of
    those that it looks at; then the nearest to that is as good (docs/performance.md). Scikit-learn learns, but is not
    needed to decide.
    """

    name: ClassVar[str] = "svm"
    looks: ClassVar[int] = 2000

    mean: NDArray[np.float64]
    scale: NDArray[np.float64]
    vectors: NDArray[np.float64]
    weights: NDArray[np.float64]
    intercept: float
    gamma: float

    @classmethod
    def fewest(cls, good_share: float) -> int:
        """As many as have a good and a bad one for each fold of the cross-validation."""
        good = {count: int((count - 1) * good_share + 1e-9) + 1 for count in range(2 * FOLDS, MANY)}
        return next((count for count in good if min(good[count], count - good[count]) >= FOLDS), MANY)

    @classmethod
    def learn(
        cls, space: Hyperparameters, sets: Sets, fitness: NDArray[np.float64], good_share: float, seed: int
    ) -> Self:
        """Learn from sets (n, hyperparameter) and their fitness (n,). Raises NothingLearntError."""
        return cls._learn(space.features(sets), space.shares, fitness, good_share, seed)

    @classmethod
    def learn_features(
        cls, features: NDArray[np.float64], fitness: NDArray[np.float64], good_share: float, seed: int
    ) -> Self:
        """Learn from features (n, feature), of any scale, and fitness (n,). Raises NothingLearntError."""
        return cls._learn(features, np.ones(features.shape[1]), fitness, good_share, seed)

    @classmethod
    def _learn(
        cls,
        features: NDArray[np.float64],
        shares: NDArray[np.float64],
        fitness: NDArray[np.float64],
        good_share: float,
        seed: int,
    ) -> Self:
        """Learn, with features of which each has one of the `shares` (feature,) in squared distances."""
        from sklearn.model_selection import GridSearchCV, StratifiedKFold
        from sklearn.preprocessing import StandardScaler
        from sklearn.svm import SVC

        check_results(fitness, cls.fewest(good_share))
        good = fitness >= least_good(fitness, good_share)
        kinds = int(good.sum()), int((~good).sum())
        if min(kinds) < FOLDS:
            said = f"of {len(fitness)} results {kinds[0]} are good and {kinds[1]} bad; {FOLDS} of each are needed"
            raise NothingLearntError(said)
        scaler = StandardScaler().fit(features)
        scale = scaler.scale_ / np.sqrt(shares)
        search = GridSearchCV(
            SVC(kernel="rbf"),
            {"C": COSTS, "gamma": [width / shares.sum() for width in WIDTHS]},
            cv=StratifiedKFold(FOLDS, shuffle=True, random_state=seed),
            scoring="average_precision",
        )
        machine = search.fit((features - scaler.mean_) / scale, good).best_estimator_
        return cls(
            scaler.mean_,
            scale,
            machine.support_vectors_,
            machine.dual_coef_[0],
            float(machine.intercept_[0]),
            float(machine.gamma),
        )

    def margin(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        """The decision function (n,) for features (n, feature): above 0 is accepted."""
        scaled = (features - self.mean) / self.scale
        distances = (scaled**2).sum(1)[:, None] + (self.vectors**2).sum(1)[None, :] - 2 * scaled @ self.vectors.T
        return np.asarray(np.exp(-self.gamma * distances) @ self.weights + self.intercept)

    def choose(self, features: NDArray[np.float64]) -> Choice:
        """The first candidate (n, feature) that is accepted, else the nearest to that."""
        margin = self.margin(features)
        accepted = np.flatnonzero(margin > 0)
        if len(accepted):
            return Choice(int(accepted[0]), int(accepted[0]) + 1)
        return Choice(int(margin.argmax()), len(margin), rejected=True)

    def arrays(self) -> Arrays:
        """All that it knows."""
        return {name: np.asarray(value) for name, value in vars(self).items()}

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> Self:
        """Back from its arrays."""
        numbers = {name: float(arrays[name]) for name in ("intercept", "gamma")}
        return cls(arrays["mean"], arrays["scale"], arrays["vectors"], arrays["weights"], **numbers)
