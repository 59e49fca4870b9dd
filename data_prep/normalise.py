"""Bring frames to a common scale: background and contrast that vary slowly are taken out."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

FloatFrame = NDArray[np.float32]

# Wide enough to leave a point defect alone, narrow enough to follow contamination.
WIDTH_IN_PERIODS = 2.25


def local_contrast(frame: NDArray[np.generic], period_px: float) -> FloatFrame:
    """Subtract the local mean and divide by the typical local standard deviation.

    `frame` is (y, x) in counts, `period_px` the spacing of lattice planes in px. The result is
    (y, x), dimensionless. The deviation may not fall below half its median over the frame, so
    that a hole (no lattice, only noise) is not blown up to look like one.
    """
    image = np.asarray(frame, np.float32)
    sigma = WIDTH_IN_PERIODS * period_px
    difference = image - ndimage.gaussian_filter(image, sigma, mode="reflect")
    deviation = np.sqrt(ndimage.gaussian_filter(difference**2, sigma, mode="reflect"))
    floor = 0.5 * float(np.median(deviation))
    return np.asarray(difference / np.maximum(deviation, max(floor, 1e-12)), np.float32)
