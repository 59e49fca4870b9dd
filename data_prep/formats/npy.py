"""NumPy's own .npy files, memory mapped. Pickled objects are never loaded."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import numpy as np

from data_prep.formats.stored import Stored, layout, no_parts


def open_file(path: Path, dataset: str | None, open_files: ExitStack) -> Stored:
    """Open a .npy file of (y, x) or (frame, y, x), with or without RGB(A) behind."""
    no_parts(path, dataset)
    data = np.load(path, mmap_mode="r", allow_pickle=False)
    open_files.callback(data._mmap.close)  # noqa: SLF001
    frames, shape, channels = layout(path, data.shape)
    stack = data.reshape((frames, *shape, channels)[: 4 if channels > 1 else 3])
    return Stored(frames, shape, channels, None, None, lambda index: np.array(stack[index]))
