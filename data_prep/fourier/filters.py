"""The Fourier method, step by step: what is left of a frame when its lattice is filtered out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from data_prep.fourier.lattice import Lattice, find_lattice
from data_prep.normalise import background
from data_prep.smoothing import gaussian, low_pass

FloatFrame = NDArray[np.float32]
Reference = Literal["lattice", "lowpass"]

BACKGROUND_WIDTH = 2.75  # of the mean that is contamination, in periods
# The cut-off of the low-pass beside the radius of the first Bragg ring, and how steep it is.
CUTOFF, ORDER = 0.8, 8
# Radius of the mask around each Bragg peak beside that of the first ring: the ideal lattice is the
# mean over some 1 / (2 pi MASK_RADIUS) periods.
MASK_RADIUS = 0.15
COLUMN_WIDTH = 0.17  # Gaussian width of an atom column, in periods: the residual is smoothed by it
ENOUGH = 0.1  # least share of lattice around a pixel that tells what it should be
KINDS = 6  # of brightness and of slope, by which places of a cell are told apart
SAMPLE, FEWEST = 5000, 50  # pixels that tell a median well enough, and at all
TINY = 1e-12
SCALE_OF_MAD = 1.4826  # median absolute deviation -> standard deviation of a normal distribution


@dataclass(frozen=True)
class FourierSteps:
    """A frame on its way through the filter; all images are (y, x) float32.

    `background`: what varies slowly, contamination above all, in counts; `levelled`: the frame without it;
    `reference`: what a frame without defects would look like, in counts; `residual`: what is left, in
    robust standard deviations.
    """

    lattice: Lattice
    background: FloatFrame
    levelled: FloatFrame
    reference: FloatFrame
    residual: FloatFrame


def filter_frame(
    frame: NDArray[np.generic], reference: Reference = "lattice", lattice: Lattice | None = None
) -> FourierSteps:
    """Filter the lattice out of a frame (y, x), in counts.

    Two references: `lattice` subtracts the ideal lattice that the Bragg peaks make up, and smooths by
    the width of a column; `lowpass` keeps what lies inside the first Bragg ring, where a perfect lattice has
    nothing (the published recipe: Maksov et al., npj Computational Materials 5, 12, 2019). All widths follow
    from the lattice, which is fitted to the frame if it is not given. Raises InputError if the
    frame shows none.
    """
    lattice = lattice or find_lattice(frame)
    period = lattice.period_px
    image = np.asarray(frame, np.float32)
    slow, crystal = background(image, period, BACKGROUND_WIDTH)
    levelled = image - slow
    if reference == "lowpass":
        left = low_pass(levelled, CUTOFF / period, ORDER)
        ideal = levelled - left
        return FourierSteps(lattice, slow, levelled, ideal, robust_score(left))
    ideal = bragg_filtered(levelled, lattice, crystal)
    left = gaussian(levelled - ideal, COLUMN_WIDTH * period)
    return FourierSteps(lattice, slow, levelled, ideal, score_by_place(left, ideal, crystal))


def bragg_filtered(levelled: FloatFrame, lattice: Lattice, crystal: FloatFrame) -> FloatFrame:
    """The ideal lattice (y, x) of a levelled frame: what its Bragg peaks alone make up.

    Each peak passes with a Gaussian mask around it. `crystal` (y, x) is 1 where there is lattice; what
    lies outside it, or outside the frame, has no weight (normalised convolution: Knutsson and Westin,
    CVPR 1993), so that the lattice is right up to the edges, and it is 0 where there is none.
    """
    radius = MASK_RADIUS / lattice.period_px
    pad = int(np.ceil(0.7 / radius))  # the mask's image in real space has faded at this distance
    shape = [fft.next_fast_len(length + pad, real=True) for length in levelled.shape]
    y, x = fft.fftfreq(shape[0])[:, None], fft.rfftfreq(shape[1])[None, :]
    mask = np.zeros((shape[0], shape[1] // 2 + 1), np.float32)
    for vector in lattice.reflections @ lattice.basis:
        for place in (vector, -vector):  # the half of the plane that is stored sees some of both
            _add_gaussian(mask, place, radius, y, x)
    passed = fft.irfft2(fft.rfft2(levelled * crystal, s=shape) * mask, s=shape)
    centre = np.zeros_like(mask)
    _add_gaussian(centre, np.zeros(2), radius, y, x)
    weight = fft.irfft2(fft.rfft2(crystal, s=shape) * centre, s=shape)
    part = np.s_[: levelled.shape[0], : levelled.shape[1]]
    return np.asarray(passed[part] / np.maximum(weight[part], ENOUGH) * crystal, np.float32)


def _add_gaussian(
    mask: FloatFrame, place: NDArray[np.float64], radius: float, y: NDArray[np.float64], x: NDArray[np.float64]
) -> None:
    """Raise a mask over half of the frequency plane to a Gaussian around a place (2,), where that is higher."""
    away_y, away_x = (y[:, 0] - place[0] + 0.5) % 1.0 - 0.5, x[0] - place[1]
    rows, columns = np.flatnonzero(np.abs(away_y) < 3 * radius), np.flatnonzero(np.abs(away_x) < 3 * radius)
    bell = np.outer(np.exp(-((away_y[rows] / radius) ** 2)), np.exp(-((away_x[columns] / radius) ** 2)))
    mask[np.ix_(rows, columns)] = np.maximum(mask[np.ix_(rows, columns)], bell)


def robust_score(left: FloatFrame) -> FloatFrame:
    """Deviations (y, x) from the median in robust standard deviations, from the median absolute deviation."""
    centred = left - np.median(left)
    return np.asarray(centred / (_deviation(centred) + TINY), np.float32)


def score_by_place(left: FloatFrame, ideal: FloatFrame, crystal: FloatFrame) -> FloatFrame:
    """As `robust_score`, but places of the cell are compared with their like.

    Shot noise is strong on bright columns and lines of the scan that jump leave most at their flanks. So
    pixels are sorted by the ideal lattice's (y, x) brightness and its slope along x; the scale is the geometric
    mean of the deviation over all pixels and over those of the same kind, and the median that of the kind.
    Where `crystal` (y, x) is 0 there is nothing to compare with but the whole.
    """
    kind = _ranks(ideal) * KINDS + _ranks(np.abs(np.gradient(ideal, axis=1)))
    kind[crystal == 0] = KINDS**2
    order = np.argsort(kind, axis=None, kind="stable")
    ends = np.cumsum(np.bincount(kind.ravel(), minlength=KINDS**2))[: KINDS**2]
    values = left.ravel()[order]
    middle = np.median(left)
    overall = _deviation(left - middle)
    centre, scale = np.full(KINDS**2 + 1, middle, np.float32), np.full(KINDS**2 + 1, overall, np.float32)
    for number, (start, end) in enumerate(zip([0, *ends[:-1]], ends, strict=True)):
        if end - start >= FEWEST:
            some = values[start : end : max(1, (end - start) // SAMPLE)]
            centre[number] = np.median(some)
            scale[number] = np.sqrt(overall * _deviation(some - centre[number]))
    return np.asarray((left - centre[kind]) / (scale[kind] + TINY), np.float32)


def _ranks(image: FloatFrame) -> NDArray[np.int16]:
    """Into which of `KINDS` equal shares of all pixels each pixel (y, x) falls."""
    limits = np.quantile(image[::3, ::3], np.linspace(0, 1, KINDS + 1)[1:-1])
    return np.searchsorted(limits, image).astype(np.int16)


def _deviation(centred: FloatFrame) -> float:
    """Robust standard deviation of values around 0."""
    return SCALE_OF_MAD * float(np.median(np.abs(centred)))
