"""What RosettaSciIO reads."""

from __future__ import annotations

import importlib
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data_prep.errors import InputError
from data_prep.formats.scale import in_nm
from data_prep.formats.stored import Stored, layout, no_parts


def open_file(path: Path, dataset: str | None, open_files: ExitStack) -> Stored:
    """Open what RosettaSciIO reads."""
    no_parts(path, dataset)
    from rsciio import IO_PLUGINS

    suffix = path.suffix.lower().lstrip(".")
    plugins = [plugin for plugin in IO_PLUGINS if suffix in (e.lower() for e in plugin["file_extensions"])]
    if not plugins:
        raise InputError(f"{path}: no reader for '.{suffix}' files; TIFF, HDF5, DM3, DM4, MRC, EMD and SER are read")
    # Several readers may share a suffix: the one of the plainest name is the format's own (MRC, not MRCZ).
    reader = min(plugins, key=lambda plugin: len(plugin["name"]))
    signals = importlib.import_module(reader["api"]).file_reader(str(path), lazy=True)
    images = [signal for signal in signals if signal["data"].ndim in (2, 3)]
    if not images:
        raise InputError(f"{path}: holds no image or movie")
    data, axes = images[0]["data"], images[0]["axes"]
    frames, shape, channels = layout(path, data.shape)
    size = in_nm(float(axes[-1].get("scale", 0)), str(axes[-1].get("units") or ""))
    interval = None
    if data.ndim == 3 and str(axes[0].get("units") or "") in ("s", "sec"):
        interval = float(axes[0]["scale"])

    def read(index: int) -> NDArray[Any]:
        return np.asarray(data[index] if data.ndim == 3 else data)

    return Stored(frames, shape, channels, size, interval, read)
