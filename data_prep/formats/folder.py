"""A folder of single images, one a frame, in natural order."""

from __future__ import annotations

import re
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from data_prep.errors import InputError
from data_prep.formats.stored import Stored, open_stored

IMAGE_SUFFIXES = {".tif", ".tiff", ".png", ".jpg", ".jpeg", ".bmp", ".dm3", ".dm4", ".npy"}


def open_file(path: Path, dataset: str | None, open_files: ExitStack) -> Stored:  # noqa: ARG001
    """Open a folder of images."""
    images = sorted((p for p in path.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES and p.name[0] != "."), key=natural)
    if not images:
        raise InputError(f"{path}: is a folder without images")
    with open_stored(images[0], dataset) as first:
        pass

    def read(index: int) -> NDArray[Any]:
        with open_stored(images[index], dataset) as one:
            if (one.shape, one.channels) != (first.shape, first.channels):
                raise InputError(f"{images[index]}: is of another size than {images[0].name}")
            return one.read(0)

    return Stored(len(images), first.shape, first.channels, first.pixel_size_nm, None, read, first.notes)


def natural(path: Path) -> list[tuple[int, str]]:
    """A key that puts frame2 before frame10."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", path.name)]
