"""Mutation of single genes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from networks.genes import SIZES, meanings

STEEPNESS = 1.5  # of the power law, the value that the source recommends
NEW_VALUE_SHARE = 0.3  # of the changed genes take any value, the others the next one that means something else


def change_genes(genes: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    """Other values for a few of the genes that the network reads.

    How many follows a power law, mostly one or two and now and then many, so that there is no rate to tune.
    Source: Doerr et al., "Fast genetic algorithms", GECCO 2017.
    """
    child = genes.copy()
    says = meanings(genes)
    able = np.flatnonzero(says.any(axis=1))
    for gene in rng.permutation(able)[: _how_many(len(able), rng)].tolist():
        row = says[gene, : SIZES[gene]]
        others = np.flatnonzero(row != row[child[gene]])
        if rng.random() < NEW_VALUE_SHARE:
            child[gene] = others[rng.integers(len(others))]
        else:
            below, above = others[others < child[gene]], others[others > child[gene]]
            nearest = [*below[-1:].tolist(), *above[:1].tolist()]
            child[gene] = nearest[int(rng.integers(len(nearest)))]
    return child


def _how_many(genes: int, rng: np.random.Generator) -> int:
    """A number from 1 to half of `genes`, by the power law (drawn from the continuous one)."""
    most = max(genes // 2, 1)
    power = 1 - STEEPNESS
    return min(int((1 - rng.random() * (1 - (most + 1) ** power)) ** (1 / power)), most)
