"""Variation and selection: one operator a file.

Crossovers and mutations work on genes as `networks.genes.unpack` gives them. A crossover takes two parents, a
mutation one; both give a new array and leave the parents as they are. An operator that finds nothing to do
gives a copy of the (first) parent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from search.operators.change_genes import change_genes
from search.operators.delete_layer import delete_layer
from search.operators.duplicate_layer import duplicate_layer
from search.operators.exchange_layers import exchange_layers
from search.operators.insert_layer import insert_layer
from search.operators.one_point import one_point
from search.operators.two_point import two_point
from search.operators.uniform import uniform

Genes = NDArray[np.int64]
Crossover = Callable[[Genes, Genes, np.random.Generator], Genes]
Mutation = Callable[[Genes, np.random.Generator], Genes]

CROSSOVERS: Mapping[str, Crossover] = {"one_point": one_point, "two_point": two_point, "uniform": uniform}
MUTATIONS: Mapping[str, Mutation] = {
    "change_genes": change_genes,
    "insert_layer": insert_layer,
    "delete_layer": delete_layer,
    "exchange_layers": exchange_layers,
    "duplicate_layer": duplicate_layer,
}
