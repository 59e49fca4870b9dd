"""Which genes matter: what a model of fitness, learnt from the journal, cannot do without."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from networks import space
from networks.genome import decode
from networks.space import Convolution, FullyConnected, Limits, NetworkSpec, Pool
from search.evaluation import Evaluation, Status

FEWEST = 60  # networks to learn from
MOST = 3000  # drawn of more: the order of importance does not change, the time would
FOLDS = 5
REPEATS = 3
TREES = 60
SURE = 0.01  # p-value
CHOICES = {
    "optimiser": space.OPTIMISERS,
    "schedule": space.SCHEDULES,
    "loss": space.LOSSES,
    "commonest activation": space.ACTIVATIONS,
}


@dataclass(frozen=True)
class Importance:
    """Importance (n,) of features by `names`, with its standard error over the folds.

    A feature's importance is by how much R² of held-out networks falls when its values are shuffled among them.
    `r2` is that of all features. `fitter` says with what of it networks are fitter: more, less, a choice; "" if
    there is no such trend. Trends are among the networks of the search, which prefers relatives of good ones.
    """

    names: tuple[str, ...]
    fitter: tuple[str, ...]
    drop: NDArray[np.float64]
    error: NDArray[np.float64]
    r2: float
    networks: int


def features_of(spec: NetworkSpec) -> dict[str, float]:
    """What a network's genes say, in numbers. Choices without an order count through their table."""
    training, layers = spec.training, spec.layers
    convolutions = [layer for layer in layers if isinstance(layer, Convolution)]
    active = [layer.activation for layer in layers if not isinstance(layer, Pool)]
    widths = [layer.kernels for layer in convolutions]
    return {
        "learning rate": np.log10(training.learning_rate),
        "weight decay": np.log10(training.weight_decay),
        "momentum": training.momentum,
        "batch size": training.batch_size,
        "weight of defects": training.defect_weight,
        "augmentation": training.augmentation,
        "optimiser": CHOICES["optimiser"].index(training.optimiser),
        "schedule": CHOICES["schedule"].index(training.schedule),
        "loss": CHOICES["loss"].index(training.loss),
        "number of convolutions": len(convolutions),
        "number of pools": sum(isinstance(layer, Pool) for layer in layers),
        "number of fully connected layers": sum(isinstance(layer, FullyConnected) for layer in layers),
        "total stride": spec.stride,
        "kernels, first convolution": widths[0],
        "kernels, mean": float(np.mean(widths)),
        "kernel area, first convolution": convolutions[0].kernel_height * convolutions[0].kernel_width,
        "kernel area, mean": float(np.mean([layer.kernel_height * layer.kernel_width for layer in convolutions])),
        "dilation, mean": float(np.mean([layer.dilation for layer in convolutions])),
        "commonest activation": space.ACTIVATIONS.index(Counter(active).most_common(1)[0][0]),
        "share of convolutions normalised": float(np.mean([c.normalisation == "batch" for c in convolutions])),
        "share of convolutions padded by replicas": float(np.mean([c.padding == "replicate" for c in convolutions])),
        "number of skip links": sum(c.skip for c in convolutions),
        "dropout, mean": float(np.mean([c.dropout for c in convolutions])),
    }


def gene_importance(evaluations: Sequence[Evaluation], seed: int = 0) -> Importance | None:
    """Learn fitness from genes, and what each of them is worth; None with fewer than `FEWEST` good networks.

    A random forest is judged on networks that it has not seen (5-fold cross-validation). Relatives are in all folds,
    so R² is that for more networks of this search, not for any. Of genes that go together each looks less
    important than both are. Source: Breiman, "Random forests", Machine Learning 45, 5-32, 2001, section 10.
    """
    good = [e for e in evaluations if e.status is Status.OK]
    if len(good) < FEWEST:
        return None
    if len(good) > MOST:
        chosen = np.random.default_rng(seed).choice(len(good), MOST, replace=False)
        good = [good[number] for number in np.sort(chosen)]
    rows = [features_of(decode(e.request.genome, Limits())) for e in good]
    features = np.array([list(row.values()) for row in rows], float)
    varies = np.ptp(features, axis=0) > 0
    names = tuple(name for name, kept in zip(rows[0], varies, strict=True) if kept)
    return _learn(names, features[:, varies], np.array([e.fitness for e in good]), seed)


def _learn(
    names: tuple[str, ...], features: NDArray[np.float64], fitness: NDArray[np.float64], seed: int
) -> Importance:
    """Cross-validate a forest on features (network, feature), and shuffle each feature of the held-out networks."""
    from sklearn.ensemble import RandomForestRegressor
    from sklearn.inspection import permutation_importance
    from sklearn.metrics import r2_score
    from sklearn.model_selection import KFold

    # Ranks: a few networks that learnt nothing would else be all that there is to explain.
    ranks = fitness.argsort().argsort() / len(fitness)
    predicted = np.zeros(len(fitness))
    drops = []
    for known, held_out in KFold(FOLDS, shuffle=True, random_state=seed).split(features):
        forest = RandomForestRegressor(TREES, min_samples_leaf=3, max_features=1 / 3, random_state=seed)
        forest.fit(features[known], ranks[known])
        predicted[held_out] = forest.predict(features[held_out])
        shuffled = permutation_importance(
            forest, features[held_out], ranks[held_out], n_repeats=REPEATS, random_state=seed, scoring="r2"
        )
        drops.append(shuffled.importances_mean)
    error = np.std(drops, axis=0, ddof=1) / np.sqrt(FOLDS)
    trends = tuple(trend(name, column, ranks) for name, column in zip(names, features.T, strict=True))
    return Importance(names, trends, np.mean(drops, axis=0), error, float(r2_score(ranks, predicted)), len(fitness))


def trend(name: str, values: NDArray[np.float64], ranks: NDArray[np.float64]) -> str:
    """With what of a feature's values (n,) networks are fitter: more, less, a choice; "" if that is unsure."""
    from scipy.stats import kruskal, spearmanr

    if name not in CHOICES:
        found = spearmanr(values, ranks)
        return "" if found.pvalue > SURE else "more" if found.statistic > 0 else "less"
    groups = {value: ranks[values == value] for value in np.unique(values)}
    if kruskal(*groups.values()).pvalue > SURE:
        return ""
    best = max(groups, key=lambda value: groups[value].mean())
    return str(CHOICES[name][int(best)]).replace("_", " ")
