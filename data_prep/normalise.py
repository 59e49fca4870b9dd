"""Bring frames to a common scale: background and contrast that vary slowly are taken out."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

FloatFrame = NDArray[np.float32]

# Wide enough to leave a point defect alone, narrow enough to follow contamination.
WIDTH_IN_PERIODS = 2.25
# Where the frame varies less than this share of what is typical, over a cell or so, no lattice is.
FLAT_SHARE, CELL_IN_PERIODS = 0.5, 0.75
ENOUGH = 0.05  # least weight of lattice in a mean


def local_contrast(frame: NDArray[np.generic], period_px: float) -> FloatFrame:
    """Subtract the local mean of the lattice and divide by its local standard deviation.

    `frame` is (y, x) in counts, `period_px` the spacing of lattice planes in px. The result is
    (y, x), dimensionless. Where there is no lattice (a hole is flat) the mean and the deviation are
    those of the lattice nearby, so that a hole is as dark in its middle as at its rim.
    """
    image = np.asarray(frame, np.float32)
    lattice = _lattice_mask(image, period_px)
    sigma = WIDTH_IN_PERIODS * period_px
    mean = _mean_over(image, lattice, sigma)
    deviation = np.sqrt(_mean_over((image - mean) ** 2, lattice, sigma))
    return np.asarray((image - mean) / np.maximum(deviation, 1e-12), np.float32)


def _lattice_mask(image: FloatFrame, period_px: float) -> FloatFrame:
    """1 where the image (y, x) varies as a lattice does, 0 where it is flat and near to that.

    Near: the step at a hole's rim varies too, so what is flat is widened by as much as it hides.
    """
    sigma = CELL_IN_PERIODS * period_px
    level = ndimage.gaussian_filter(image, sigma, mode="reflect")
    variation = np.sqrt(ndimage.gaussian_filter((image - level) ** 2, sigma, mode="reflect"))
    flat = variation < FLAT_SHARE * np.median(variation)
    if flat.any():
        flat = np.asarray(ndimage.distance_transform_edt(~flat)) <= 2 * sigma
    return np.asarray(~flat, np.float32)


def _mean_over(image: FloatFrame, mask: FloatFrame, sigma: float) -> FloatFrame:
    """Gaussian mean of an image (y, x) over a mask, from as far as it takes where the mask is empty.

    Normalised convolution: Knutsson and Westin, CVPR 1993.
    """
    weight = ndimage.gaussian_filter(mask, sigma, mode="reflect")
    total = ndimage.gaussian_filter(image * mask, sigma, mode="reflect")
    enough = weight > ENOUGH
    mean = np.asarray(total / np.maximum(weight, ENOUGH), np.float32)
    if enough.all() or sigma > max(image.shape):
        return mean
    return np.asarray(np.where(enough, mean, _mean_over(image, mask, 2 * sigma)), np.float32)
