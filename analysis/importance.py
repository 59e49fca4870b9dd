"""Which genes matter: what a model of fitness, learnt from the journal, cannot do without."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from networks.features import CHOICES, features
from networks.genome import decode
from networks.space import Limits
from search.evaluation import Evaluation, Status

FEWEST = 60  # networks to learn from
MOST = 3000  # drawn of more: the order of importance does not change, the time would
FOLDS = 5
REPEATS = 3
TREES = 60
SURE = 0.01  # p-value


@dataclass(frozen=True)
class Importance:
    """Importance (n,) of features by `names`, with its standard error over the folds.

    A feature's importance is by how much R² of held-out networks falls when its values are shuffled among them.
    `r2` is that of all features. `fitter` says with what of it networks are fitter: more, less, a choice; "" if
    there is no such trend. Trends are among the networks of the search, which prefers relatives of good ones. Where no
    feature varies there is none, and R² is 0.
    """

    names: tuple[str, ...]
    fitter: tuple[str, ...]
    drop: NDArray[np.float64]
    error: NDArray[np.float64]
    r2: float
    networks: int


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
    rows = [features(decode(e.request.genome, Limits())) for e in good]
    values = np.array([list(row.values()) for row in rows], float)
    varies = np.ptp(values, axis=0) > 0
    if not varies.any():  # a topology of one's own may leave open what is none of the features
        return Importance((), (), np.zeros(0), np.zeros(0), 0.0, len(good))
    names = tuple(name for name, kept in zip(rows[0], varies, strict=True) if kept)
    return _learn(names, values[:, varies], np.array([e.fitness for e in good]), seed)


def _learn(names: tuple[str, ...], values: NDArray[np.float64], fitness: NDArray[np.float64], seed: int) -> Importance:
    """Cross-validate a forest on values (network, feature), and shuffle each feature of the held-out networks."""
    from sklearn.ensemble import RandomForestRegressor
    from sklearn.inspection import permutation_importance
    from sklearn.metrics import r2_score
    from sklearn.model_selection import KFold

    # Ranks: a few networks that learnt nothing would else be all that there is to explain.
    ranks = fitness.argsort().argsort() / len(fitness)
    predicted = np.zeros(len(fitness))
    drops = []
    for known, held_out in KFold(FOLDS, shuffle=True, random_state=seed).split(values):
        forest = RandomForestRegressor(TREES, min_samples_leaf=3, max_features=1 / 3, random_state=seed)
        forest.fit(values[known], ranks[known])
        predicted[held_out] = forest.predict(values[held_out])
        shuffled = permutation_importance(
            forest, values[held_out], ranks[held_out], n_repeats=REPEATS, random_state=seed, scoring="r2"
        )
        drops.append(shuffled.importances_mean)
    error = np.std(drops, axis=0, ddof=1) / np.sqrt(FOLDS)
    trends = tuple(trend(name, column, ranks) for name, column in zip(names, values.T, strict=True))
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
