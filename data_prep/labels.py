"""What is known of a frame: a class for each pixel, and the objects behind it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from data_prep.files import whole_file
from data_prep.objects import LABEL_RADIUS, Objects, paint

IGNORE = 255

BACKGROUND = "background"  # what is no class
HOLE = "hole"  # the class of missing crystal; nobody needs to label it, see networks.augment


@dataclass(frozen=True)
class LabelledFrame:
    """Labels of one frame.

    `class_map` (y, x) uint8: 0 background, k for `class_names[k - 1]`, `IGNORE` unlabelled;
    `objects` with their `kinds` (n,), 1-based classes; `made_by` says how.
    """

    class_map: NDArray[np.uint8]
    objects: Objects
    kinds: NDArray[np.int64]
    class_names: tuple[str, ...]
    made_by: str

    @property
    def labelled(self) -> NDArray[np.bool_]:
        """Pixels (y, x) about which something is known."""
        return np.not_equal(self.class_map, IGNORE)


def from_objects(
    objects: Objects,
    kinds: NDArray[np.int64],
    class_names: tuple[str, ...],
    period_px: float,
    made_by: str,
) -> LabelledFrame:
    """Labels from objects: a disk of `LABEL_RADIUS` periods for each point, its region for others."""
    painted = paint(objects, LABEL_RADIUS * period_px)
    class_map = np.concatenate([[0], kinds]).astype(np.uint8)[painted]
    return LabelledFrame(class_map, objects, kinds, class_names, made_by)


def rename_classes(labels: LabelledFrame, class_names: tuple[str, ...]) -> LabelledFrame:
    """The same labels with their classes numbered as in `class_names`, which has all of theirs."""
    number = np.arange(256)
    number[1 : len(labels.class_names) + 1] = [class_names.index(name) + 1 for name in labels.class_names]
    class_map, kinds = number.astype(np.uint8)[labels.class_map], number[labels.kinds]
    return LabelledFrame(class_map, labels.objects, kinds, class_names, labels.made_by)


def save_labels(frames: dict[int, LabelledFrame], period_px: float, path: Path) -> None:
    """Write the labels of frames, by their numbers, as HDF5. All have the same class names."""
    first = next(iter(frames.values()))
    with whole_file(path) as temporary, h5py.File(temporary, "w") as out:
        for number, labels in frames.items():
            group = out.create_group(f"frames/{number:06d}")
            group.create_dataset("class_map", data=labels.class_map, compression="gzip")
            group.create_dataset("regions", data=labels.objects.regions, compression="gzip")
            group["positions"] = labels.objects.positions
            group["kinds"] = labels.kinds
        out.attrs.update(class_names=list(first.class_names), made_by=first.made_by, period_px=period_px)


def load_labels(path: Path) -> tuple[dict[int, LabelledFrame], float]:
    """Read what `save_labels` wrote: the labels of each frame, by its number, and the period in px."""
    with h5py.File(path, "r") as stored:
        names = tuple(str(name) for name in stored.attrs["class_names"])
        frames = {}
        for number, group in stored["frames"].items():
            positions = group["positions"][:]
            objects = Objects(positions, np.ones(len(positions)), group["regions"][:])
            made_by = str(stored.attrs["made_by"])
            frames[int(number)] = LabelledFrame(group["class_map"][:], objects, group["kinds"][:], names, made_by)
        return frames, float(stored.attrs["period_px"])
