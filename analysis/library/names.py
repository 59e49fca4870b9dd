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
SAME_PICTURE = 0.3  # the same for its mean picture, beside that of a perfect column

SURELY = 0.05  # as far as rounding takes a signature from itself


@dataclass(frozen=True)
class Signature:
    """By what a group of defects is known again.

    Its sublattice, mean intensity `ratio`, and mean `picture` (pixels,) standing alone, through the window of
    `analysis.library.features`, scaled so that a perfect column's is of length 1; empty where pictures tell nothing.
    """

    sublattice: str
    ratio: float
    picture: NDArray[np.float64]

    def distance(self, other: Signature) -> float:
        """How far two are apart: 1 at most if they are the same, infinite on different sublattices."""
        if self.sublattice != other.sublattice or self.picture.shape != other.picture.shape:
            return np.inf
        picture = float(np.linalg.norm(self.picture - other.picture)) / SAME_PICTURE
        ratio = abs(self.ratio - other.ratio) / SAME_RATIO if np.isfinite(self.ratio + other.ratio) else 0.0
        return max(picture, ratio)


def nearest(known: Signature, among: Sequence[Signature]) -> int | None:
    """Which of these is the group whose signature was remembered, None if none is near enough.

    Only the nearest: what was decided of one group says nothing of another that is rather like it.
    """
    distances = [known.distance(one) for one in among]
    return int(np.argmin(distances)) if min(distances, default=np.inf) <= 1 else None


@dataclass
class Decisions:
    """Names that people gave to groups, and groups that they want split. Groups of one name are one kind."""

    names: list[tuple[str, Signature]] = field(default_factory=list)
    splits: list[Signature] = field(default_factory=list)

    def names_of(self, groups: Sequence[Signature]) -> list[str | None]:
        """The names (n,) that somebody gave to these groups, None for those that nobody named; the last ones hold."""
        told: list[str | None] = [None] * len(groups)
        for name, known in self.names:
            number = nearest(known, groups)
            if number is not None:
                told[number] = name
        return told

    def name(self, one: Signature, name: str) -> None:
        """Remember a name of a group, in place of one that was given to it before."""
        self.names = [(old, known) for old, known in self.names if known.distance(one) > SURELY] + [(name, one)]

    def split(self, of_kind: Sequence[Signature]) -> None:
        """Remember that a kind is to be two; one that was merged before is again what it was made of."""
        near = [{name for name, known in self.names if known.distance(one) <= 1} for one in of_kind]
        merged_as = set.intersection(*near) if len(of_kind) > 1 else set()
        if merged_as:
            self.names = [entry for entry in self.names if entry[0] not in merged_as]
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
