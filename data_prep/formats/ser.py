"""SER series of TIA (FEI, Thermo Fisher), by the layout that C. Boothroyd published.

RosettaSciIO reads a whole series to show its first image; this reads one image at a time.
"""

from __future__ import annotations

import os
import struct
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from data_prep.errors import InputError
from data_prep.formats.axes import Axis, as_stored
from data_prep.formats.stored import Stored, no_parts

TYPES = {1: "u1", 2: "<u2", 3: "<u4", 4: "i1", 5: "<i2", 6: "<i4", 7: "<f4", 8: "<f8", 9: "<c8", 10: "<c16"}
MAGIC, IMAGES, LAST_VERSION_OF_32_BITS = (0x4949, 0x0197), 0x4122, 0x0210
IMAGE_HEADER = struct.Struct("<ddiddiHII")  # x offset, step, element; the same in y; type, columns, rows


def open_file(path: Path, dataset: str | None, open_files: ExitStack) -> Stored:
    """Open a series of images; the steps, in metres, give the pixel size, a dimension in seconds the interval."""
    no_parts(path, dataset)
    file = open_files.enter_context(path.open("rb"))
    try:
        offsets, interval, unit = _series(path, file)
        _, width, _, _, height, _, kind, columns, rows = _image_header(file, offsets[0])
    except struct.error:
        raise InputError(f"{path}: is cut off or damaged") from None
    dtype = np.dtype(TYPES[kind])
    last = offsets[-1] + IMAGE_HEADER.size + dtype.itemsize * rows * columns
    if last > os.fstat(file.fileno()).st_size:
        raise InputError(f"{path}: is cut off, its last image is not whole")

    def get(key: tuple[Any, ...]) -> NDArray[Any]:
        header = _image_header(file, offsets[key[0]])
        if header[6:] != (kind, columns, rows):
            raise InputError(f"{path}: image {key[0]} is of another size or type than the first")
        # Rows are stored from the bottom up.
        return np.fromfile(file, dtype, rows * columns).reshape(rows, columns)[::-1]

    axes = [Axis(len(offsets), "", interval, unit), Axis(rows, "y", height, "m"), Axis(columns, "x", width, "m")]
    return as_stored(path, axes, dtype, get)


def _series(path: Path, file: BinaryIO) -> tuple[list[int], float, str]:
    """Where the images start, and step and unit of the series."""
    *magic, version, kind, _, _, valid = _unpack(file, "<HHHIIII")
    if tuple(magic) != MAGIC:
        raise InputError(f"{path}: is not a SER file, whatever its name says")
    if kind != IMAGES:
        raise InputError(f"{path}: holds spectra, not images")
    word = "I" if version <= LAST_VERSION_OF_32_BITS else "Q"
    array, dimensions = _unpack(file, f"<{word}I")
    step, unit = 0.0, ""
    if dimensions == 1:
        _, _, step, _, length = _unpack(file, "<IddII")
        file.seek(length, os.SEEK_CUR)
        (length,) = _unpack(file, "<I")
        unit = file.read(min(length, 64)).decode("latin-1")
    elif dimensions > 1:
        raise InputError(f"{path}: is a map of {dimensions} dimensions, not a movie")
    room = (os.fstat(file.fileno()).st_size - array) // struct.calcsize(word)
    if not 0 < valid <= room:
        raise InputError(f"{path}: holds no image" if valid == 0 else f"{path}: is cut off or damaged")
    file.seek(array)
    return list(_unpack(file, f"<{valid}{word}")), step, unit


def _image_header(file: BinaryIO, offset: int) -> tuple[Any, ...]:
    file.seek(offset)
    return _unpack(file, IMAGE_HEADER.format)


def _unpack(file: BinaryIO, layout: str) -> tuple[Any, ...]:
    return struct.unpack(layout, file.read(struct.calcsize(layout)))
