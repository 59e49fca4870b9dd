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

DATASETS_SHOWN = 8  # in a message


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
    try:
        return as_stored(path, part.axes, data.dtype, data.__getitem__)
    except InputError as error:
        raise InputError(f"{path}: dataset '{part.name}'{str(error).removeprefix(f'{path}:')}") from None


def _named(path: Path, parts: list[Part], dataset: str | None) -> Part:
    """The part named, else the only one with several frames, else with one, else the only one."""
    for least in (2, 1) if dataset is None else ():
        stacks = [part for part in parts if sum(axis.size >= least and axis.name != "s" for axis in part.axes) == 3]
        if len(stacks) == 1:
            return stacks[0]
    return parts[choose(path, [part.name for part in parts], dataset)]


def _plain(path: Path, file: h5py.File, dataset: str | None) -> Part:
    axes_of = nexus_axes(file)
    every: list[h5py.Dataset] = []
    file.visititems(
        lambda _, item: every.append(item) if isinstance(item, h5py.Dataset) and item.shape is not None else None
    )
    found = [data for data in every if _images(data)] or every[: len(every) == 1]

    def part(data: h5py.Dataset) -> Part:
        axes = axes_of.get(data.id) or plain_axes(data.shape)
        return Part(str(data.name).lstrip("/"), data, with_scale(data, axes))

    dataset = dataset or nexus_default(file)
    if dataset is None and not found:
        there = ", ".join(f"{str(data.name).lstrip('/')} {data.shape}" for data in every[:DATASETS_SHOWN])
        raise InputError(f"{path}: holds no movie (frame, y, x) and no image (y, x); its datasets: {there or 'none'}")
    if dataset is None:
        return _named(path, [part(data) for data in found], None)
    named = file.get(dataset)
    if not isinstance(named, h5py.Dataset) or named.shape is None:
        choose(path, [str(data.name).lstrip("/") for data in found] or ["no images"], dataset)
    return part(named)


def _images(data: Any) -> bool:
    """Whether a dataset may be an image or a movie, in grey or in colour."""
    axes = plain_axes(data.shape)
    return data.dtype.kind in "biuf" and len(axes) - sum(axis.name == "s" for axis in axes) in (2, 3)
