"""The maps of a movie as a stack that ImageJ opens with its scale."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from data_prep.files import whole_file

MOST_PAGED = 2**31  # bytes: the pages of a larger stack are not listed, as ImageJ does it, since TIFF ends at 4 GiB


def write_map_stack(
    maps: Path, movie: str, pixel_size_nm: float | None, frame_interval_s: float | None, path: Path
) -> Path | None:
    """Write the probability of a defect, in percent, as an ImageJ stack (frame, y, x) of uint8.

    `maps` is what `results.save_results` wrote. A plane is labelled with the number of its frame; that of a frame that
    could not be read is zero and says so, so that planes keep their place in time. The interval is told where
    the frames follow one another evenly. Returns None, and writes nothing, where no frame could be read.
    """
    import tifffile

    with h5py.File(maps, "r") as stored:
        frames = stored[movie]
        readable = [group["probability_percent"].shape for group in frames.values() if not group.attrs["error"]]
        if not readable:
            return None
        shape = (len(frames), *readable[0])
        told: dict[str, Any] = {"axes": "TYX", "min": 0, "max": 100, "Labels": _labels(frames)}
        scale: dict[str, Any] = {}
        if pixel_size_nm is not None:
            scale["resolution"] = (1 / pixel_size_nm, 1 / pixel_size_nm)
            told["unit"] = "nm"
        step = _step([int(number) for number in frames])
        if frame_interval_s is not None and step is not None:
            told |= {"finterval": frame_interval_s * step, "tunit": "s"}
        with whole_file(path) as temporary:
            tifffile.imwrite(
                temporary,
                _planes(frames, shape[1:]),
                shape=shape,
                dtype=np.uint8,
                imagej=True,
                photometric="minisblack",
                truncate=int(np.prod(shape, dtype=np.int64)) > MOST_PAGED,
                metadata=told,
                **scale,
            )
    return path


def _labels(frames: h5py.Group) -> list[str]:
    return [f"frame {int(n)}" + (" could not be read" if group.attrs["error"] else "") for n, group in frames.items()]


def _step(numbers: list[int]) -> int | None:
    """How many frames apart the planes are, None where that differs."""
    steps = set(np.diff(numbers).tolist())
    return steps.pop() if len(steps) == 1 else None


def _planes(frames: h5py.Group, shape: tuple[int, ...]) -> Iterator[NDArray[np.uint8]]:
    """One plane (y, x) at a time, so that memory does not grow with the movie."""
    for group in frames.values():
        yield np.zeros(shape, np.uint8) if group.attrs["error"] else group["probability_percent"][:]
