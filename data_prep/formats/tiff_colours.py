"""What the numbers of a TIFF page mean to those who look at it: indices of a palette, or 0 for white."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

WHITE_IS_ZERO, PALETTE = 0, 3
PILLOW_INVERTS_BITS = 8  # and no image of more bits


def has_palette(page: Any) -> bool:
    """Whether a page holds indices of a palette, so that its image is of colours."""
    return bool(page.photometric == PALETTE and page.colormap is not None)


def as_shown(image: NDArray[Any], page: Any, *, by_pillow: bool = False) -> NDArray[Any]:
    """An image (y, x) of `page` as viewers show it: (y, x, RGB) of 8 bits by its palette, 0 black.

    Floats are as they are, and so are booleans that tifffile wrote: it calls their 0 white if nobody tells it
    otherwise. `by_pillow`: whether Pillow read the image, which inverts some itself.
    """
    key = page.keyframe
    if has_palette(key):
        own = key if page.is_virtual else page.aspage()  # each page may have a palette of its own
        colours = (own.colormap >> 8).astype(np.uint8)
        return np.asarray(colours[:, image.astype(np.intp)].transpose(1, 2, 0))
    done = by_pillow and key.bitspersample <= PILLOW_INVERTS_BITS
    if key.photometric != WHITE_IS_ZERO or done or image.dtype.kind not in "biu":
        return image
    if image.dtype.kind == "b":
        return image if page.parent.is_shaped else ~image
    return ~image & (2**key.bitspersample - 1) if image.dtype.kind == "u" else ~image
