"""Lattices drawn as sums of Gaussians: where every column is, how bright and how far off, is known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from analysis.columns import Columns

FloatArray = NDArray[np.float64]
WIDTH = 1.9
SIDE = 12.0
ORIGIN = (3.3, 5.7)

HEXAGONAL = ((SIDE, 0.0), (SIDE / 2, SIDE * np.sqrt(3) / 2))
SQUARE = ((SIDE, 0.0), (0.0, SIDE))
OBLIQUE = ((SIDE, 1.0), (4.0, 1.3 * SIDE))
RECTANGULAR = ((SIDE, 0.0), (0.0, 1.4 * SIDE))
ONE = ((0.0, 0.0, 1.0),)
TWO = (*ONE, (1 / 3, 1 / 3, 0.5))

# Vectors, columns (cell coordinates and height), and the order of the point group about the columns, as the
# International Tables for Crystallography have it: 4mm, 6mm, 3m, 2, 1, 2mm, m.
LATTICES = {
    "square": (SQUARE, ONE, 8),
    "square, two columns": (SQUARE, (*ONE, (0.5, 0.5, 0.5)), 8),
    "hexagonal": (HEXAGONAL, ONE, 12),
    "hexagonal, two columns": (HEXAGONAL, TWO, 6),
    "graphene": (HEXAGONAL, (*ONE, (1 / 3, 1 / 3, 1.0)), 6),
    "oblique": (OBLIQUE, ONE, 2),
    "oblique, two columns": (OBLIQUE, (*ONE, (0.4, 0.5, 0.6)), 1),
    "rectangular": (RECTANGULAR, ONE, 4),
    "rectangular, two columns": (RECTANGULAR, (*ONE, (0.5, 0.4, 0.6)), 2),
}


@dataclass(frozen=True)
class Drawn:
    """A frame (y, x) and its columns: `places` (n, 2) of the lattice, `sublattice` (n,), `ratio` (n,), `off` (n, 2)."""

    frame: FloatArray
    places: FloatArray
    sublattice: NDArray[np.int64]
    ratio: FloatArray
    off: FloatArray

    def of(self, columns: Columns) -> tuple[NDArray[np.int64], FloatArray]:
        """Which of the drawn columns (n,) each measured one is, and how far (n,) from its place."""
        distance, number = cKDTree(self.places).query(columns.positions)
        return np.asarray(number), np.asarray(distance)

    def inner(self, columns: Columns, margin_px: float) -> NDArray[np.bool_]:
        """The measured columns (n,) that are this far from the edges."""
        last = np.array(self.frame.shape) - 1
        return np.asarray(np.minimum(columns.positions, last - columns.positions).min(axis=1) >= margin_px)


def drawn(
    vectors,
    columns,
    shape=(150, 220),
    *,
    turn: float = 0.0,
    bend: Callable[[FloatArray], FloatArray] = np.zeros_like,
    ratio: Callable[[FloatArray, NDArray[np.int64]], FloatArray] = lambda places, _: np.ones(len(places)),
    off: Callable[[FloatArray, NDArray[np.int64]], FloatArray] = lambda places, _: np.zeros_like(places),
    gradient: float = 0.0,
) -> Drawn:
    """Draw a lattice turned by `turn` rad, with functions of the columns' places for what is not perfect."""
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    steps = np.arange(-60, 61)
    cells = np.stack(np.meshgrid(steps, steps, indexing="ij"), -1).reshape(-1, 2)
    straight = np.concatenate([(cells + column[:2]) @ np.array(vectors) @ rotation + ORIGIN for column in columns])
    sublattice = np.repeat(np.arange(len(columns)), len(cells))
    near = ((straight > -40) & (straight < np.array(shape) + 40)).all(axis=1)
    sublattice = sublattice[near]
    places = straight[near] + bend(straight[near])
    ratios, offs = ratio(places, sublattice), off(places, sublattice)
    heights = np.array([column[2] for column in columns])[sublattice] * ratios
    frame = (100 + 1000 * bells(places + offs, heights, shape)) * (1 + gradient * np.linspace(-1, 1, shape[1]))
    return Drawn(frame, places, sublattice, ratios, offs)


def bells(positions: FloatArray, heights: FloatArray, shape: tuple[int, int], width: float = WIDTH) -> FloatArray:
    """The sum (y, x) of Gaussians of these heights (n,) at these positions (n, 2)."""
    down, across = (
        np.exp(-((np.arange(length)[:, None] - positions[:, axis]) ** 2) / (2 * width**2))
        for axis, length in enumerate(shape)
    )
    return np.asarray((down * heights) @ across.T)
