"""Objects from regions that somebody drew."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from data_prep.objects import EXTENDED_RADIUS, Objects


def objects_of_regions(parts: NDArray[np.integer], count: int, period_px: float) -> Objects:
    """Objects 1 … `count` of a map of regions (y, x), numbered so.

    A region no larger than a disk of `EXTENDED_RADIUS` periods is a point at its centroid, any
    other an extended object. A number without pixels has no position: NaN.
    """
    pixels = np.argwhere(parts)
    part = parts[parts > 0] - 1
    area = np.bincount(part, minlength=count)
    with np.errstate(invalid="ignore"):
        centres = np.stack([np.bincount(part, pixels[:, k], count) / area for k in (0, 1)], axis=1)
    extended = np.concatenate([[False], area > np.pi * (EXTENDED_RADIUS * period_px) ** 2])
    return Objects(centres, np.ones(count), np.where(extended[parts], parts, 0).astype(np.int32))
