"""The unit cell of a frame: all its cells laid over one another, the columns in it, its symmetry."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.optimize import minimize_scalar

from analysis.columns.phase import FloatArray, PhaseField, phase_field
from data_prep.fourier.lattice import Lattice

BINS = 24  # of the folded cell along each of its sides
CLEAN = 0.5  # beside the median amplitude: what is folded shows the lattice
LEAST_HEIGHT = 0.12  # of a column above the darkest place, beside the brightest column
APART = 0.3  # columns are further apart than this share of the shorter side of the cell
SAME_LENGTH = 0.08  # by how much squares of lengths that symmetry makes equal may differ
WIDTHS = (0.08, 0.3)  # of a column, in lattice periods
ALIKE = 0.7  # correlation of a cell with its image under an operation of its symmetry: scan distortion takes some


@dataclass(frozen=True)
class UnitCell:
    """What all cells of a frame have in common.

    `image` (BINS, BINS): mean of the levelled frame over the cell, along its two sides; `columns` (k, 2): cell
    coordinates of its columns, the brightest first; `symmetry` (m, 2, 2): operations on cell coordinates that leave
    the surroundings of each column as they are, the identity first. The columns are taken for Gaussians of `width_px`
    that stand on `floor`.
    """

    lattice: Lattice
    image: FloatArray
    columns: FloatArray
    symmetry: FloatArray
    floor: float
    width_px: float

    def sublattice_names(self) -> tuple[str, ...]:
        """A, B, ...: the brightest first."""
        return tuple("ABCDEFGHIJKLMNOPQRSTUVWXYZ"[: len(self.columns)])

    def amplitude(self) -> float:
        """Of the weaker of the two basis reflections, as in `PhaseField`, where a frame is as its cell."""
        cells = (np.mgrid[:BINS, :BINS] + 0.5) / BINS
        return float(np.abs((self.image * np.exp(-2j * np.pi * cells)).mean(axis=(1, 2))).min())

    def turns(self) -> FloatArray:
        """The symmetry as operations (m, 2, 2) on displacements in px: u becomes u @ turn."""
        vectors = self.lattice.vectors
        return np.stack([np.linalg.inv(vectors) @ operation.T @ vectors for operation in self.symmetry])


def fitted_cell(levelled: NDArray[np.float32], lattice: Lattice) -> UnitCell:
    """Fold a levelled frame (y, x) into one cell of its lattice and find the columns in it.

    The lattice may be bent, see `analysis.columns.phase`. A column is a peak of the cell.
    """
    field = phase_field(levelled, lattice)
    image = _folded(levelled, field)
    columns = _peaks(image, lattice)
    floor, width = _profile(image, columns, lattice)
    return UnitCell(lattice, image, columns, _symmetry(image, columns, lattice), floor, width)


def _folded(levelled: NDArray[np.float32], field: PhaseField) -> FloatArray:
    """Mean over all cells (BINS, BINS) of what shows the lattice."""
    first, second = field.grid((levelled.shape[0], levelled.shape[1]))
    bins = (np.floor((first % 1.0) * BINS).astype(np.int32) % BINS) * BINS
    bins += np.floor((second % 1.0) * BINS).astype(np.int32) % BINS
    zoom = (levelled.shape[0] / len(field.rows), levelled.shape[1] / len(field.columns))
    rows, columns = (np.minimum((np.arange(n) / z).astype(int), m - 1) for n, z, m in zip(
        levelled.shape, zoom, field.amplitude.shape, strict=True))  # fmt: skip
    clean = (field.amplitude >= CLEAN * np.median(field.amplitude))[np.ix_(rows, columns)]
    count = np.bincount(bins[clean], minlength=BINS**2)
    total = np.bincount(bins[clean], levelled[clean], minlength=BINS**2)
    # Where a frame is so small that a place of the cell was never met, its neighbours tell.
    total, count = (
        ndimage.gaussian_filter(part.reshape(BINS, BINS).astype(float), 0.7, mode="wrap") for part in (total, count)
    )
    return np.asarray(total / np.maximum(count, 1e-9))


def _peaks(image: FloatArray, lattice: Lattice) -> FloatArray:
    """Cell coordinates (k, 2) of the columns in a folded cell, the brightest first."""
    steps = np.array(list(product((-1, 0, 1), repeat=2)))
    i, j = np.mgrid[:BINS, :BINS]
    around = image[(i[..., None] + steps[:, 0]) % BINS, (j[..., None] + steps[:, 1]) % BINS].max(axis=-1)
    low, high = image.min(), image.max()
    peaks = np.argwhere((image >= around) & (image > low + LEAST_HEIGHT * (high - low)))
    apart = APART * np.linalg.norm(lattice.vectors, axis=1).min()
    columns: list[FloatArray] = []
    for peak in peaks[np.argsort(-image[tuple(peaks.T)])]:
        place = _refined(image, peak) / BINS
        if all(_distance(place - other, lattice) > apart for other in columns):
            columns.append(place)
    return np.array(columns)


def _distance(step: FloatArray, lattice: Lattice) -> float:
    """Length in px of the shortest of the steps (2,), in cell coordinates, that differ by whole cells."""
    cells = np.array(list(product((-1, 0, 1), repeat=2)))
    return float(np.linalg.norm((step - np.round(step) + cells) @ lattice.vectors, axis=1).min())


def _refined(image: FloatArray, peak: NDArray[np.int64]) -> FloatArray:
    """The top (2,) of the paraboloid through a peak and its eight neighbours, from the centre of the first bin."""
    steps = np.array(list(product((-1, 0, 1), repeat=2)))
    values = image[tuple(((peak + steps) % BINS).T)]
    y, x = steps.T
    terms = np.stack([np.ones(9), y, x, y * y, y * x, x * x], axis=1)
    _, b, c, d, e, f = np.linalg.lstsq(terms, values, rcond=None)[0]
    top = np.linalg.solve([[2 * d, e], [e, 2 * f]], [-b, -c])
    return np.asarray(peak + np.clip(top, -1, 1) + 0.5)


def _profile(image: FloatArray, columns: FloatArray, lattice: Lattice) -> tuple[float, float]:
    """The floor and the Gaussian width in px of the columns that make up a folded cell, by least squares."""
    places = (np.moveaxis(np.mgrid[:BINS, :BINS], 0, -1).reshape(-1, 1, 2) + 0.5) / BINS
    cells = np.array(list(product(range(-3, 4), repeat=2)))
    squared = [(((places - column + cells) @ lattice.vectors) ** 2).sum(axis=-1) for column in columns]

    def fit(width: float) -> tuple[FloatArray, float]:
        gaussians = [np.exp(-distances / (2 * width**2)).sum(axis=1) for distances in squared]
        terms = np.stack([np.ones(BINS**2), *gaussians], axis=1)
        heights, *_ = np.linalg.lstsq(terms, image.ravel(), rcond=None)
        return heights, float(((terms @ heights - image.ravel()) ** 2).sum())

    limits = (WIDTHS[0] * lattice.period_px, WIDTHS[1] * lattice.period_px)
    width = float(minimize_scalar(lambda w: fit(w)[1], bounds=limits, method="bounded").x)
    return float(fit(width)[0][0]), width


def _symmetry(image: FloatArray, columns: FloatArray, lattice: Lattice) -> FloatArray:
    """Turns and mirrors (m, 2, 2) about the columns that map lattice and cell onto themselves, the identity first."""
    gram = lattice.vectors @ lattice.vectors.T
    scale = np.sqrt(np.outer(np.diag(gram), np.diag(gram)))
    identity = np.eye(2)
    found = [identity]
    for entries in product((-1.0, 0.0, 1.0), repeat=4):
        operation = np.array(entries).reshape(2, 2)
        if abs(abs(np.linalg.det(operation)) - 1) > 0.5 or (operation == identity).all():
            continue
        # Cell coordinates c become operation @ c, so the vectors v become operation.T @ v.
        mapped = operation.T @ gram @ operation
        if (np.abs(mapped - gram) <= SAME_LENGTH * scale).all() and all(
            _alike(image, operation, centre) for centre in columns
        ):
            found.append(operation)
    return np.array(found)


def _alike(image: FloatArray, operation: FloatArray, centre: FloatArray) -> bool:
    places = (np.moveaxis(np.mgrid[:BINS, :BINS], 0, -1).reshape(-1, 2) + 0.5) / BINS - centre
    turned = ((places @ operation.T + centre) % 1.0) * BINS - 0.5
    seen = ndimage.map_coordinates(image, turned.T, order=3, mode="grid-wrap")
    return bool(np.corrcoef(seen, image.ravel())[0, 1] >= ALIKE)
