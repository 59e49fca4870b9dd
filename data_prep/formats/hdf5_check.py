"""What an HDF5 file from a stranger must not do: make us read other files."""

from __future__ import annotations

from pathlib import Path

import h5py

from data_prep.errors import InputError


def check_self_contained(path: Path, file: h5py.File) -> None:
    """Raise InputError if any link, dataset or virtual dataset of `file` lies in another file.

    Links are looked at, never followed, so nothing else is opened. Soft links within the file are fine.
    """
    groups, seen = [file["/"]], {h5py.h5o.get_info(file.id).addr}
    while groups:
        group = groups.pop()
        for name in group:
            where = f"{group.name.rstrip('/')}/{name}"
            link = group.get(name, getlink=True)
            if isinstance(link, h5py.SoftLink):
                continue
            if not isinstance(link, h5py.HardLink):
                raise _refused(path, where, "an external link")
            item = group[name]
            if isinstance(item, h5py.Dataset):
                _check_dataset(path, where, item)
            address = h5py.h5o.get_info(item.id).addr
            if isinstance(item, h5py.Group) and address not in seen:
                seen.add(address)
                groups.append(item)


def _check_dataset(path: Path, where: str, data: h5py.Dataset) -> None:
    if data.external:
        raise _refused(path, where, "stored in another file")
    if data.is_virtual and any(source.file_name != "." for source in data.virtual_sources()):
        raise _refused(path, where, "a virtual dataset over other files")


def _refused(path: Path, where: str, what: str) -> InputError:
    return InputError(f"{path}: '{where}' is {what}, which is not followed; copy the data into one file (h5repack)")
