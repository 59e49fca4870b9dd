"""What a file holds, whatever its format, and the one way to open it."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import h5py
from numpy.typing import NDArray

from data_prep.errors import InputError

SUFFIXES = {
    "tiff": (".tif", ".tiff", ".btf", ".tf8"),
    "hdf5": (".h5", ".hdf5", ".he5", ".nxs", ".nx5", ".emd", ".de5", ".hspy"),
    "mrc": (".mrc", ".mrcs", ".st", ".rec", ".ali"),
    "ser": (".ser",),
    "npy": (".npy",),
    "nion": (".ndata", ".ndata1"),
    "picture": (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".pgm", ".ppm", ".pbm"),
}
MODULE_OF = {suffix: module for module, suffixes in SUFFIXES.items() for suffix in suffixes}
SAME_SCALE = 0.01  # pixels are square if their sides differ by less than this part


@dataclass(frozen=True)
class Stored:
    """Images as a file stores them, read one at a time.

    `frames` images of `shape` (rows, columns) with `channels` 1 (grey), 3 (RGB) or 4 (RGBA); `pixel_nm` is the
    height and width of a pixel and `frame_interval_s` the time from frame to frame, None where the file does
    not tell. `read(index)` gives (y, x) or (y, x, channel) in the type stored. `notes` is what the user should
    be told.
    """

    frames: int
    shape: tuple[int, int]
    channels: int
    pixel_nm: tuple[float | None, float | None]
    frame_interval_s: float | None
    read: Callable[[int], NDArray[Any]]
    notes: tuple[str, ...] = ()

    @property
    def pixel_size_nm(self) -> float | None:
        """The side of a square pixel; None if it is not known or the pixels are not square."""
        height, width = self.pixel_nm
        if height is None or width is None:
            return height or width
        return width if self.square else None

    @property
    def square(self) -> bool:
        """Whether pixels are as high as they are wide, as far as the file tells."""
        height, width = self.pixel_nm
        return same_scale(height, width)


def same_scale(one: float | None, other: float | None) -> bool:
    """Whether two sides of pixels are the same, as far as they are known."""
    return one is None or other is None or abs(one - other) <= SAME_SCALE * other


@contextmanager
def open_stored(path: Path, dataset: str | None = None) -> Iterator[Stored]:
    """Open what `path` holds: a file of any format known here, or a folder of images.

    `dataset` names the dataset, detector or channel to take where there are several.
    Raises InputError with one line on what is wrong with the file.
    """
    check_there(path)
    suffix = path.suffix.lower()
    with ExitStack() as open_files:
        try:
            reader = importlib.import_module(f"data_prep.formats.{_module_for(path)}")
            stored: Stored = reader.open_file(path, dataset, open_files)
        except InputError:
            raise
        except Exception as error:  # readers raise what they like on damaged files
            raise InputError(f"{path}: cannot be read as {suffix or 'a movie'} ({short(error)})") from None
        # Dropped at the end, so that the files that a library holds open behind its arrays are closed.
        reads = [stored.read]
        open_files.callback(reads.clear)

        def read(index: int) -> NDArray[Any]:
            return reads[0](index)

        yield replace(stored, read=read)


def check_there(path: Path) -> None:
    """Raise InputError unless `path` is a folder, or a file that may be read and is not empty."""
    try:
        _check_kind(path)
        if path.is_file():
            path.open("rb").close()
    except PermissionError:
        raise InputError(f"{path}: you have no permission to read it") from None


def _check_kind(path: Path) -> None:
    if path.is_symlink() and not path.exists():
        raise InputError(f"{path}: is a link to a file that is not there")
    if not path.exists():
        raise InputError(f"{path}: no such file")
    if path.is_dir():
        return
    if not path.is_file():
        raise InputError(f"{path}: is neither a file nor a folder")
    if path.stat().st_size == 0:
        raise InputError(f"{path}: is empty")


def _module_for(path: Path) -> str:
    suffix = path.suffix.lower()
    if path.is_dir() and suffix != ".zspy":
        return "folder"
    if suffix in MODULE_OF:
        return MODULE_OF[suffix]
    return "hdf5" if path.is_file() and h5py.is_hdf5(path) else "rosettasciio"


def choose(path: Path, names: Sequence[str], dataset: str | None) -> int:
    """The place in `names` (datasets, detectors or channels of a file) of the one to take.

    Raises InputError listing the names if there are several and none is named, or the name is not there.
    """
    if dataset is None and len(names) == 1:
        return 0
    listed = ", ".join(names) or "none"
    if dataset is None:
        raise InputError(f"{path}: holds several images or movies, name one with --dataset; it has {listed}")
    if dataset not in names:
        raise InputError(f"{path}: no dataset '{dataset}'; it has {listed}")
    return names.index(dataset)


def distinct(names: Sequence[str]) -> list[str]:
    """The names, empty ones and repeated ones told apart by their number."""
    return [
        name if name and names.count(name) == 1 else f"{name or 'image'} {names[:place].count(name) + 1}"
        for place, name in enumerate(names)
    ]


def no_parts(path: Path, dataset: str | None) -> None:
    """Raise InputError if a part is named in a file whose format has none."""
    if dataset is not None:
        raise InputError(f"{path}: has no named datasets, so leave out --dataset {dataset}")


def short(error: Exception) -> str:
    """The message of any exception, in one short line."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 120 else text[:117] + "..."
