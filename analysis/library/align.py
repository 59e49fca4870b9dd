"""Turn pictures of defects by the symmetry of their lattice, so that alike ones lie alike."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from analysis.library.cutouts import PER_PERIOD, SIDE

FloatArray = NDArray[np.float64]
CORE = 0.4  # in lattice periods: how far the defect's own column reaches, whose shape does not tell a direction
# Where the heavier side comes to lie: off all axes, so that of mirror images one is nearer.
TOWARDS = np.array([np.sin(0.2), np.cos(0.2)])
NOISE_QUANTILE = 0.95  # of perfect columns lie within what is taken for no direction


@dataclass(frozen=True)
class Alignment:
    """How pictures of one sublattice are turned.

    `operations` (m, 2, 2): the lattice's symmetry on steps (down, across), the identity first; `perfect` (side, side):
    the mean picture of a perfect column; `noise`: length of the moment of a picture that has no direction.
    """

    operations: FloatArray
    perfect: NDArray[np.float32]
    noise: float

    def align(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """Turn each picture (n, side, side) so that what it has more than a perfect one points the same way.

        The direction is that of the first moment around the defect's column; pictures without one stay as they are.
        """
        moments = _moments(images - self.perfect)
        turned = np.einsum("mij,ni->nmj", self.operations, moments)  # a step s becomes s @ operation
        chosen = np.where(np.linalg.norm(moments, axis=1) > self.noise, (turned @ TOWARDS).argmax(axis=1), 0)
        out = images.copy()
        for number in np.unique(chosen[chosen > 0]):
            out[chosen == number] = _turned(images[chosen == number], self.operations[number])
        return out


def fit_alignment(operations: FloatArray, references: NDArray[np.float32]) -> Alignment:
    """An alignment for pictures of the sublattice of these perfect ones (n, side, side)."""
    if not len(references):
        return Alignment(operations[:1], np.zeros((SIDE, SIDE), np.float32), np.inf)
    perfect = references.mean(axis=0)
    lengths = np.linalg.norm(_moments(references - perfect), axis=1)
    return Alignment(operations, perfect, float(np.quantile(lengths, NOISE_QUANTILE)))


def _moments(difference: NDArray[np.float32]) -> FloatArray:
    """First moments (n, 2), down and across, of pictures (n, side, side) around their core."""
    steps = np.moveaxis(np.mgrid[:SIDE, :SIDE], 0, -1) - (SIDE - 1) / 2
    away = np.linalg.norm(steps, axis=-1)
    weight = steps * ((away > CORE * PER_PERIOD) & (away <= (SIDE - 1) / 2))[..., None]
    return np.asarray(np.einsum("nij,ijk->nk", difference, weight))


def _turned(images: NDArray[np.float32], operation: FloatArray) -> NDArray[np.float32]:
    """Pictures (n, side, side) in which what was at a step s is at s @ operation."""
    steps = np.moveaxis(np.mgrid[:SIDE, :SIDE], 0, -1) - (SIDE - 1) / 2
    places = np.moveaxis(steps @ np.linalg.inv(operation) + (SIDE - 1) / 2, -1, 0)
    return np.stack([ndimage.map_coordinates(image, places, order=1, mode="nearest") for image in images])
