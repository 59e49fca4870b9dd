"""Kinds of defects: what the library knows of each, and how it is stored."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import h5py
import numpy as np
from numpy.typing import NDArray

from data_prep.files import whole_file

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Kind:
    """A kind of defect.

    `number` from 1, `name`; `sublattice`: "A" is the brightest, "" off the lattice or extended; `count` of all that
    were found; `mean`, `spread` (s, s) and `examples` (e, s, s): cut-outs of the levelled frame, in its local standard
    deviations, centred on the column, along the axes of the lattice; `step_px`, `step_nm`
    between their samples, the latter None where the pixel size is unknown; `ratio`, `ratio_sd`: intensity beside a
    perfect column; `class_name`: the commonest class among them by the network, `class_share` its share; `perfect`:
    it looks as a perfect column does.
    """

    number: int
    name: str
    sublattice: str
    count: int
    mean: NDArray[np.float32]
    spread: NDArray[np.float32]
    examples: NDArray[np.float32]
    step_px: float
    step_nm: float | None
    ratio: float
    ratio_sd: float
    class_name: str
    class_share: float
    perfect: bool = False


def kinds_table(kinds: Sequence[Kind]) -> pd.DataFrame:
    """What there is to say of kinds, a row each."""
    import pandas as pd

    columns = {"number": "number", "kind": "name", "sublattice": "sublattice", "count": "count", "ratio": "ratio"}
    columns |= {"ratio_sd": "ratio_sd", "class": "class_name", "class_share": "class_share"}
    return pd.DataFrame({column: [getattr(kind, name) for kind in kinds] for column, name in columns.items()})


PICTURES = ("mean", "spread", "examples")


def save_kinds(kinds: list[Kind], path: Path) -> None:
    """Write kinds as HDF5, a group for each by its number: pictures as datasets, all else as attributes."""
    with whole_file(path) as temporary, h5py.File(temporary, "w") as out:
        for kind in kinds:
            group = out.create_group(str(kind.number))
            for name, value in vars(kind).items():
                if name in PICTURES:
                    group.create_dataset(name, data=value, compression="gzip")
                else:
                    group.attrs[name] = json.dumps(value)


def load_kinds(path: Path) -> list[Kind]:
    """Read what `save_kinds` wrote, in order of their numbers."""
    with h5py.File(path, "r") as stored:
        kinds = []
        for group in stored.values():
            facts = {name: json.loads(value) for name, value in group.attrs.items()}
            kinds.append(Kind(**facts, **{name: group[name][:] for name in PICTURES}))
    return sorted(kinds, key=lambda kind: kind.number)
