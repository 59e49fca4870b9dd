"""The genes: which there are, how many bits each has, and where in the genome they lie.

A genome is a string of `LENGTH` bytes: a header with the training genes, then `SLOTS` slots of one
layer each. Header and slots are whole bytes; within them, genes are bit fields, the first in the highest
bits. docs/genome.md draws it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from networks import space

# Gene, its table, its bits. A value v of b bits picks entry v * len(table) // 2**b: neighbouring
# values are alike, and none is without a meaning.
TRAINING: tuple[tuple[str, tuple[Any, ...], int], ...] = (
    ("learning_rate", space.LEARNING_RATES, 5),
    ("weight_decay", space.WEIGHT_DECAYS, 4),
    ("defect_weight", space.DEFECT_WEIGHTS, 3),
    ("optimiser", space.OPTIMISERS, 2),
    ("schedule", space.SCHEDULES, 2),
    ("momentum", space.MOMENTA, 2),
    ("batch_size", space.BATCH_SIZES, 2),
    ("loss", space.LOSSES, 2),
    ("augmentation", space.AUGMENTATIONS, 2),
)
CONVOLUTION: tuple[tuple[str, tuple[Any, ...], int], ...] = (
    ("kernels", space.KERNELS, 4),
    ("kernel_height", space.KERNEL_SIDES, 4),
    ("kernel_width", space.KERNEL_SIDES, 4),
    ("stride", space.STRIDES, 2),
    ("dilation", space.DILATIONS, 3),
    ("padding", space.PADDINGS, 1),
    ("activation", space.ACTIVATIONS, 3),
    ("normalisation", space.NORMALISATIONS, 2),
    ("dropout", space.DROPOUTS, 4),
    ("skip", space.SKIPS, 1),
)
# A slot begins with the kind of its layer. Other kinds than convolutions read the fields that they share a
# meaning with, and carry the rest along silently.
LAYER = (("kind", space.KINDS, 4), *CONVOLUTION)
POOL_FIELDS = {"side": ("kernel_height", space.POOL_SIDES), "stride": ("stride", space.STRIDES)}
FULLY_CONNECTED_FIELDS = {
    "neurons": ("kernels", space.NEURONS),
    "activation": ("activation", space.ACTIVATIONS),
    "dropout": ("dropout", space.DROPOUTS),
}
# What each kind of layer reads: its own name of it, the field, the table.
FIELDS: dict[str, dict[str, tuple[str, tuple[Any, ...]]]] = {
    "convolution": {name: (name, table) for name, table, _ in CONVOLUTION},
    "max_pool": POOL_FIELDS,
    "average_pool": POOL_FIELDS,
    "fully_connected": FULLY_CONNECTED_FIELDS,
    "upsample": {"join": ("skip", space.SKIPS)},
    "empty": {},
}

TRAINING_GENES = tuple(name for name, _, _ in TRAINING)
LAYER_GENES = tuple(name for name, _, _ in LAYER)
HEADER, SLOT = len(TRAINING), len(LAYER)  # in genes
BITS = np.array([bits for _, _, bits in (*TRAINING, *LAYER * space.SLOTS)])
SIZES = 2**BITS  # how many values each gene has
GENES = len(BITS)
LENGTH = int(BITS.sum()) // 8  # of the genome, in bytes

_ENDS = np.cumsum(BITS)
_PLACES = np.arange(_ENDS[-1])
_GENE_OF = np.searchsorted(_ENDS, _PLACES, side="right")
_WEIGHTS = 2 ** (_ENDS[_GENE_OF] - 1 - _PLACES)
_STARTS = _ENDS - BITS


@dataclass(frozen=True)
class Gene:
    """What a gene says: the entry of a table, which `bits` bits pick."""

    name: str
    table: tuple[Any, ...]
    bits: int


def unpack(genome: bytes) -> NDArray[np.int64]:
    """The genes (n,) of a genome, each from 0 to its entry of `SIZES` - 1.

    Raises ValueError for a string of another length.
    """
    if len(genome) != LENGTH:
        raise ValueError(f"a genome has {LENGTH} bytes, not {len(genome)}")
    bits = np.unpackbits(np.frombuffer(genome, np.uint8))
    return np.add.reduceat(bits * _WEIGHTS, _STARTS)


def pack(genes: NDArray[np.integer]) -> bytes:
    """The genome of genes (n,)."""
    bits = (np.asarray(genes, np.int64)[_GENE_OF] & _WEIGHTS) > 0
    return np.packbits(bits).tobytes()


def slot_start(slot: int) -> int:
    """Number of a slot's first gene, which says its kind."""
    return HEADER + slot * SLOT


def pick(table: Sequence[Any], value: int, bits: int) -> Any:
    """The entry of a table that a gene's value picks."""
    return table[value * len(table) >> bits]


@cache
def value_of(table: tuple[Any, ...], entry: Any, bits: int) -> int:
    """The value in the middle of those that pick an entry."""
    first, count = table.index(entry), table.count(entry)
    lowest = -(-(first << bits) // len(table))
    highest = -(-((first + count) << bits) // len(table)) - 1
    return (lowest + highest) // 2


def kind_of_layer(layer: space.Layer) -> str:
    """Kind of a layer, a key of `FIELDS`."""
    if isinstance(layer, space.Pool):
        return f"{layer.operation}_pool"
    kinds = {space.Convolution: "convolution", space.FullyConnected: "fully_connected", space.Upsample: "upsample"}
    return kinds[type(layer)]


def kind_of(genes: NDArray[np.integer], slot: int) -> str:
    """Kind of layer in a slot, `empty` included."""
    return str(pick(space.KINDS, int(genes[slot_start(slot)]), LAYER[0][2]))


def _meanings(table: Sequence[Any], bits: int) -> NDArray[np.int64]:
    """For each value (32,) of a gene, a number that is the same for values that pick equal entries."""
    firsts = [table.index(pick(table, value, bits)) for value in range(2**bits)]
    return np.array(firsts + [0] * (_MOST_VALUES - len(firsts)))


def _meanings_of_slot(kind: str) -> NDArray[np.int64]:
    """Meanings (gene, value) of the genes of a slot with a kind of layer: 0 for those that it does not read."""
    tables = dict(FIELDS[kind].values())
    bits_of = {name: bits for name, _, bits in LAYER}
    silent = np.zeros(_MOST_VALUES, np.int64)
    rows = [_meanings(space.KINDS, LAYER[0][2])]
    rows += [_meanings(tables[name], bits_of[name]) if name in tables else silent for name in LAYER_GENES[1:]]
    return np.array(rows)


_MOST_VALUES = int(SIZES.max())
_HEADER_MEANINGS = np.array([_meanings(table, bits) for _, table, bits in TRAINING])
_HEADER_GENES, _SLOT_GENES = np.arange(HEADER), np.arange(SLOT)
_KINDS = np.array([pick(space.KINDS, value, LAYER[0][2]) for value in range(2 ** LAYER[0][2])])
_SLOT_MEANINGS = np.array([_meanings_of_slot(kind) for kind in _KINDS])
# Where no slot is a convolution, `decode` makes one of the first slot's genes: all of them are read.
_IS_CONVOLUTION, _IS_EMPTY = _KINDS == "convolution", _KINDS == "empty"
_IS_UPSAMPLE = _KINDS == "upsample"
_STRIDE = LAYER_GENES.index("stride")
_EMPTY = np.array([space.KINDS.index("empty"), *[0] * (SLOT - 1)])  # what an empty slot says, whatever is in it
_FLAT_KIND_MEANINGS = _meanings(space.KINDS, LAYER[0][2])
_FLAT_KIND_MEANINGS[np.flatnonzero(_IS_UPSAMPLE)] = _EMPTY[0]


def _flat(slots: NDArray[np.integer]) -> NDArray[np.bool_]:
    """Which of the slots (slot, gene) have no stride up to them: a way up there counts as an empty slot.

    `repair` drops it. Not so without a convolution, as the one that is made may have a stride.
    """
    strides = _SLOT_MEANINGS[slots[:, 0], _STRIDE, slots[:, _STRIDE]]  # 0 says 1, or that the kind has none
    return np.asarray((strides.cumsum() == 0) & _IS_CONVOLUTION[slots[:, 0]].any())


def meanings(genes: NDArray[np.integer]) -> NDArray[np.int64]:
    """What the values of genes (n,) say, (n, value): equal numbers pick the same. Rows that are not read are all 0."""
    slots = genes[HEADER:].reshape(space.SLOTS, SLOT)
    kinds, flat = slots[:, 0], _flat(slots)
    says = _SLOT_MEANINGS[kinds]
    says[flat & _IS_UPSAMPLE[kinds], 1:] = 0
    says[flat, 0] = _FLAT_KIND_MEANINGS
    if not _IS_CONVOLUTION[kinds].any():
        says[0, 1:] = np.arange(_MOST_VALUES)
    return np.concatenate([_HEADER_MEANINGS, says.reshape(-1, _MOST_VALUES)])


def expressed(genes: NDArray[np.integer]) -> NDArray[np.int64]:
    """Genes (n,) with what makes no difference taken out: two genomes with equal results are the same network."""
    slots = genes[HEADER:].reshape(space.SLOTS, SLOT)
    layers = _SLOT_MEANINGS[slots[:, :1], _SLOT_GENES, slots]
    if _IS_CONVOLUTION[slots[:, 0]].any():
        silent = _IS_UPSAMPLE[slots[:, 0]]
        if silent.any():
            silent &= _flat(slots)
            layers[silent] = _EMPTY
        layers = layers[(_IS_EMPTY[slots[:, 0]] | silent).argsort(kind="stable")]  # empty slots may be anywhere
    else:
        layers[0, 1:] = slots[0, 1:]
    return np.concatenate([_HEADER_MEANINGS[_HEADER_GENES, genes[:HEADER]], layers.ravel()])


def numeric_genes(genes: NDArray[np.integer]) -> dict[int, Gene]:
    """The genes that may vary while the topology (kinds and their order) stays, by their numbers.

    They are the training genes, and of each layer those that its kind uses; layers are counted from 1.
    """
    found = {number: Gene(name, table, bits) for number, (name, table, bits) in enumerate(TRAINING)}
    kinds = [kind_of(genes, slot) for slot in range(space.SLOTS)]
    bits_of = {name: bits for name, _, bits in LAYER}
    for layer, slot in enumerate((slot for slot in range(space.SLOTS) if kinds[slot] != "empty"), start=1):
        for name, (field, table) in FIELDS[kinds[slot]].items():
            number = slot_start(slot) + LAYER_GENES.index(field)
            found[number] = Gene(f"layer {layer} {name}", table, bits_of[field])
    return found
