"""The Fourier method: what is left of a frame when its lattice is filtered out is the defects."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from data_prep.errors import InputError
from data_prep.normalise import local_contrast

FloatFrame = NDArray[np.float32]

# The cut-off of the low-pass beside the radius of the first Bragg ring.
CUTOFF = 0.8
# A Bragg peak stands this many times above the median power at its radius. Noise alone has an
# exponential distribution, whose maximum over a ring of 1,000 pixels is about 10 medians.
BRAGG_CONTRAST = 40.0
PERIOD_RANGE_PX = (3.0, 80.0)
SCALE_OF_MAD = 1.4826  # median absolute deviation -> standard deviation of a normal distribution


@dataclass(frozen=True)
class FourierFilter:
    """The filter's settings: lattice period in px, thresholds in robust standard deviations.

    `darker` and `brighter` are separate, as a symmetric threshold hides vacancies beside
    bright adatoms; None means that side is not looked at.
    """

    period_px: float
    darker: float | None
    brighter: float | None


def lattice_period(frame: NDArray[np.generic]) -> float:
    """Spacing in px of the lattice planes that make the first Bragg ring of a frame (y, x).

    Raises InputError if the frame shows no lattice.
    """
    height, width = frame.shape
    image = np.asarray(frame, np.float64)
    image = image - ndimage.gaussian_filter(image, min(height, width) / 16)
    window = np.hanning(height)[:, None] * np.hanning(width)[None, :]  # no cross from the edges
    power = np.abs(np.fft.rfft2(image * window)) ** 2
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None, :])
    size = min(height, width)
    ring = np.round(frequency * size).astype(int).ravel()
    count = np.bincount(ring)
    order = np.argsort(ring, kind="stable")
    rings = np.split(power.ravel()[order], np.cumsum(count)[:-1])
    lowest, highest = max(4, int(size / PERIOD_RANGE_PX[1])), int(size / PERIOD_RANGE_PX[0])
    contrast = np.zeros(highest + 1)
    for radius in range(lowest, highest + 1):
        # The median over neighbours: on the ring itself a peak may cover much of a small circle.
        contrast[radius] = rings[radius].max() / np.median(np.concatenate(rings[radius - 2 : radius + 3]))
    # Higher orders may be as bright as the first, the skirt of contamination never is.
    peaks = np.flatnonzero(contrast >= max(BRAGG_CONTRAST, 0.1 * contrast.max(initial=0.0)))
    if len(peaks) == 0:
        raise InputError("shows no lattice, its spectrum has no Bragg peaks; label a frame that does (labels.frame)")
    near = np.abs(frequency * size - peaks[0] - 1.0) <= 2.5
    bright = near & (power > 0.1 * power[near].max())
    return float(1.0 / np.average(frequency[bright], weights=power[bright]))


def residual(frame: NDArray[np.generic], period_px: float) -> FloatFrame:
    """What the low-pass inside the first Bragg ring leaves, in robust standard deviations (y, x).

    The published recipe: the lattice is all at and beyond the first ring, so a smooth low-pass
    inside it shows only the departures. Background and contrast are levelled first.
    """
    image = local_contrast(frame, period_px)
    height, width = image.shape
    pad = int(2 * period_px)
    padded = np.pad(image, pad, mode="reflect")
    frequency = np.hypot(np.fft.fftfreq(padded.shape[0])[:, None], np.fft.rfftfreq(padded.shape[1])[None, :])
    passed = np.exp(-((frequency * period_px / CUTOFF) ** 8))
    smooth = np.fft.irfft2(np.fft.rfft2(padded) * passed, s=padded.shape)[pad : pad + height, pad : pad + width]
    centred = smooth - np.median(smooth)
    return np.asarray(centred / (SCALE_OF_MAD * np.median(np.abs(centred)) + 1e-12), np.float32)


def departures(left: NDArray[np.float32], settings: FourierFilter) -> FloatFrame:
    """How far each pixel (y, x) of a residual lies beyond its threshold: above 1 is a defect."""
    beyond = np.zeros_like(left)
    if settings.darker is not None:
        beyond = np.maximum(beyond, -left / settings.darker)
    if settings.brighter is not None:
        beyond = np.maximum(beyond, left / settings.brighter)
    return beyond
