"""Lists of columns: a CSV with a position and a class in each row."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from data_prep.errors import InputError
from data_prep.label_files.table import CLASS_COLUMNS, Table
from data_prep.labels import IGNORE, LabelledFrame, from_objects
from data_prep.objects import Objects, region_around

POSITION_COLUMNS = (("y_px", "x_px"), ("y_nm", "x_nm"))
# A list of columns is complete if it holds at least this many per unit cell of the lattice.
COMPLETE_PER_CELL = 0.5
RARE_SHARE = 0.1  # in a complete list, kinds rarer than this are taken for defects
SAME_PLACE_PX = 0.01
FEWEST_TO_SPREAD = 3  # fewer columns of a frame may well lie in one pixel
REGION_RADIUS = 0.75  # columns of one hole, a lattice period apart, close up at this radius


@dataclass(frozen=True)
class PointList:
    """Columns of atoms: `frame` (n,), `positions` (n, 2) as (y, x) in px, `names` and `groups` (n).

    `tells_frames`: whether the file says of which frame each is; else all are of the frame asked for.
    """

    path: Path
    frame: NDArray[np.int64]
    positions: NDArray[np.float64]
    names: tuple[str, ...]
    groups: tuple[str, ...]
    tells_frames: bool = True

    @property
    def frames(self) -> frozenset[int] | None:
        """Frames that have rows; None if there is no telling."""
        return frozenset(self.frame.tolist()) if self.tells_frames else None

    @cached_property
    def counts(self) -> Counter[str]:
        """Points of each class."""
        return Counter(self.names)

    def check(self, shape: tuple[int, int], frames: int) -> None:
        """Raise InputError if a point lies outside its frame of `shape` (rows, columns), or beyond `frames`."""
        if self.tells_frames and self.frame.max() >= frames:
            raise InputError(f"{self.path}: has a column of frame {self.frame.max()}, the movie has {frames} frames")
        inside = ((self.positions >= -0.5) & (self.positions <= np.array(shape) - 0.5)).all(axis=1)
        if not inside.all():
            first = int(np.flatnonzero(~inside)[0])
            y, x = self.positions[first]
            raise InputError(
                f"{self.path}: a column at y = {y:.1f}, x = {x:.1f} px lies outside frame {self.frame[first]} "
                f"of {shape[0]} x {shape[1]} px (rows x columns); are y and x exchanged?"
            )

    def is_complete(self, shape: tuple[int, int], period_px: float) -> bool:
        """Whether the list names all columns of its frames, so that what is not in it is known too."""
        cell = 2 / np.sqrt(3) * period_px**2  # a hexagonal cell; a square one is smaller by 13 %
        per_frame = len(self.names) / len(np.unique(self.frame))
        return bool(per_frame >= COMPLETE_PER_CELL * shape[0] * shape[1] / cell)

    def likely_defects(self, shape: tuple[int, int], period_px: float) -> tuple[str, ...]:
        """In a list of every column of the lattice the rare classes (under `RARE_SHARE`), else all."""
        if not self.is_complete(shape, period_px):
            return tuple(self.counts)
        return tuple(name for name, count in self.counts.items() if count < RARE_SHARE * len(self.names))

    def label(self, frame: int, defects: tuple[str, ...], shape: tuple[int, int], period_px: float) -> LabelledFrame:
        """Labels of one frame (y, x).

        If the list is complete, what lies outside the rectangle that its points span is unlabelled:
        labellers leave the edges out.
        """
        here = self.frame == frame if self.tells_frames else np.ones(len(self.names), bool)
        objects, kinds = self._objects(here, defects, shape, period_px)
        labels = from_objects(objects, kinds, defects, period_px, f"points of {self.path.name}")
        if self.is_complete(shape, period_px):
            if not here.any():
                labels.class_map[:] = IGNORE  # not even one perfect column: nobody looked at this frame
                return labels
            low = np.maximum(np.floor(self.positions[here].min(axis=0)), 0).astype(int)
            high = np.ceil(self.positions[here].max(axis=0)).astype(int)
            inside = np.zeros(shape, bool)
            inside[low[0] : high[0] + 1, low[1] : high[1] + 1] = True
            labels.class_map[~inside] = IGNORE
        return labels

    def _objects(
        self, here: NDArray[np.bool_], defects: tuple[str, ...], shape: tuple[int, int], period_px: float
    ) -> tuple[Objects, NDArray[np.int64]]:
        """Objects of the rows `here` (n,), and their classes: points, and a region for rows that share a group."""
        chosen = [i for i in np.flatnonzero(here) if self.names[i] in defects]
        grouped = Counter(self.groups[i] for i in chosen if self.groups[i])
        single = [i for i in chosen if grouped[self.groups[i]] < 2]
        positions = [self.positions[i] for i in single]
        kinds = [defects.index(self.names[i]) + 1 for i in single]
        regions = np.zeros(shape, np.int32)
        for group in (name for name, count in grouped.items() if count >= 2):
            members = [i for i in chosen if self.groups[i] == group]
            region = region_around(self.positions[members], REGION_RADIUS * period_px, shape)
            positions.append(self.positions[members].mean(axis=0))
            kinds.append(defects.index(self.names[members[0]]) + 1)
            regions[region] = len(positions)
        found = Objects(np.array(positions).reshape(-1, 2), np.ones(len(positions)), regions)
        return found, np.array(kinds, np.int64)


def read_points(table: Table, pixel_size_nm: float | None) -> PointList:
    """A table of columns: positions `y_px, x_px` or `y_nm, x_nm`, and a class column.

    The class column is the first of `CLASS_COLUMNS` that is there. Optional: `frame` (0-based)
    and `object` (rows that share it are one extended object, such as a hole).
    Raises InputError naming the file, the column or the row.
    """
    path, columns = table.path, table.columns
    position = next((pair for pair in POSITION_COLUMNS if set(pair) <= set(columns)), None)
    if position is None:
        raise InputError(f"{path}: no columns 'y_px' and 'x_px' (or 'y_nm' and 'x_nm'); found: {table.found}")
    if table.class_column is None:
        raise InputError(f"{path}: no class column, one of {', '.join(CLASS_COLUMNS)}; found: {table.found}")
    if not table.rows:
        raise InputError(f"{path}: holds no labelled columns below its header")
    if position == ("y_nm", "x_nm") and pixel_size_nm is None:
        raise InputError(f"{path}: positions are in nm, but the movie has no pixel size; give --pixel-size")
    tells_frames = "frame" in columns
    values = np.array(table.numbers((*position, "frame") if tells_frames else position))
    points = PointList(
        path,
        table.frames(values[:, 2]) if tells_frames else np.zeros(len(values), np.int64),
        values[:, :2] / (pixel_size_nm if pixel_size_nm and position[0] == "y_nm" else 1.0),
        table.classes(table.class_column),
        table.texts("object"),
        tells_frames,
    )
    if position[0] == "y_nm":
        _check_spread(points)
    check_one_class_each(table, points)
    return points


def _check_spread(points: PointList) -> None:
    """Raise InputError if all columns of a frame, in nm, came to lie in one pixel."""
    for frame in np.unique(points.frame):
        here = points.positions[points.frame == frame]
        if len(here) >= FEWEST_TO_SPREAD and np.ptp(here, axis=0).max() < 1:
            raise InputError(
                f"{points.path}: all {len(here)} columns of frame {frame} lie within one pixel; check --pixel-size"
            )


def check_one_class_each(table: Table, points: PointList) -> None:
    """Raise InputError naming two lines of one frame that give one object, or one place, two classes."""
    first: dict[tuple[object, ...], int] = {}
    places = zip(points.frame.tolist(), *points.positions.T.tolist(), strict=True)
    for row, (place, group) in enumerate(zip(places, points.groups, strict=True)):
        for key in (place, (place[0], group)) if group else (place,):
            _check_same_class(table, points, first.setdefault(key, row), row)
    # What is left are places a rounding apart. Frames are a whole number apart, so they are a third coordinate.
    rows = np.array([row for key, row in first.items() if len(key) == 3])
    near = cKDTree(np.column_stack([points.frame, points.positions])[rows]).query_pairs(SAME_PLACE_PX)
    for one, other in sorted(near):
        _check_same_class(table, points, rows[one], rows[other])


def _check_same_class(table: Table, points: PointList, one: int, other: int) -> None:
    if points.names[one] != points.names[other]:
        shared = f"object '{points.groups[one]}'" if points.groups[one] == points.groups[other] != "" else "one place"
        lines = " and ".join(f"line {table.rows[row][0]} '{points.names[row]}'" for row in (one, other))
        raise InputError(f"{points.path}: {shared} has two classes in a frame, {lines}; keep one")
