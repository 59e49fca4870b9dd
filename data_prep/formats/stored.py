"""What a file holds, whatever its format, and the one way to open it."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from data_prep.errors import InputError

MODULES = {"tiff": (".tif", ".tiff", ".btf"), "hdf5": (".h5", ".hdf5", ".nxs"), "npy": (".npy",)}
MODULES |= {"picture": (".png", ".jpg", ".jpeg", ".bmp", ".gif")}
MODULE_OF = {suffix: module for module, suffixes in MODULES.items() for suffix in suffixes}


@dataclass(frozen=True)
class Stored:
    """Images as a file stores them, read one at a time.

    `frames` images of `shape` (rows, columns) with `channels` 1 (grey), 3 (RGB) or 4 (RGBA); `pixel_size_nm`
    and `frame_interval_s` are None where the file does not tell. `read(index)` gives (y, x) or (y, x, channel)
    in the type stored. `notes` is what the user should be told.
    """

    frames: int
    shape: tuple[int, int]
    channels: int
    pixel_size_nm: float | None
    frame_interval_s: float | None
    read: Callable[[int], NDArray[Any]]
    notes: tuple[str, ...] = ()


@contextmanager
def open_stored(path: Path, dataset: str | None = None) -> Iterator[Stored]:
    """Open what `path` holds: a file of any format known here, or a folder of images.

    `dataset` names the dataset, detector or channel to take where there are several.
    Raises InputError with one line on what is wrong with the file.
    """
    if not path.exists():
        raise InputError(f"{path}: no such file")
    if path.is_file() and path.stat().st_size == 0:
        raise InputError(f"{path}: is empty")
    suffix = path.suffix.lower()
    name = "folder" if path.is_dir() else MODULE_OF.get(suffix, "rosettasciio")
    with ExitStack() as open_files:
        try:
            stored: Stored = importlib.import_module(f"data_prep.formats.{name}").open_file(path, dataset, open_files)
        except InputError:
            raise
        except Exception as error:  # readers raise what they like on damaged files
            raise InputError(f"{path}: cannot be read as {suffix or 'a movie'} ({short(error)})") from None
        yield stored


def short(error: Exception) -> str:
    """The message of any exception, in one short line."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 120 else text[:117] + "..."


def layout(path: Path, shape: tuple[int, ...]) -> tuple[int, tuple[int, int], int]:
    """Frames, (rows, columns) and channels of an array of (y, x), (frame, y, x), with or without RGB(A) behind.

    Raises InputError for any other number of axes.
    """
    channels = 1
    if len(shape) in (3, 4) and shape[-1] in (3, 4):
        shape, channels = shape[:-1], shape[-1]
    if len(shape) == 2:
        return 1, (shape[0], shape[1]), channels
    if len(shape) == 3:
        return shape[0], (shape[1], shape[2]), channels
    raise InputError(f"{path}: has {len(shape)} axes {shape}; a movie has frame, y, x and an image y, x")


def no_parts(path: Path, dataset: str | None) -> None:
    """Raise InputError if a part is named in a file whose format has none."""
    if dataset is not None:
        raise InputError(f"{path}: has no named datasets, so leave out --dataset {dataset}")
