"""What people have decided about kinds: names, and kinds that are to be split. It sticks on later runs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data_prep.errors import InputError
from data_prep.files import whole_file

FORMAT = "evostem kinds 1"
SAME_RATIO = 0.15  # by how much the mean intensity of the same kind differs from run to run
SAME_PICTURE = 0.3  # the same for its mean picture, beside the contrast of both


@dataclass(frozen=True)
class Signature:
    """By what a kind is known again: sublattice, mean intensity ratio, and mean picture (pixels,) standing alone."""

    sublattice: str
    ratio: float
    picture: NDArray[np.float64]

    def distance(self, other: Signature) -> float:
        """How far two are apart: 1 at most if they are the same kind, infinite on different sublattices."""
        if self.sublattice != other.sublattice or self.picture.shape != other.picture.shape:
            return np.inf
        contrast = max(float(np.ptp(self.picture)), float(np.ptp(other.picture)), 1e-9)
        picture = float(np.abs(self.picture - other.picture).max()) / contrast / SAME_PICTURE
        ratio = abs(self.ratio - other.ratio) / SAME_RATIO if np.isfinite(self.ratio + other.ratio) else 0.0
        return max(picture, ratio)


@dataclass
class Decisions:
    """Names that people gave to kinds, and kinds that they want split. Kinds of one name are one kind."""

    names: list[tuple[str, Signature]] = field(default_factory=list)
    splits: list[Signature] = field(default_factory=list)

    def name_of(self, one: Signature) -> str | None:
        """The name that somebody gave to this kind, None if nobody did."""
        distance, name = min(((known.distance(one), name) for name, known in self.names), default=(np.inf, ""))
        return name if distance <= 1 else None

    def to_split(self, one: Signature) -> bool:
        """Whether somebody wants this kind split."""
        return any(known.distance(one) <= 1 for known in self.splits)

    def name(self, one: Signature, name: str) -> None:
        """Remember a name, in place of one that was given to the same kind before."""
        self.names = [(old, known) for old, known in self.names if known.distance(one) > 1] + [(name, one)]

    def split(self, of_kind: Sequence[Signature]) -> None:
        """Remember that a kind is to be two; one that was merged before is again what it was made of."""
        if len(of_kind) > 1:
            self.names = [entry for entry in self.names if all(entry[1].distance(one) > 1 for one in of_kind)]
        else:
            self.splits = [*self.splits, *of_kind]


def load_decisions(path: Path) -> Decisions:
    """Read what `save_decisions` wrote; nothing was decided if there is no file. Raises InputError if it is damaged."""
    if not path.exists():
        return Decisions()
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        if stored["format"] != FORMAT:
            raise InputError(f"{path}: is not a file of kinds that this evostem reads ('{FORMAT}')")
        names = [(str(entry["name"]), _signature(entry)) for entry in stored["names"]]
        return Decisions(names, [_signature(entry) for entry in stored["splits"]])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: is damaged ({error}); mend it, or remove it to begin with new names") from None


def save_decisions(decisions: Decisions, path: Path) -> None:
    """Write decisions as JSON."""
    stored = {
        "format": FORMAT,
        "names": [{"name": name, **_plain(one)} for name, one in decisions.names],
        "splits": [_plain(one) for one in decisions.splits],
    }
    with whole_file(path) as temporary:
        temporary.write_text(json.dumps(stored, indent=1) + "\n", encoding="utf-8")


def save_signatures(signatures: Mapping[int, Sequence[Signature]], path: Path) -> None:
    """Write the signatures of kinds by their numbers, for those who will name them."""
    with whole_file(path) as temporary:
        plain = {str(number): [_plain(one) for one in of_kind] for number, of_kind in signatures.items()}
        temporary.write_text(json.dumps(plain) + "\n", encoding="utf-8")


def load_signatures(path: Path) -> dict[int, list[Signature]]:
    """Read what `save_signatures` wrote."""
    stored = json.loads(path.read_text(encoding="utf-8"))
    return {int(number): [_signature(entry) for entry in of_kind] for number, of_kind in stored.items()}


def _plain(one: Signature) -> dict[str, Any]:
    ratio = round(one.ratio, 4) if np.isfinite(one.ratio) else None
    return {"sublattice": one.sublattice, "ratio": ratio, "picture": np.round(one.picture, 3).tolist()}


def _signature(entry: dict[str, Any]) -> Signature:
    ratio = np.nan if entry["ratio"] is None else float(entry["ratio"])
    return Signature(str(entry["sublattice"]), ratio, np.array(entry["picture"], float))
