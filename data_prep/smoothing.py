"""Smooth filters with mirrored edges, computed on the cosine transform.

A filter that is even in frequency acts on the even extension of an image, which is what the cosine
transform (type II) holds: the edges are mirrored exactly, whatever the filter's width, and no
cross appears in the spectrum.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import fft

FloatImage = NDArray[np.float32]


def gaussian(image: NDArray[np.generic], sigma: float) -> FloatImage:
    """Gaussian mean of an image (y, x), `sigma` in px, edges mirrored."""
    return _filtered(image, lambda squared: np.exp(-2 * np.pi**2 * sigma**2 * squared))


def low_pass(image: NDArray[np.generic], cutoff: float, order: int) -> FloatImage:
    """What varies more slowly than `cutoff` (cycles per px) in an image (y, x), edges mirrored.

    The transfer is exp(-(frequency / cutoff) ** order), without the ringing of a sharp disk.
    """
    return _filtered(image, lambda squared: np.exp(-((squared / cutoff**2) ** (order / 2))))


def _filtered(image: NDArray[np.generic], transfer: Callable[[FloatImage], FloatImage]) -> FloatImage:
    """Multiply the spectrum of an image (y, x) by a function of the squared frequency, which is 1 at 0."""
    mean = np.asarray(image, np.float64).mean()  # taken out first: single precision is for the rest
    single = np.asarray(image - mean, np.float32)
    height, width = single.shape
    y = (np.arange(height, dtype=np.float32) / (2 * height)) ** 2
    x = (np.arange(width, dtype=np.float32) / (2 * width)) ** 2
    spectrum = fft.dctn(single)
    spectrum *= transfer(y[:, None] + x[None, :])
    return np.asarray(fft.idctn(spectrum, overwrite_x=True) + np.float32(mean), np.float32)
