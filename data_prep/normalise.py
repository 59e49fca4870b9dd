"""Bring frames to a common scale: background and contrast that vary slowly are taken out."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from data_prep.smoothing import gaussian

FloatFrame = NDArray[np.float32]

# Wide enough to leave a point defect alone, narrow enough to follow contamination. Networks see past
# what is left of it: on real images they do better with a wider mean than the Fourier method.
WIDTH_IN_PERIODS = 4.0
# Where the frame varies less than this share of what is typical, over a cell or so, no lattice is.
FLAT_SHARE, CELL_IN_PERIODS = 0.5, 0.75
ENOUGH = 0.05  # least weight of lattice in a mean


def local_contrast(frame: NDArray[np.generic], period_px: float) -> FloatFrame:
    """Subtract the local mean of the lattice and divide by its local standard deviation.

    `frame` is (y, x) in counts, `period_px` the spacing of lattice planes in px. The result is
    (y, x), dimensionless. Where there is no lattice (a hole is flat) the mean and the deviation are
    those of the lattice nearby, so that a hole is as dark in its middle as at its rim.
    """
    mean, lattice = background(frame, period_px, WIDTH_IN_PERIODS)
    levelled = np.asarray(frame, np.float32) - mean
    variance = _mean_over(levelled**2, lattice, WIDTH_IN_PERIODS * period_px)
    return np.asarray(levelled / np.sqrt(np.maximum(variance, 1e-24)), np.float32)


def background(frame: NDArray[np.generic], period_px: float, width: float) -> tuple[FloatFrame, FloatFrame]:
    """What varies slowly in a frame (y, x): the local mean of its lattice, in counts, and where lattice is.

    `width` is that of the Gaussian which takes the mean, in periods. The second is (y, x), 1 where the
    frame varies as a lattice does, 0 in vacuum.
    """
    image = np.asarray(frame, np.float32)
    lattice = _lattice_mask(image, period_px)
    sigma = width * period_px
    mean = _mean_over(image, lattice, sigma)
    # A mean flattens hills and valleys; what it took off them is found in what is left
    # ("twicing": Tukey, Exploratory Data Analysis, 1977).
    return mean + _mean_over(image - mean, lattice, sigma), lattice


def _lattice_mask(image: FloatFrame, period_px: float) -> FloatFrame:
    """1 where the image (y, x) varies as a lattice does, 0 where it is flat and near to that.

    Near: the step at a hole's rim varies too, so what is flat is widened by as much as it hides.
    """
    sigma = CELL_IN_PERIODS * period_px
    variation = np.sqrt(np.maximum(gaussian((image - gaussian(image, sigma)) ** 2, sigma), 0))
    flat = variation < FLAT_SHARE * np.median(variation)
    if flat.any():
        flat = np.asarray(ndimage.distance_transform_edt(~flat)) <= 2 * sigma
    return np.asarray(~flat, np.float32)


def _mean_over(image: FloatFrame, mask: FloatFrame, sigma: float) -> FloatFrame:
    """Gaussian mean of an image (y, x) over a mask, from as far as it takes where the mask is empty.

    Normalised convolution: Knutsson and Westin, CVPR 1993.
    """
    if mask.all():
        return gaussian(image, sigma)
    weight, total = gaussian(mask, sigma), gaussian(image * mask, sigma)
    enough = weight > ENOUGH
    mean = np.asarray(total / np.maximum(weight, ENOUGH), np.float32)
    if enough.all() or sigma > max(image.shape):
        return mean
    return np.asarray(np.where(enough, mean, _mean_over(image, mask, 2 * sigma)), np.float32)
