"""What defects are compared by: the intensity of their column, and where it looks unlike a perfect one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.deviation import robust_deviation
from analysis.library.cutouts import ALONE_SIDE, PER_PERIOD

FloatArray = NDArray[np.float64]
WINDOW = 0.35  # Gaussian width in lattice periods of what is looked at around a defect's centre
MOST_PARTS = 4  # principal components
EXCESS = 1.5  # a component counts if defects vary so much more along it than perfect columns do
LEAST_NOISE, USUAL_NOISE = 0.01, 0.1  # of a ratio; a simulated frame has none, the other is for want of perfect columns


@dataclass(frozen=True)
class Features:
    """How pictures become points whose coordinates are in standard deviations of the noise.

    `perfect` (side, side): mean picture of a perfect column; `parts` (k, side * side): principal components of what
    defects have beyond it, `noise` (k + 1,): standard deviation of ratio and components among perfect columns.
    """

    perfect: NDArray[np.float32]
    parts: FloatArray
    noise: FloatArray

    def points(self, images: NDArray[np.float32], ratios: FloatArray) -> FloatArray:
        """Points (n, k + 1) of pictures (n, side, side) and intensity ratios (n,), which may be NaN."""
        seen = windowed(images - self.perfect)
        return np.concatenate([np.nan_to_num(ratios)[:, None], seen @ self.parts.T], axis=1) / self.noise


def fit_features(
    images: NDArray[np.float32], references: NDArray[np.float32], reference_ratios: FloatArray
) -> Features:
    """Features for pictures (n, side, side) of defects standing alone, on one sublattice, and of perfect columns.

    Components in which defects vary no more than perfect columns are noise, and left out. Where there are no perfect
    columns to compare with, the least component tells the noise.
    """
    perfect = references.mean(axis=0) if len(references) else images.mean(axis=0)
    least = max(LEAST_NOISE * float(np.linalg.norm(windowed(perfect[None]))), 1e-9)
    parts, spread = _components(windowed(images - perfect))
    if len(references) > 1:
        noise = robust_deviation(windowed(references - perfect) @ parts.T)
        ratio_noise = max(float(robust_deviation(reference_ratios[:, None])[0]), LEAST_NOISE)
    else:  # of pictures fewer than components, the last has no spread, and the first tells no less of noise
        noise = np.full(len(parts), spread[-1 if len(images) > len(parts) else 0] if len(parts) else 0.0)
        ratio_noise = USUAL_NOISE
    noise = np.maximum(noise, least)
    kept = np.flatnonzero((spread > EXCESS * noise)[:MOST_PARTS])
    return Features(np.asarray(perfect, np.float32), parts[kept], np.concatenate([[ratio_noise], noise[kept]]))


def _components(seen: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Principal components (k, pixels) of pictures (n, pixels), and the standard deviation (k,) along each."""
    from sklearn.decomposition import PCA

    if len(seen) < 2:
        return np.zeros((0, seen.shape[1])), np.zeros(0)
    count = min(MOST_PARTS + 1, len(seen), seen.shape[1])
    pca = PCA(count, svd_solver="covariance_eigh" if len(seen) > ALONE_SIDE**2 else "full").fit(seen)
    return np.asarray(pca.components_, float), np.sqrt(np.maximum(pca.explained_variance_, 0))


def windowed(difference: NDArray[np.float32]) -> FloatArray:
    """Differences (n, side * side), weighted by a window around the centre."""
    down, across = np.mgrid[:ALONE_SIDE, :ALONE_SIDE] - (ALONE_SIDE - 1) / 2
    window = np.exp(-(down**2 + across**2) / (2 * (WINDOW * PER_PERIOD) ** 2))
    return np.asarray((difference * window).reshape(len(difference), ALONE_SIDE**2), float)
