"""From an array of many axes to frames of (y, x): which axis is which, and what cannot be a movie."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from data_prep.errors import InputError
from data_prep.formats.scale import in_seconds, pixel_nm
from data_prep.formats.stored import Stored

LARGEST_FRAME_PX = 2**28
# Lossless compression stays below about 1000 : 1 on counts; a file that declares more is made to exhaust memory.
LARGEST_COMPRESSION = 2000
ROWS, COLUMNS, SAMPLES = {"y", "height", "row", "rows"}, {"x", "width", "column", "columns"}, {"s", "rgb", "rgba"}


@dataclass(frozen=True)
class Axis:
    """One axis of an array: its size and, where known, its name and the step between its points."""

    size: int
    name: str = ""
    step: object = None
    unit: object = ""


def plain_axes(shape: Sequence[int]) -> list[Axis]:
    """Axes of an array that tells nothing but its shape: (y, x) or (frame, y, x), and RGB(A) behind if it is 3 or 4."""
    colour = len(shape) > 2 and shape[-1] in (3, 4)
    return [Axis(size, "s" if colour and place == len(shape) - 1 else "") for place, size in enumerate(shape)]


def as_stored(
    path: Path,
    axes: Sequence[Axis],
    dtype: DTypeLike,
    get: Callable[[tuple[Any, ...]], Any],
    fixed: Mapping[int, int] | None = None,
    notes: tuple[str, ...] = (),
) -> Stored:
    """Frames of an array with these axes, where `get` indexes it with one integer or slice an axis.

    Axes in `fixed` are held at the index given; y and x are found by name, else they are the last two;
    what is left and longer than 1 is the frame axis. Raises InputError if this makes no movie.
    """
    fixed = dict(fixed or {})
    free = [place for place in range(len(axes)) if place not in fixed]
    samples = [place for place in free if axes[place].name.lower() in SAMPLES and axes[place].size in (3, 4)]
    free = [place for place in free if place not in samples]
    y, x = _rows_and_columns(path, axes, free)
    others = [place for place in free if place not in (y, x)]
    several = [place for place in others if axes[place].size != 1]
    if len(several) > 1:
        raise InputError(f"{path}: has {_count(axes)}; a movie has frame, y, x and an image y, x")
    frame = several[0] if several else others[0] if others else None
    fixed |= {place: 0 for place in others if place != frame}
    frames, shape = 1 if frame is None else axes[frame].size, (axes[y].size, axes[x].size)
    _check(path, frames, shape, np.dtype(dtype))
    interval = None if frame is None else in_seconds(axes[frame].step, axes[frame].unit)
    order = np.argsort(np.argsort([y, x, *samples]))  # where y, x and channel are in what `get` gives

    def read(index: int) -> NDArray[Any]:
        where = fixed if frame is None else fixed | {frame: index}
        image = np.array(get(tuple(where.get(place, slice(None)) for place in range(len(axes)))))
        return image.transpose(order)

    pixel = pixel_nm(axes[y].step, axes[y].unit), pixel_nm(axes[x].step, axes[x].unit)
    return Stored(frames, shape, axes[samples[0]].size if samples else 1, pixel, interval, read, notes)


def _rows_and_columns(path: Path, axes: Sequence[Axis], free: list[int]) -> tuple[int, int]:
    # An axis in seconds is no side of an image.
    free = [place for place in free if in_seconds(axes[place].step, axes[place].unit) is None]
    if len(free) < 2:
        raise InputError(f"{path}: has {_count(axes)}; a movie has frame, y, x and an image y, x")
    y = [place for place in free if axes[place].name.lower() in ROWS]
    x = [place for place in free if axes[place].name.lower() in COLUMNS]
    return (y[0], x[0]) if len(y) == len(x) == 1 else (free[-2], free[-1])


def _count(axes: Sequence[Axis]) -> str:
    return f"{len(axes)} axes {tuple(axis.size for axis in axes)}"


def _check(path: Path, frames: int, shape: tuple[int, int], dtype: np.dtype[Any]) -> None:
    if dtype.kind == "c":
        raise InputError(f"{path}: holds complex numbers; save their amplitude or phase instead")
    if dtype.kind not in "biuf":
        raise InputError(f"{path}: holds {dtype}, which are no numbers")
    if frames * math.prod(shape) == 0:
        raise InputError(f"{path}: holds no pixel, it has {frames} frames of {shape[0]} x {shape[1]} px")
    if math.prod(shape) > LARGEST_FRAME_PX:
        raise InputError(f"{path}: declares frames of {shape[0]} x {shape[1]} px, which is more than can be worked on")


def check_size(path: Path, declared: int, stored: int) -> None:
    """Raise InputError if the bytes stored cannot hold the bytes declared, however well compressed."""
    if declared > LARGEST_COMPRESSION * stored:
        raise InputError(f"{path}: declares {declared} bytes but stores {stored}; it is damaged or not what it seems")


def memory_map(path: Path, dtype: DTypeLike, offset: int, shape: tuple[int, ...]) -> NDArray[Any]:
    """The array that starts `offset` bytes into a file, read only and page by page.

    Raises InputError if the file ends before the array does.
    """
    kind = np.dtype(dtype)
    needed, there = kind.itemsize * math.prod(shape), path.stat().st_size - offset
    if needed > there:
        raise InputError(f"{path}: is cut off, {needed - there} of {needed} bytes are missing")
    return np.memmap(path, kind, "r", offset, shape) if needed else np.empty(shape, kind)
