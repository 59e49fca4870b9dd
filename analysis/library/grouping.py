"""Group points into clusters whose number is not known: Gaussian mixtures, or a tree where there are few."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
MOST = 8  # groups
FEWEST = 12  # points that a mixture is fitted to; fewer are grouped by a tree
TREE_POINTS = 800  # that the tree of a start is built from
STABLE = 0.8  # least agreement of groupings of halves with that of the whole
HALVES = 4
LEAST_SPREAD = 0.05  # variance added to all groups, in units of the noise
TREE_CUT = 6.0  # standard deviations of the noise between groups of a tree


@dataclass(frozen=True)
class Grouping:
    """Groups of points: `means` (k, d), `covariances` (k, d, d), `weights` (k,).

    `bic` (m,) and `stability` (m,) are those of 1, 2, ... groups, of which `chosen` were taken; a tree has none.
    """

    means: FloatArray
    covariances: FloatArray
    weights: FloatArray
    bic: FloatArray
    stability: FloatArray

    @property
    def count(self) -> int:
        """How many groups."""
        return len(self.means)

    def log_likelihoods(self, points: FloatArray) -> FloatArray:
        """Of each point (n, d) under each group, weights included: (n, k)."""
        away = points[:, None] - self.means
        inverse = np.linalg.inv(self.covariances)
        squared = np.einsum("nki,kij,nkj->nk", away, inverse, away)
        _, size = np.linalg.slogdet(2 * np.pi * self.covariances)
        return np.asarray(np.log(self.weights) - (squared + size) / 2)

    def assign(self, points: FloatArray) -> IntArray:
        """The likeliest group (n,) of points (n, d)."""
        return np.asarray(self.log_likelihoods(points).argmax(axis=1))


def group(points: FloatArray, seed: int, independent: float = np.inf) -> Grouping:
    """Group points (n, d), measured in standard deviations of their noise.

    Of mixtures of 1, 2, ... Gaussians that with the least BIC (Schwarz, Annals of Statistics 6, 461, 1978) is taken,
    among those that come out alike from halves of the points (adjusted Rand index; Ben-Hur, Elisseeff and Guyon, Pac.
    Symp. Biocomputing 7, 6, 2002). Each mixture starts from a tree by Ward's method (Fraley, SIAM J. Sci. Comput. 20,
    270, 1998). Few points are grouped by the tree alone. Points that show the same things again and again tell no more
    than the things: BIC takes them for as many as there are `independent` ones.
    """
    if len(points) < FEWEST:
        return _by_tree(points)
    rng = np.random.default_rng(seed)
    fitted: list[Grouping] = []
    bic: list[float] = []
    stability: list[float] = []
    for count in range(1, min(MOST, len(points) // FEWEST + 1) + 1):
        grouping, likelihood = _mixture(points, count, rng)
        labels = grouping.assign(points)
        fitted.append(grouping)
        bic.append(_bic(likelihood, grouping, min(len(points), max(independent, FEWEST))))
        stability.append(_stability(points, labels, count, rng))
        if count > 2 and bic[-1] > bic[-2] > bic[-3]:
            break  # it only gets worse
    good = np.where(np.array(stability) >= STABLE, bic, np.inf)
    best = fitted[int(good.argmin())]
    return _with_members(replace(best, bic=np.array(bic), stability=np.array(stability)), points)


def split_group(grouping: Grouping, number: int, points: FloatArray, seed: int) -> Grouping:
    """A grouping in which a group is two, because somebody says so; `points` (n, d) are those of all groups."""
    members = points[grouping.assign(points) == number]
    if len(members) < 2:
        return grouping
    if len(members) < FEWEST:
        labels = _tree_labels(members, 2)
    else:
        labels = _mixture(members, 2, np.random.default_rng(seed))[0].assign(members)
    halves = [_gaussian(members[labels == half]) for half in np.unique(labels)]
    shares = np.unique(labels, return_counts=True)[1] / len(members)
    others = np.arange(grouping.count) != number
    parted = replace(
        grouping,
        means=np.concatenate([grouping.means[others], [mean for mean, _ in halves]]),
        covariances=np.concatenate([grouping.covariances[others], [covariance for _, covariance in halves]]),
        weights=np.concatenate([grouping.weights[others], grouping.weights[number] * shares]),
    )
    return _with_members(parted, points)


def _with_members(grouping: Grouping, points: FloatArray) -> Grouping:
    """Without the groups that are the likeliest of none of the points (n, d)."""
    held = np.unique(grouping.assign(points))
    means, covariances, weights = (part[held] for part in (grouping.means, grouping.covariances, grouping.weights))
    return replace(grouping, means=means, covariances=covariances, weights=weights / weights.sum())


def _bic(likelihood: float, grouping: Grouping, count: float) -> float:
    """BIC of a mixture with this mean log-likelihood of a point, for so many points."""
    size = grouping.means.shape[1]
    free = grouping.count * (1 + size + size * (size + 1) / 2) - 1
    return float(free * np.log(count) - 2 * count * likelihood)


def _mixture(points: FloatArray, count: int, rng: np.random.Generator) -> tuple[Grouping, float]:
    """A mixture of this many Gaussians, started from a tree of a sample, and the mean log-likelihood of a point."""
    from sklearn.mixture import GaussianMixture

    sample = points[rng.permutation(len(points))[:TREE_POINTS]]
    labels = _tree_labels(sample, count)
    count = int(labels.max()) + 1  # points that are equal are not told apart
    start = [_gaussian(sample[labels == number]) for number in range(count)]
    model = GaussianMixture(
        count,
        weights_init=np.bincount(labels, minlength=count) / len(labels),
        means_init=np.array([mean for mean, _ in start]),
        precisions_init=np.linalg.inv([covariance for _, covariance in start]),
        reg_covar=LEAST_SPREAD,
        max_iter=500,
        tol=1e-4,
        random_state=0,
    ).fit(points)
    nothing = np.zeros(0)
    weights = np.maximum(model.weights_, 1e-12)
    return Grouping(model.means_, model.covariances_, weights, nothing, nothing), float(model.score(points))


def _gaussian(points: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Mean and covariance of points (n, d), however few."""
    away = points - points.mean(axis=0)
    least = LEAST_SPREAD if len(points) > points.shape[1] + 1 else 1.0
    return points.mean(axis=0), away.T @ away / len(points) + least * np.eye(points.shape[1])


def _tree_labels(points: FloatArray, count: int) -> IntArray:
    from scipy.cluster.hierarchy import fcluster, linkage
    from scipy.spatial.distance import pdist

    if count == 1 or len(points) < 2:
        return np.zeros(len(points), np.int64)
    return np.asarray(fcluster(linkage(pdist(points), "ward"), count, "maxclust") - 1, np.int64)


def _by_tree(points: FloatArray) -> Grouping:
    """Groups of a few points that are further apart than noise puts them, by average linkage."""
    from scipy.cluster.hierarchy import fcluster, linkage
    from scipy.spatial.distance import pdist

    labels = np.zeros(len(points), np.int64)
    if len(points) > 1:
        cut = TREE_CUT * np.sqrt(points.shape[1])
        labels = np.asarray(fcluster(linkage(pdist(points), "average"), cut, "distance") - 1, np.int64)
    groups = [points[labels == number] for number in range(labels.max(initial=-1) + 1)]
    start = [_gaussian(members) for members in groups]
    weights = np.array([len(members) / len(points) for members in groups])
    size = points.shape[1]
    means = np.array([mean for mean, _ in start]).reshape(-1, size)
    covariances = np.array([covariance for _, covariance in start]).reshape(-1, size, size)
    return Grouping(means, covariances, weights, np.zeros(0), np.zeros(0))


def _stability(points: FloatArray, labels: IntArray, count: int, rng: np.random.Generator) -> float:
    """How well groupings of random halves agree with that of the whole, on average."""
    from sklearn.metrics import adjusted_rand_score

    if count == 1:
        return 1.0
    found = []
    for _ in range(HALVES):
        half = points[rng.permutation(len(points))[: max(len(points) // 2, count + 1)]]
        found.append(adjusted_rand_score(labels, _mixture(half, count, rng)[0].assign(points)))
    return float(np.mean(found))
