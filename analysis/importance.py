"""Which genes matter: what a model of fitness, learnt from the journal, cannot do without."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from networks.features import CHOICES, features
from networks.genes import numeric_genes, pick, unpack
from networks.genome import decode
from networks.network_file import TOGETHER
from networks.space import Limits
from search.evaluation import Evaluation, Status
from search.tuning import STAGE as TUNING

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

    Networks of an evolution are compared by their features, see `networks.features`; of a tuning without one, whose
    topology is the same in all, by its hyperparameters.

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
    genomes = [e.request.genome for e in good]
    known = _of_sets(genomes) if all(e.request.stage == TUNING for e in good) else _of_networks(genomes)
    varies = np.ptp(known.values, axis=0) > 0
    if not varies.any():
        return Importance((), (), np.zeros(0), np.zeros(0), 0.0, len(good))
    names = tuple(name for name, kept in zip(known.names, varies, strict=True) if kept)
    varying = _Features(names, known.values[:, varies], known.choices)
    return _learn(varying, np.array([e.fitness for e in good]), seed)


@dataclass(frozen=True)
class _Features:
    """Networks in numbers: `values` (network, feature), and what they stand for where there is no order."""

    names: tuple[str, ...]
    values: NDArray[np.float64]
    choices: Mapping[str, Sequence[Any]]


def _of_networks(genomes: Sequence[bytes]) -> _Features:
    rows = [features(decode(genome, Limits())) for genome in genomes]
    return _Features(tuple(rows[0]), np.array([list(row.values()) for row in rows], float), CHOICES)


def _of_sets(genomes: Sequence[bytes]) -> _Features:
    """Sets of one topology: of each hyperparameter the place of its value among all that there are."""
    genes = np.array([unpack(genome) for genome in genomes])
    columns: dict[str, list[int]] = {}
    choices: dict[str, list[Any]] = {}
    for number, gene in numeric_genes(genes[0]).items():
        entries = list(dict.fromkeys(gene.table))
        columns[gene.name] = [entries.index(pick(gene.table, value, gene.bits)) for value in genes[:, number].tolist()]
        if isinstance(entries[0], (str, bool)):
            choices[gene.name] = entries
    for key, (first, *others) in TOGETHER.items():  # where they always go together, none is told alone
        for layer in [name.removesuffix(first) for name in columns if name.endswith(f" {first}")]:
            if all(columns[layer + other] == columns[layer + first] for other in others):
                columns[layer + key] = columns.pop(layer + first)
                for other in others:
                    del columns[layer + other]
    return _Features(tuple(columns), np.array(list(columns.values()), float).T, choices)


def _learn(known: _Features, fitness: NDArray[np.float64], seed: int) -> Importance:
    """Cross-validate a forest on the networks, and shuffle each feature of the held-out ones."""
    from sklearn.ensemble import RandomForestRegressor
    from sklearn.inspection import permutation_importance
    from sklearn.metrics import r2_score
    from sklearn.model_selection import KFold

    # Ranks: a few networks that learnt nothing would else be all that there is to explain.
    ranks = fitness.argsort().argsort() / len(fitness)
    values, predicted = known.values, np.zeros(len(fitness))
    drops = []
    for shown, held_out in KFold(FOLDS, shuffle=True, random_state=seed).split(values):
        forest = RandomForestRegressor(TREES, min_samples_leaf=3, max_features=1 / 3, random_state=seed)
        forest.fit(values[shown], ranks[shown])
        predicted[held_out] = forest.predict(values[held_out])
        shuffled = permutation_importance(
            forest, values[held_out], ranks[held_out], n_repeats=REPEATS, random_state=seed, scoring="r2"
        )
        drops.append(shuffled.importances_mean)
    error = np.std(drops, axis=0, ddof=1) / np.sqrt(FOLDS)
    trends = tuple(
        trend(column, ranks, known.choices.get(name)) for name, column in zip(known.names, values.T, strict=True)
    )
    return Importance(
        known.names, trends, np.mean(drops, axis=0), error, float(r2_score(ranks, predicted)), len(fitness)
    )


def trend(values: NDArray[np.float64], ranks: NDArray[np.float64], choices: Sequence[Any] | None) -> str:
    """With what of a feature's values (n,) networks are fitter: more, less, a choice; "" if that is unsure."""
    from scipy.stats import kruskal, spearmanr

    if choices is None:
        found = spearmanr(values, ranks)
        return "" if found.pvalue > SURE else "more" if found.statistic > 0 else "less"
    groups = {value: ranks[values == value] for value in np.unique(values)}
    if kruskal(*groups.values()).pvalue > SURE:
        return ""
    best = max(groups, key=lambda value: groups[value].mean())
    return str(choices[int(best)]).replace("_", " ")
