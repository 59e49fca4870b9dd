"""What the values of a mask's pixels mean: class indices, or colours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data_prep.errors import InputError
from data_prep.label_files.label_file import MOST_CLASSES
from data_prep.label_files.legend import UNLABELLED, Legend
from data_prep.labels import BACKGROUND, IGNORE

TRANSPARENT, BLACK, WHITE = -1, 0x000000, 0xFFFFFF
MOST_COLOURS = 32  # more than anyone draws: the edges were smoothed
SHOWN = 8  # values in a message


def mask_codes(path: Path, image: NDArray[Any]) -> NDArray[np.int64]:
    """A number for each pixel (y, x): its class index, or its colour as 0xRRGGBB, `TRANSPARENT` where it is.

    `image` is (y, x) of indices or (y, x, channel) of colours. Raises InputError if it is neither.
    """
    if image.ndim == 2:
        with np.errstate(invalid="ignore"):
            codes = image.astype(np.int64)
        if not np.array_equal(codes, image) or codes.min() < 0:
            raise InputError(f"{path}: has pixels that are no class index, 0, 1, 2, …; is it a mask?")
        return codes
    if image.dtype not in {np.dtype(np.uint8), np.dtype(np.uint16)}:
        raise InputError(f"{path}: has colours of {image.dtype}; masks have 8 or 16 bits a colour")
    channels = image.astype(np.int64) >> (8 * image.dtype.itemsize - 8)
    codes = channels[..., 0] << 16 | channels[..., 1] << 8 | channels[..., 2]
    return codes if image.shape[2] == 3 else np.where(channels[..., 3] == 0, TRANSPARENT, codes)


def mask_meanings(path: Path, pixels: dict[int, int], legend: Legend, *, coloured: bool) -> dict[int, str]:
    """The class of each code of a mask that has so many pixels of each; also `background` and `unlabelled`.

    Raises InputError for codes that have no meaning, saying what is there.
    """
    if not legend and coloured:
        raise InputError(
            f"{path}: is a mask in colours; say which is which with --legend NAME=#rrggbb,...; it has "
            f"{_shown(pixels, coloured=True)}"
        )
    if legend and isinstance(legend[0][1], str) != coloured:
        kinds = ("colours", "class indices") if coloured else ("class indices", "colours")
        there = _shown(pixels, coloured=coloured)
        raise InputError(f"{path}: is a mask of {kinds[0]}, and the legend has {kinds[1]}; it has {there}")
    meanings = {int(code[1:], 16) if isinstance(code, str) else code: name for name, code in legend}
    if coloured:
        meanings.setdefault(TRANSPARENT, BACKGROUND)
        plain = [code for code in (BLACK, WHITE) if code in pixels and code not in meanings]
        if plain and TRANSPARENT not in pixels and BACKGROUND not in dict(legend):
            meanings[max(plain, key=lambda code: pixels[code])] = BACKGROUND
    else:
        meanings.setdefault(0, BACKGROUND)
        meanings.setdefault(IGNORE, UNLABELLED)
        if len(pixels) > MOST_CLASSES:
            raise InputError(f"{path}: has {len(pixels)} different values; is it a picture and not a mask?")
        if not legend:
            meanings = {code: f"class {code}" for code in pixels} | meanings
    unknown = {code: count for code, count in pixels.items() if code not in meanings}
    if unknown:
        raise InputError(f"{path}: the legend does not name {_shown(unknown, coloured=coloured)}")
    return meanings


def _shown(pixels: dict[int, int], *, coloured: bool) -> str:
    """Codes and their pixels, the most common first."""
    common = sorted(pixels, key=lambda code: -pixels[code])
    names = {code: ("transparent" if code < 0 else f"#{code:06x}") if coloured else str(code) for code in common}
    shown = ", ".join(f"{names[code]} ({pixels[code]} px)" for code in common[:SHOWN])
    more = f" and {len(common) - SHOWN} more" if len(common) > SHOWN else ""
    smooth = "; so many come of smoothed edges or JPEG, draw without and save as PNG or TIFF"
    return shown + more + (smooth if coloured and len(common) > MOST_COLOURS else "")
