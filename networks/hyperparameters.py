"""The hyperparameters of a topology: what may vary in its layers and its training, and sets of them.

The kinds of layers and their order are fixed. A *set* is an array (hyperparameter,) with the number of the choice
taken for each.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from networks.genes import Gene, kind_of, numeric_genes, pack, pick, unpack, value_of
from networks.space import SLOTS

Sets = NDArray[np.uint8]
SHAPELESS = ("learning_rate", "momentum", "weight_decay", "defect_weight")


@dataclass(frozen=True)
class Hyperparameter:
    """One number, or name, that may vary.

    It sets some genes, given by their numbers, which all are as `gene`. `chances` is how often random sets have
    each of the choices.
    """

    name: str
    genes: tuple[int, ...]
    gene: Gene
    choices: tuple[Any, ...]
    chances: tuple[float, ...]

    @property
    def ordered(self) -> bool:
        """Whether neighbouring choices are alike, as those of numbers are."""
        return not any(isinstance(choice, str) for choice in self.choices)

    @property
    def shapes_nothing(self) -> bool:
        """Whether networks that differ in it alone can be trained as one, see `networks.grouped`."""
        return self.name in SHAPELESS or self.name.endswith(" dropout")

    def value(self, choice: int) -> int:
        """The value of its genes that stands for a choice, given by its number."""
        return value_of(self.gene.table, self.choices[choice], self.gene.bits)

    def choice(self, value: int) -> int:
        """The number of the choice that a value of its genes stands for."""
        return self.choices.index(pick(self.gene.table, value, self.gene.bits))


def hyperparameter(
    name: str, genes: Sequence[int], gene: Gene, choices: Collection[Any] | None = None
) -> Hyperparameter:
    """The hyperparameter that sets `genes`, which are all as `gene`; by default with all choices that this has.

    Raises ValueError for a choice that it does not have.
    """
    taken = tuple(entry for entry in dict.fromkeys(gene.table) if choices is None or entry in choices)
    if choices is not None and len(taken) < len(set(choices)):
        raise ValueError(f"{name} has no {next(choice for choice in choices if choice not in gene.table)!r}")
    # What a table has twice is drawn twice as often; of choices that somebody named, each is as good.
    counts = [gene.table.count(entry) if choices is None else 1 for entry in taken]
    return Hyperparameter(name, tuple(genes), gene, taken, tuple(count / sum(counts) for count in counts))


@dataclass(frozen=True)
class Hyperparameters:
    """What may vary in a topology.

    `base` is a genome of the topology with all that is fixed. With `around`, random sets keep a random share of
    its other genes too: some are all new, some nearly the same.
    """

    base: bytes
    vary: tuple[Hyperparameter, ...]
    around: bool = False

    @staticmethod
    def around_genome(genome: bytes) -> Hyperparameters:
        """All that may vary in the topology of a genome, drawn around that genome.

        Where the network goes up again, strides stay: with them, the layers that undo them would come and go.
        """
        genes = unpack(genome)
        goes_up = any(kind_of(genes, slot) == "upsample" for slot in range(SLOTS))
        vary = (
            hyperparameter(gene.name, [number], gene)
            for number, gene in numeric_genes(genes).items()
            if not (goes_up and gene.name.endswith(" stride"))
        )
        return Hyperparameters(genome, tuple(vary), around=True)

    @property
    def count(self) -> int:
        """How many sets there are."""
        return math.prod(len(hyperparameter.choices) for hyperparameter in self.vary)

    def genome(self, chosen: Sets) -> bytes:
        """The genome of a set (hyperparameter,)."""
        genes = unpack(self.base)
        for hyperparameter, choice in zip(self.vary, chosen.tolist(), strict=True):
            genes[list(hyperparameter.genes)] = hyperparameter.value(choice)
        return pack(genes)

    def set_of(self, genome: bytes) -> Sets:
        """The set (hyperparameter,) of a genome of this topology. Raises ValueError for choices that it has not."""
        genes = unpack(genome)
        return np.array([h.choice(int(genes[h.genes[0]])) for h in self.vary], np.uint8)

    def draw(self, count: int, rng: np.random.Generator) -> Sets:
        """Random sets (count, hyperparameter)."""
        # One number each, whatever the chances: the choice is where it falls among them.
        falls = rng.random((count, len(self.vary)))
        columns = [
            np.searchsorted(ends, column, side="right") for ends, column in zip(self._ends, falls.T, strict=True)
        ]
        sets = np.stack(columns, axis=1).astype(np.uint8)
        if not self.around:
            return sets
        kept = rng.random(sets.shape) < rng.random((count, 1))
        return np.where(kept, self.set_of(self.base), sets)

    def holding(self, chosen: Sets) -> Hyperparameters:
        """The same, but that random sets are as `chosen` (hyperparameter,) in all that shapes the tensors of training.

        What is left free are rates, momentum, weight decay, dropout, and the weight of defects.
        """
        vary = [
            h if h.shapes_nothing else replace(h, chances=tuple(float(n == number) for n in range(len(h.choices))))
            for h, number in zip(self.vary, chosen.tolist(), strict=True)
        ]
        return replace(self, base=self.genome(chosen), vary=tuple(vary))

    def features(self, sets: Sets) -> NDArray[np.float64]:
        """Sets (n, hyperparameter) as numbers (n, feature) from 0 to 1, for models.

        Ordered choices are one feature, their place; of names each is a feature.
        """
        columns: list[NDArray[np.float64]] = []
        for number, hyperparameter in enumerate(self.vary):
            choice, choices = sets[:, number], len(hyperparameter.choices)
            if hyperparameter.ordered:
                columns.append(choice / max(1, choices - 1))
            else:
                columns += [np.asarray(choice == one, np.float64) for one in range(choices)]
        return np.stack(columns, axis=1)

    @property
    def shares(self) -> NDArray[np.float64]:
        """Of each feature (feature,), its share of a hyperparameter: 1, or of those of a name together 1."""
        counts = [1 if hyperparameter.ordered else len(hyperparameter.choices) for hyperparameter in self.vary]
        return np.repeat(1 / np.array(counts), counts)

    @cached_property
    def _ends(self) -> list[NDArray[np.float64]]:
        """Where in 0 to 1 each choice but the last ends, by its chance."""
        return [np.cumsum(hyperparameter.chances)[:-1] for hyperparameter in self.vary]

    def to_plain(self) -> dict[str, Any]:
        """As plain data."""
        vary = [{"name": h.name, "genes": h.genes, "choices": h.choices, "chances": h.chances} for h in self.vary]
        return {"base": self.base.hex(), "around": self.around, "vary": vary}

    @staticmethod
    def from_plain(plain: dict[str, Any]) -> Hyperparameters:
        """Back from plain data."""
        base = bytes.fromhex(plain["base"])
        genes = numeric_genes(unpack(base))
        vary = [
            Hyperparameter(
                one["name"], tuple(one["genes"]), genes[one["genes"][0]], tuple(one["choices"]), tuple(one["chances"])
            )
            for one in plain["vary"]
        ]
        return Hyperparameters(base, tuple(vary), plain["around"])
