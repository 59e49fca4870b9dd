"""Layers that napari saved as CSV: points and shapes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from data_prep.errors import InputError
from data_prep.label_files.outlines import Kind, Outline, Outlines
from data_prep.label_files.points import PointList, check_one_class_each
from data_prep.label_files.table import Table

KINDS: dict[str, Kind] = {"polygon": "polygon", "rectangle": "polygon", "ellipse": "ellipse"}


def is_napari(table: Table) -> bool:
    """Whether a table has the columns of a layer of napari."""
    return {"index", "axis-0"} <= set(table.columns)


def read_napari(table: Table) -> PointList | Outlines:
    """Points and shapes of a layer; its axes are y, x or frame, y, x.

    The class is in a class column, if the layer had such a feature, else it is the file's name.
    Raises InputError naming the file, the column or the row.
    """
    path = table.path
    axes = [f"axis-{number}" for number in range(sum(name.startswith("axis-") for name in table.columns))]
    if len(axes) not in {2, 3} or not set(axes) <= set(table.columns):
        raise InputError(f"{path}: a layer of napari has two axes (y, x) or three (frame, y, x); found: {table.found}")
    if not table.rows:
        raise InputError(f"{path}: holds no points or shapes below its header")
    places = np.array(table.numbers(axes))
    frames = table.frames(np.round(places[:, 0])) if len(axes) == 3 else None
    column = table.class_column
    names = table.classes(column) if column else (path.stem,) * len(places)
    if "shape-type" in table.columns:
        return Outlines(path, _shapes(table, names, frames, places[:, -2:]))
    told = np.zeros(len(places), np.int64) if frames is None else frames
    points = PointList(path, told, places[:, -2:], names, ("",) * len(places), frames is not None)
    check_one_class_each(table, points)
    return points


def _shapes(
    table: Table, names: tuple[str, ...], frames: NDArray[np.int64] | None, places: NDArray[np.float64]
) -> tuple[Outline, ...]:
    """The shapes whose vertices are at `places` (n, 2), those of one shape under one index."""
    number = np.array(table.numbers(["index"]))[:, 0]
    types = table.texts("shape-type")
    outlines = []
    for index in np.unique(number):
        rows = np.flatnonzero(number == index)
        first, title = int(rows[0]), f"shape {index:g}"
        kind = KINDS.get(types[first])
        if kind is None:
            raise InputError(f"{table.path}: {title} is a {types[first]}; rectangles, ellipses and polygons are read")
        if len(rows) < 3 or (kind == "ellipse" and len(rows) != 4):
            raise InputError(f"{table.path}: {title} has {len(rows)} vertices; is the file cut off?")
        if frames is not None and len(np.unique(frames[rows])) > 1:
            raise InputError(f"{table.path}: {title} reaches over several frames; draw one in each")
        frame = None if frames is None else int(frames[first])
        outlines.append(Outline(title, names[first], frame, kind, places[rows]))
    return tuple(outlines)
