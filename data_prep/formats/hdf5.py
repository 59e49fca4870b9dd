"""HDF5 files: plain ones, NeXus, EMD (NCEM and Velox), HyperSpy, Nion Swift. The content tells which."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import h5py

from data_prep.errors import InputError
from data_prep.formats.axes import as_stored, check_size, plain_axes
from data_prep.formats.hdf5_check import check_self_contained
from data_prep.formats.hdf5_layouts import Part, hyperspy, ncem, nexus_axes, nexus_default, velox, with_scale
from data_prep.formats.stored import Stored, choose


def open_file(path: Path, dataset: str | None, open_files: ExitStack) -> Stored:
    """Open an HDF5 file; `dataset` is the path of a dataset, or the name of a detector or signal.

    Where none is named the only movie is taken, or the one that NeXus calls the default.
    Raises InputError if the file is damaged, refers to other files or declares what it cannot hold.
    """
    try:
        file = open_files.enter_context(h5py.File(path, "r"))
    except OSError:
        raise InputError(f"{path}: is not an HDF5 file, or a damaged one") from None
    check_self_contained(path, file)
    parts = velox(file) or ncem(file) or hyperspy(file)
    part = _named(path, parts, dataset) if parts else _plain(path, file, dataset)
    data = part.data
    stored = path.stat().st_size if data.is_virtual else data.id.get_storage_size()
    if data.size and stored == 0:
        raise InputError(f"{path}: dataset '{part.name}' is declared, but nothing is stored in it")
    check_size(path, data.size * data.dtype.itemsize, stored)
    return as_stored(path, part.axes, data.dtype, data.__getitem__)


def _named(path: Path, parts: list[Part], dataset: str | None) -> Part:
    """The part named, else the only one with several frames, else the only one."""
    stacks = [part for part in parts if sum(axis.size > 1 for axis in part.axes) == 3]
    if dataset is None and len(stacks) == 1:
        return stacks[0]
    return parts[choose(path, [part.name for part in parts], dataset)]


def _plain(path: Path, file: h5py.File, dataset: str | None) -> Part:
    axes_of = nexus_axes(file)
    found: list[h5py.Dataset] = []
    file.visititems(lambda _, item: found.append(item) if isinstance(item, h5py.Dataset) and _images(item) else None)

    def part(data: h5py.Dataset) -> Part:
        axes = axes_of.get(data.id) or plain_axes(data.shape)
        return Part(str(data.name).lstrip("/"), data, with_scale(data, axes))

    dataset = dataset or nexus_default(file)
    if dataset is None:
        return _named(path, [part(data) for data in found], None)
    named = file.get(dataset)
    if not isinstance(named, h5py.Dataset) or named.shape is None:
        choose(path, [str(data.name).lstrip("/") for data in found] or ["no images"], dataset)
    return part(named)


def _images(data: Any) -> bool:
    """Whether a dataset may be an image or a movie, in grey or in colour."""
    axes = plain_axes(data.shape or ())
    return data.dtype.kind in "biuf" and len(axes) - sum(axis.name == "s" for axis in axes) in (2, 3)
