"""HDF5."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import h5py

from data_prep.errors import InputError
from data_prep.formats.stored import Stored, layout


def open_file(path: Path, dataset: str | None, open_files: ExitStack) -> Stored:
    """Open an HDF5 file."""
    try:
        stored = open_files.enter_context(h5py.File(path, "r"))
    except OSError:
        raise InputError(f"{path}: is not an HDF5 file, or a damaged one") from None
    candidates: list[str] = []
    stored.visititems(
        lambda name, item: candidates.append(name) if isinstance(item, h5py.Dataset) and item.ndim in (2, 3) else None
    )
    if dataset is None and len(candidates) != 1:
        stacks = [name for name in candidates if stored[name].ndim == 3]
        if len(stacks) != 1:
            raise InputError(f"{path}: name the dataset with --dataset; it has {', '.join(candidates) or 'none'}")
        candidates = stacks
    name = dataset or candidates[0]
    if name not in stored or not isinstance(stored[name], h5py.Dataset):
        raise InputError(f"{path}: no dataset '{name}'; it has {', '.join(candidates) or 'none'}")
    data = stored[name]
    frames, shape, channels = layout(path, data.shape)
    size, interval = (
        float(data.attrs[key]) if key in data.attrs else None for key in ("pixel_size_nm", "frame_interval_s")
    )
    return Stored(
        frames, shape, channels, size, interval, (lambda index: data[index]) if data.ndim == 3 else lambda _: data[:]
    )
