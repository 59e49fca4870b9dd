"""Movies in: one lazy view of frames for every format. The readers are in `data_prep.formats`."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data_prep.errors import InputError
from data_prep.formats.stored import open_stored, short

SMALLEST_SIDE_PX = 64
LUMINANCE = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601, as ImageJ's weighted grey


@dataclass(frozen=True)
class Movie:
    """Frames of a movie, read one at a time.

    `frames` frames of `shape` (rows, columns); `pixel_size_nm` and `frame_interval_s` are None
    where the file does not tell; `source` is the file, `read` gives a frame as it is stored.
    `notes` are lines that the user should be told.
    """

    source: Path
    frames: int
    shape: tuple[int, int]
    pixel_size_nm: float | None
    frame_interval_s: float | None
    read: Callable[[int], NDArray[Any]]
    notes: tuple[str, ...] = ()

    def frame(self, index: int) -> NDArray[np.float32]:
        """Frame `index` as float32 (y, x), in counts; of a colour picture its luminance.

        Raises InputError if it cannot be read or holds no image.
        """
        if not 0 <= index < self.frames:
            raise InputError(f"{self.source}: has no frame {index}, it has {self.frames}")
        try:
            stored = self.read(index)
        except InputError:
            raise
        except Exception as error:  # any reader's own failure on a damaged frame
            raise InputError(f"{self.source}: frame {index} cannot be read ({short(error)})") from None
        with np.errstate(over="ignore"):  # what float32 cannot hold is found below
            image = stored.astype(np.float32)
        if image.ndim == 3:
            image = image[..., :3] @ LUMINANCE
        if not np.isfinite(image).all():
            raise InputError(f"{self.source}: frame {index} has pixels that are not finite numbers")
        if image.min() == image.max():
            raise InputError(f"{self.source}: frame {index} is empty, all its pixels are {image.flat[0]:g}")
        return image


@contextmanager
def open_movie(
    path: Path, pixel_size_nm: float | None = None, dataset: str | None = None, frame_interval_s: float | None = None
) -> Iterator[Movie]:
    """Open a movie: any format that `data_prep.formats` knows, or a folder of single images.

    `pixel_size_nm` and `frame_interval_s` override what the file says; `dataset` names the dataset,
    detector or channel to take. Raises InputError with one line on what is wrong with the file or these.
    """
    path = Path(path)
    for option, given in (("--pixel-size", pixel_size_nm), ("--frame-interval", frame_interval_s)):
        if given is not None and not 0 < given < math.inf:
            raise InputError(f"{option} {given:g}: is not a positive number")
    with open_stored(path, dataset) as stored:
        rows, columns = stored.shape
        if min(rows, columns) < SMALLEST_SIDE_PX:
            raise InputError(
                f"{path}: frames are {rows} x {columns} px; at least {SMALLEST_SIDE_PX} px a side are needed"
            )
        if pixel_size_nm is None and not stored.square:
            height, width = stored.pixel_nm
            raise InputError(f"{path}: its pixels are {height:g} x {width:g} nm, not square; give --pixel-size")
        notes = stored.notes
        if stored.channels > 1:
            notes += (f"{path}: is a colour picture, its luminance is taken; the detector's own counts are better",)
        yield Movie(
            path,
            stored.frames,
            stored.shape,
            stored.pixel_size_nm if pixel_size_nm is None else pixel_size_nm,
            stored.frame_interval_s if frame_interval_s is None else frame_interval_s,
            stored.read,
            notes,
        )
