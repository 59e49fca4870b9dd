"""A folder of single images, one a frame, in natural order."""

from __future__ import annotations

import re
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from data_prep.errors import InputError
from data_prep.formats.stored import MODULE_OF, Stored, open_stored, same_scale

KINDS = {suffix: module for suffix, module in MODULE_OF.items() if module != "hdf5"}
KINDS |= {suffix: suffix for suffix in (".emd", ".hspy", ".dm3", ".dm4")}


def open_file(path: Path, dataset: str | None, open_files: ExitStack) -> Stored:  # noqa: ARG001
    """Open a folder of images of one kind and size; `dataset` names the detector to take from each.

    Raises InputError naming the image that does not fit.
    """
    files = sorted((one for one in path.iterdir() if one.is_file() or one.is_symlink()), key=natural)
    images = [one for one in files if one.suffix.lower() in KINDS and not one.name.startswith(".")]
    if not images:
        raise InputError(f"{path}: is a folder without images")
    kinds = sorted({one.suffix.lower() for one in images})
    if len({KINDS[kind] for kind in kinds}) > 1:
        raise InputError(f"{path}: holds images of several kinds ({', '.join(kinds)}); keep one kind in the folder")
    first = _single(images[0], dataset)
    for image in images[1:]:
        _check_fits(image, _single(image, dataset), images[0], first)

    def read(index: int) -> NDArray[Any]:
        with open_stored(images[index], dataset) as one:
            _check_fits(images[index], one, images[0], first)
            return one.read(0)

    notes = first.notes
    if len(images) < len(files):
        notes += (f"{path}: {len(files) - len(images)} files that are no images are left out",)
    return replace(first, frames=len(images), frame_interval_s=None, read=read, notes=notes)


def natural(path: Path) -> list[tuple[int, str]]:
    """A key that puts frame2 before frame10."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", path.name)]


def _single(image: Path, dataset: str | None) -> Stored:
    with open_stored(image, dataset) as one:
        if one.frames > 1:
            raise InputError(f"{image}: holds {one.frames} frames; a folder is read as one image a file")
        return one


def _check_fits(image: Path, one: Stored, first_image: Path, first: Stored) -> None:
    if (one.shape, one.channels) != (first.shape, first.channels):
        rows, columns = first.shape
        raise InputError(f"{image}: is not of the size or kind of {first_image.name} ({rows} x {columns} px)")
    if not all(map(same_scale, one.pixel_nm, first.pixel_nm)):
        told = " and ".join(f"{size or 0:g} x {width or 0:g}" for size, width in (one.pixel_nm, first.pixel_nm))
        raise InputError(
            f"{image}: its pixels and those of {first_image.name} are {told} nm; keep one scale in a folder"
        )
