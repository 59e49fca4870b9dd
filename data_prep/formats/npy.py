"""NumPy's own .npy files, memory mapped. Pickled objects are never loaded."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.lib import format as npy_format
from numpy.typing import NDArray

from data_prep.errors import InputError
from data_prep.formats.axes import as_stored, memory_map, plain_axes
from data_prep.formats.stored import Stored, no_parts


def open_file(path: Path, dataset: str | None, open_files: ExitStack) -> Stored:  # noqa: ARG001
    """Open a .npy file of (y, x) or (frame, y, x), with or without RGB(A) behind."""
    no_parts(path, dataset)
    with path.open("rb") as file:
        data = mapped(path, file)
    return as_stored(path, plain_axes(data.shape), data.dtype, data.__getitem__)


def mapped(path: Path, file: BinaryIO) -> NDArray[Any]:
    """The array in .npy form that begins where `file` stands in `path`, memory mapped.

    Raises InputError if it is cut off or holds Python objects.
    """
    version = npy_format.read_magic(file)
    read_header = npy_format.read_array_header_1_0 if version == (1, 0) else npy_format.read_array_header_2_0
    shape, fortran, dtype = read_header(file)
    if dtype.hasobject:
        raise InputError(f"{path}: holds Python objects, which are not loaded: they could run a program")
    order = shape[::-1] if fortran else shape
    data = memory_map(path, dtype, file.tell(), order)
    return data.T if fortran else np.asarray(data)
