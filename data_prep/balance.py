"""How many pixels and objects of each class the training and the validation region hold."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from data_prep.labels import BACKGROUND, HOLE, LabelledFrame

Region = tuple[slice, slice]  # rows, columns
# Of `train` and `validation`: for the background and each class the number of `pixels` and `objects`.
Balance = dict[str, dict[str, dict[str, int]]]
PARTS = {"train": "training", "validation": "validation"}


def objects_within(labels: LabelledFrame, region: Region) -> NDArray[np.bool_]:
    """Which objects (n,) have their centres in a region."""
    places = np.round(labels.objects.positions).astype(int)
    inside = [(places[:, k] >= region[k].start) & (places[:, k] < region[k].stop) for k in (0, 1)]
    return np.asarray(inside[0] & inside[1])


def count_classes(frames: Iterable[LabelledFrame], region: Region) -> dict[str, dict[str, int]]:
    """Pixels and objects of the background and of each class in a region, over all frames."""
    counts: dict[str, dict[str, int]] = {}
    for labels in frames:
        kinds = labels.kinds[objects_within(labels, region)]
        for kind, name in enumerate((BACKGROUND, *labels.class_names)):
            of_class = counts.setdefault(name, {"pixels": 0, "objects": 0})
            of_class["pixels"] += int((labels.class_map[region] == kind).sum())
            of_class["objects"] += int((kinds == kind).sum())
    return counts


def balance_lines(balance: Balance) -> list[str]:
    """The balance in words: a line for each region, and a warning for each class that one of them lacks.

    Holes may lack: they are painted into the tiles (`networks.augment`).
    """
    lines, warnings = [], []
    for part, name in PARTS.items():
        counts = balance[part]
        labelled = max(1, sum(of_class["pixels"] for of_class in counts.values()))
        classes = {kind: of_class for kind, of_class in counts.items() if kind != BACKGROUND}
        held = [
            f"{c['objects']} {kind} ({100 * c['pixels'] / labelled:.2g} % of pixels)" for kind, c in classes.items()
        ]
        lines.append(f"{name} region: {', '.join(held)}")
        follows = "networks cannot learn it" if part == "train" else "how well it is found is not measured"
        lacking = [kind for kind, of_class in classes.items() if of_class["objects"] == 0 and kind != HOLE]
        warnings += [f"warning: no {kind} in the {name} region, {follows}; label more frames" for kind in lacking]
    return lines + warnings
