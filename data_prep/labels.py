"""What is known of a frame: a class for each pixel, and the objects behind it."""

from __future__ import annotations

import csv
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from data_prep.errors import InputError
from data_prep.files import whole_file
from data_prep.objects import LABEL_RADIUS, Objects, paint, region_around

IGNORE = 255
CLASS_COLUMNS = ("site", "class", "label", "species", "type")
POSITION_COLUMNS = (("y_px", "x_px"), ("y_nm", "x_nm"))
# A list of columns is complete if it holds at least this many per unit cell of the lattice.
COMPLETE_PER_CELL = 0.5
MOST_CLASSES = 200  # class maps are of bytes
RARE_SHARE = 0.1  # in a complete list, kinds rarer than this are taken for defects
REGION_RADIUS = 0.75  # columns of one hole, a lattice period apart, close up at this radius

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


@dataclass(frozen=True)
class PointList:
    """Columns read from a CSV: `frame` (n,), `positions` (n, 2) in px, `names` and `groups` (n).

    `tells_frames`: whether the file has a frame column; without one all rows are of the frame asked for.
    """

    path: Path
    frame: NDArray[np.int64]
    positions: NDArray[np.float64]
    names: tuple[str, ...]
    groups: tuple[str, ...]
    tells_frames: bool = True


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


def read_points(path: Path, pixel_size_nm: float | None) -> PointList:
    """Read a CSV of columns: positions `y_px, x_px` or `y_nm, x_nm`, and a class column.

    The class column is the first of `CLASS_COLUMNS` that is there. Optional: `frame` (0-based,
    0 if absent) and `object` (rows that share it are one extended object, such as a hole).
    Raises InputError naming the file, the column or the row.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as lines:
            reader = csv.DictReader(lines)
            columns = [name.strip() for name in reader.fieldnames or []]
            reader.fieldnames = columns
            rows = [(reader.line_num, row) for row in reader]
    except FileNotFoundError:
        raise InputError(f"{path}: no such file (--labels and --truth take a CSV of labelled columns)") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: cannot be read as CSV ({error})") from None
    position, named = _columns(path, columns)
    if not rows:
        raise InputError(f"{path}: holds no labelled columns below its header")
    scale = 1.0
    if position == ("y_nm", "x_nm"):
        if pixel_size_nm is None:
            raise InputError(f"{path}: positions are in nm, but the movie has no pixel size; give --pixel-size")
        scale = 1.0 / pixel_size_nm
    frames, points = [], []
    for line, row in rows:
        try:
            points.append([float(row[name]) * scale for name in position])
            frames.append(int(float(row.get("frame") or 0)))
        except (TypeError, ValueError):
            raise InputError(f"{path}: line {line} has no number for {position[0]}, {position[1]} or frame") from None
        if not all(np.isfinite(points[-1])):
            raise InputError(f"{path}: line {line} has a position that is not a finite number")
        if not (row[named] or "").strip():
            raise InputError(f"{path}: line {line} has no class in column '{named}'")
    return PointList(
        path,
        np.array(frames),
        np.array(points),
        tuple(row[named].strip() for _, row in rows),
        tuple((row.get("object") or "").strip() for _, row in rows),
        "frame" in columns,
    )


def _columns(path: Path, columns: list[str]) -> tuple[tuple[str, str], str]:
    """Which columns hold the position and the class."""
    found = ", ".join(columns) or "none"
    position = next((pair for pair in POSITION_COLUMNS if set(pair) <= set(columns)), None)
    if position is None:
        raise InputError(f"{path}: no columns 'y_px' and 'x_px' (or 'y_nm' and 'x_nm'); found: {found}")
    named = next((name for name in CLASS_COLUMNS if name in columns), None)
    if named is None:
        raise InputError(f"{path}: no class column, one of {', '.join(CLASS_COLUMNS)}; found: {found}")
    return position, named


def choose_defects(
    points: PointList, asked: tuple[str, ...], shape: tuple[int, int], period_px: float
) -> tuple[str, ...]:
    """Which classes of a point list are defects.

    Those asked for; else, if the list names every column of the lattice, the rare ones
    (under `RARE_SHARE`), and if it does not, all. Raises InputError for a class that is not there.
    """
    counts = Counter(points.names)
    if len(counts) > MOST_CLASSES:
        raise InputError(f"{points.path}: has {len(counts)} classes, at most {MOST_CLASSES} are possible")
    present = ", ".join(f"{name} ({count})" for name, count in counts.most_common())
    if asked:
        unknown = [name for name in asked if name not in counts]
        if unknown:
            raise InputError(f"{points.path}: no class '{unknown[0]}'; it has {present}")
        return asked
    if not is_complete(points, shape, period_px):
        return tuple(counts)
    rare = tuple(name for name, count in counts.items() if count < RARE_SHARE * len(points.names))
    if not rare:
        raise InputError(f"{points.path}: which classes are defects? Name them with --defects; it has {present}")
    return rare


def is_complete(points: PointList, shape: tuple[int, int], period_px: float) -> bool:
    """Whether the list names all columns of its frames, so that what is not in it is known too."""
    cell = 2 / np.sqrt(3) * period_px**2  # a hexagonal cell; a square one is smaller by 13 %
    per_frame = len(points.names) / len(np.unique(points.frame))
    return bool(per_frame >= COMPLETE_PER_CELL * shape[0] * shape[1] / cell)


def check_positions(points: PointList, shape: tuple[int, int]) -> None:
    """Raise InputError if a column of a point list lies outside its frame of `shape` (rows, columns)."""
    inside = ((points.positions >= -0.5) & (points.positions <= np.array(shape) - 0.5)).all(axis=1)
    if not inside.all():
        first = int(np.flatnonzero(~inside)[0])
        y, x = points.positions[first]
        raise InputError(
            f"{points.path}: a column at y = {y:.1f}, x = {x:.1f} px lies outside frame {points.frame[first]} "
            f"of {shape[0]} x {shape[1]} px (rows x columns); are y and x exchanged?"
        )


def from_points(
    points: PointList, frame: int, defects: tuple[str, ...], shape: tuple[int, int], period_px: float
) -> LabelledFrame:
    """Labels of one frame (y, x) from a point list.

    If the list is complete, what lies outside the rectangle that its points span is unlabelled:
    labellers leave the edges out. Raises InputError for points outside the frame.
    """
    check_positions(points, shape)
    here = points.frame == frame if points.tells_frames else np.ones(len(points.names), bool)
    chosen = [i for i in np.flatnonzero(here) if points.names[i] in defects]
    grouped = Counter(points.groups[i] for i in chosen if points.groups[i])
    single = [i for i in chosen if grouped[points.groups[i]] < 2]
    positions = [points.positions[i] for i in single]
    kinds = [defects.index(points.names[i]) + 1 for i in single]
    regions = np.zeros(shape, np.int32)
    for group in (name for name, count in grouped.items() if count >= 2):
        members = [i for i in chosen if points.groups[i] == group]
        region = region_around(points.positions[members], REGION_RADIUS * period_px, shape)
        positions.append(points.positions[members].mean(axis=0))
        kinds.append(defects.index(points.names[members[0]]) + 1)
        regions[region] = len(positions)
    objects = Objects(np.array(positions).reshape(-1, 2), np.ones(len(positions)), regions)
    labels = from_objects(objects, np.array(kinds, np.int64), defects, period_px, f"points of {points.path.name}")
    if is_complete(points, shape, period_px):
        if not here.any():
            labels.class_map[:] = IGNORE  # not even one perfect column: nobody looked at this frame
            return labels
        low = np.maximum(np.floor(points.positions[here].min(axis=0)), 0).astype(int)
        high = np.ceil(points.positions[here].max(axis=0)).astype(int)
        inside = np.zeros(shape, bool)
        inside[low[0] : high[0] + 1, low[1] : high[1] + 1] = True
        labels.class_map[~inside] = IGNORE
    return labels


def save_labels(labels: LabelledFrame, frame: int, period_px: float, path: Path) -> None:
    """Write the labels of a frame as HDF5."""
    with whole_file(path) as temporary, h5py.File(temporary, "w") as out:
        out.create_dataset("class_map", data=labels.class_map, compression="gzip")
        out.create_dataset("regions", data=labels.objects.regions, compression="gzip")
        out["positions"] = labels.objects.positions
        out["kinds"] = labels.kinds
        out.attrs.update(class_names=list(labels.class_names), made_by=labels.made_by, frame=frame, period_px=period_px)


def load_labels(path: Path) -> tuple[LabelledFrame, int, float]:
    """Read what `save_labels` wrote: the labels, the frame's number and the period in px."""
    with h5py.File(path, "r") as stored:
        positions = stored["positions"][:]
        objects = Objects(positions, np.ones(len(positions)), stored["regions"][:])
        labels = LabelledFrame(
            stored["class_map"][:],
            objects,
            stored["kinds"][:],
            tuple(str(name) for name in stored.attrs["class_names"]),
            str(stored.attrs["made_by"]),
        )
        return labels, int(stored.attrs["frame"]), float(stored.attrs["period_px"])
