"""A network that somebody wrote by hand, as JSON: kinds of layers and their order, and what of it may vary.

docs/network_file.md tells how to write one. Kinds and settings are those of `networks.genes`.
"""

from __future__ import annotations

import difflib
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data_prep.errors import InputError
from networks import space
from networks.genes import FIELDS, GENES, HEADER, LAYER, SLOT, TRAINING_GENES, numeric_genes, pack, value_of
from networks.hyperparameters import Hyperparameter, Hyperparameters, hyperparameter
from networks.network_limits import check_limits, shown

ANY, SAID_ANY = "any", '"any"'
KINDS = tuple(kind for kind in FIELDS if kind != "empty")
COMMENT = "comment"  # a key that is for people alone
TOGETHER = {"kernel_size": ("kernel_height", "kernel_width")}  # keys that set several
# What is left out of a layer; the rest must be given. What is left out of the training varies.
_POOL = {"side": 2, "stride": 2}
PLAIN: dict[str, dict[str, Any]] = {
    "convolution": {
        "stride": 1,
        "dilation": 1,
        "padding": "zeros",
        "activation": "relu",
        "normalisation": "batch",
        "dropout": 0.0,
        "skip": False,
    },
    "max_pool": _POOL,
    "average_pool": _POOL,
    "fully_connected": {"activation": "relu", "dropout": 0.0},
}
GEOMETRIC = (space.LEARNING_RATES, space.WEIGHT_DECAYS)  # where of a number the nearest is taken
LARGEST_BYTES = 1 << 20
EXPECTED = "evostem tune takes a network as JSON, then the movie"


@dataclass(frozen=True)
class _Setting:
    """What a key says on some genes, given by their names: a value, a list of choices, or `ANY`."""

    where: str
    key: str
    name: str  # of the hyperparameter
    genes: tuple[str, ...]
    said: Any


def read_network(path: Path) -> Hyperparameters:
    """What may vary in the network of a file, and all that is fixed.

    Raises InputError for what is no network, has nothing that varies, or can never be as it is written.
    """
    return _read(path)[0]


def notes_of_network(path: Path) -> list[str]:
    """What the user should be told about a network's file, a line each. Raises InputError as `read_network`."""
    return _read(path)[1]


def _read(path: Path) -> tuple[Hyperparameters, list[str]]:
    try:
        found, notes = _understood(_loaded(path))
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    return found, [f"{path}: {note}" for note in notes]


def _loaded(path: Path) -> Any:
    """The file as plain data; all its numbers are floats."""
    try:
        if path.exists() and (not path.is_file() or path.stat().st_size > LARGEST_BYTES):
            raise InputError(f"is not a network's file; {EXPECTED}")
        # Bytes: the encodings that editors write are told apart by json.
        return json.loads(path.read_bytes(), object_pairs_hook=_object, parse_int=float, parse_constant=_no_number)
    except FileNotFoundError:
        raise InputError(f"no such file; {EXPECTED}") from None
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise InputError(f"is not text in UTF-8; {EXPECTED}") from None
    except json.JSONDecodeError as error:
        raise InputError(f"is not JSON ({error}); {EXPECTED}") from None
    except RecursionError:
        raise InputError("is nested too deeply for a network") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        raise InputError(f"has the key {shown(next(key for key in keys if keys.count(key) > 1))} twice in one place")
    return found


def _no_number(word: str) -> float:
    raise InputError(f"has {word} where a number should be")


def _understood(plain: Any) -> tuple[Hyperparameters, list[str]]:
    """What a file's plain data say, and notes on it."""
    _check_keys("the file", plain, ("layers", "training", COMMENT))
    layers = plain.get("layers")
    if not isinstance(layers, list) or not 1 <= len(layers) <= space.SLOTS:
        count = f"there are {len(layers)}" if isinstance(layers, list) else "there is none"
        raise InputError(f"'layers' must be a list of 1 to {space.SLOTS} layers; {count}")
    kinds = [_kind(f"layer {number}", layer) for number, layer in enumerate(layers, start=1)]
    if "convolution" not in kinds:
        raise InputError("has no convolution: without one, a network sees no neighbourhood of a pixel")
    settings = []
    for number, (kind, layer) in enumerate(zip(kinds, layers, strict=True), start=1):
        name = f"layer {number}"
        settings += _settings(f"{name} ({kind})", f"{name} ", layer, FIELDS[kind], PLAIN.get(kind, {}), "kind")
    left_out = dict.fromkeys(TRAINING_GENES, ANY)
    settings += _settings("training", "", plain.get("training", {}), TRAINING_GENES, left_out)
    found, notes = _hyperparameters(_genes_of(kinds), settings)
    if not found.vary:
        raise InputError(f"nothing in it varies; write a list of choices, or {SAID_ANY}, for what shall be tuned")
    notes += check_limits(found, kinds)
    return found, notes


def _kind(where: str, layer: Any) -> str:
    if not isinstance(layer, dict):
        raise InputError(f'{where}: must be an object, such as {{"kind": "max_pool"}}, not {shown(layer)}')
    kind = layer.get("kind")
    if not isinstance(kind, str) or kind not in KINDS:
        said = f"{shown(kind)} is not" if "kind" in layer else "is missing;"
        raise InputError(f"{where}: kind: {said} one of {', '.join(KINDS)}")
    return kind


def _check_keys(where: str, given: Any, known: Iterable[str]) -> None:
    if not isinstance(given, dict):
        raise InputError(f"{where}: must be an object in braces, not {shown(given)}")
    for key in given:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            hint = f"did you mean '{near[0]}'?" if near else f"known are {', '.join(known)}"
            raise InputError(f"{where}: unknown key {shown(key)}; {hint}")


def _settings(
    where: str, prefix: str, given: Any, fields: Iterable[str], plain: Mapping[str, Any], *other: str
) -> list[_Setting]:
    """What is said on `fields`, in the order of the file, then on those left out, which are `plain`.

    `prefix` makes names of genes of theirs; `other` keys are no settings.
    """
    fields = tuple(fields)
    keys: dict[str, tuple[str, ...]] = {name: parts for name, parts in TOGETHER.items() if {*parts} <= {*fields}}
    keys |= {name: (name,) for name in fields}
    _check_keys(where, given, (*other, *keys, COMMENT))
    said = {key: value for key, value in given.items() if key in keys}
    done: dict[str, str] = {}
    for key in said:
        for name in keys[key]:
            if name in done:
                raise InputError(f"{where}: {done[name]} and {key} set the same; give one of them")
            done[name] = key
    left_out = {name: plain[name] for name in fields if name in plain and name not in done}
    missing = next((key for key, names in keys.items() if not {*names} & (done.keys() | left_out.keys())), None)
    if missing is not None:
        raise InputError(f"{where}: {missing} is missing; give a value, a list of choices, or {SAID_ANY}")
    return [
        _Setting(where, key, prefix + key, tuple(prefix + name for name in keys[key]), value)
        for key, value in {**said, **left_out}.items()
    ]


def _genes_of(kinds: list[str]) -> NDArray[np.int64]:
    """Genes (n,) of layers of these kinds, with nothing more said."""
    genes = np.zeros(GENES, np.int64)
    empty = ["empty"] * (space.SLOTS - len(kinds))
    genes[HEADER::SLOT] = [value_of(space.KINDS, kind, LAYER[0][2]) for kind in (*kinds, *empty)]
    return genes


def _hyperparameters(genes: NDArray[np.int64], settings: list[_Setting]) -> tuple[Hyperparameters, list[str]]:
    """Put what is fixed into genes (n,); returns all that varies, and notes."""
    known = {gene.name: (number, gene) for number, gene in numeric_genes(genes).items()}
    found: dict[str, Hyperparameter] = {}
    notes: list[str] = []
    for setting in settings:
        numbers = [known[name][0] for name in setting.genes]
        gene = known[setting.genes[0]][1]
        choices = None if setting.said == ANY else _choices(setting, gene.table, notes)
        found[setting.name] = hyperparameter(setting.name, numbers, gene, choices)
        genes[numbers] = found[setting.name].value(0)
    rates = next(setting for setting in settings if setting.key == "learning_rate")
    if rates.said != ANY and "sgd" in found["optimiser"].choices:
        notes.append("training: learning_rate is AdamW's; SGD takes ten times as much")
    return Hyperparameters(pack(genes), tuple(one for one in found.values() if len(one.choices) > 1)), notes


def _choices(setting: _Setting, table: tuple[Any, ...], notes: list[str]) -> list[Any]:
    """The entries of a table that are said; notes those that are not quite."""
    where = f"{setting.where}: {setting.key}"
    said = setting.said if isinstance(setting.said, list) else [setting.said]
    if not said:
        raise InputError(f"{where}: the list is empty; give choices, or {SAID_ANY}")
    choices = []
    for value in said:
        entry = _nearest(value, table) if table in GEOMETRIC else _equal(value, table)
        if entry is None:
            there = f"from {table[0]:g} to {table[-1]:g}" if table in GEOMETRIC else f"one of {_listed(table)}"
            raise InputError(f"{where}: {shown(value)} is not {there}")
        if entry != value:
            notes.append(f"{where}: {value:g} is taken as {entry:g}, the nearest that there is")
        choices.append(entry)
    return choices


def _equal(value: Any, table: tuple[Any, ...]) -> Any:
    """The entry that a value is; None if there is none. True is no 1."""
    alike = (entry for entry in table if entry == value and isinstance(entry, bool) == isinstance(value, bool))
    return next(alike, None)


def _nearest(value: Any, table: tuple[float, ...]) -> float | None:
    """The entry that a number is nearest to, by its factor; None outside of the table."""
    if not isinstance(value, float) or not table[0] <= value <= table[-1]:
        return None
    return min(table, key=lambda entry: abs(math.log(entry / value)))


def _listed(table: tuple[Any, ...]) -> str:
    return ", ".join(shown(entry) for entry in dict.fromkeys(table))
