"""How far places are from where columns cannot be judged: the frame's edge, and holes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

FloatArray = NDArray[np.float64]
EDGE = 1.5  # in lattice periods: columns nearer to the frame's edge are not what they seem
RIM = 1.4  # the same of a hole


def from_edge(positions: FloatArray, shape: tuple[int, ...]) -> FloatArray:
    """Distance (n,) in px of positions (n, 2) from the edge of a frame of this shape (y, x)."""
    return np.asarray(np.minimum(positions, np.array(shape) - 1 - positions).min(axis=1))


def from_holes(positions: FloatArray, regions: NDArray[np.int32]) -> FloatArray:
    """Distance (n,) in px of positions (n, 2) from the nearest of regions (y, x), 0 within, infinite without any."""
    hole = regions > 0
    if not hole.any():
        return np.full(len(positions), np.inf)
    at = np.clip(np.round(positions).astype(int), 0, np.array(hole.shape) - 1)
    return np.asarray(np.asarray(ndimage.distance_transform_edt(~hole))[at[:, 0], at[:, 1]])
