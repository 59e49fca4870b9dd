"""Images of a crystal: the sum of its columns' images, as the scanning beam meets them."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from data_prep.simulate.settings import MovieSettings

FloatArray = NDArray[np.float64]

TABLE = Path(__file__).with_name("column_images.csv")
FINE_NM = 0.0005  # profiles are looked up in steps of this
FWHM = 2.3548  # the full width at half maximum of a Gaussian of standard deviation 1
AT_ONCE = 400  # columns drawn at once: their patches stay in the processor's cache


@cache
def column_profiles() -> dict[str, FloatArray]:
    """Share of the beam that reaches the detector at each radius (m,) from a column, by what is in it.

    `radius_nm` (m,) is among them. From the table that `data_prep.simulate.columns` makes.
    """
    with TABLE.open(newline="") as lines:
        rows = list(csv.DictReader(line for line in lines if not line.startswith("#")))
    return {name: np.array([float(row[name]) for row in rows]) for name in rows[0]}


@cache
def blurred_profile(species: str, source_size_nm: float) -> FloatArray:
    """The profile of a column in steps of `FINE_NM`, blurred by a Gaussian source; the last value is 0."""
    table = column_profiles()
    radius = table["radius_nm"]
    step = radius[1]
    axis = step * np.arange(-len(radius) + 1, len(radius))
    image = np.interp(np.hypot(axis[:, None], axis), radius, table[species])
    image = ndimage.gaussian_filter(image, source_size_nm / FWHM / step)
    fine = np.interp(np.arange(0, radius[-1], FINE_NM), radius, image[len(radius) - 1, len(radius) - 1 :])
    return np.append(fine, 0.0)


@dataclass(frozen=True)
class Scan:
    """How one frame was scanned, in px.

    `start` (2,) is the sample's displacement when the first line is taken, `drift` (2,) how far it goes from there
    until the last, `jitter` (rows,) by how much each line is displaced along x.
    """

    start: FloatArray
    drift: FloatArray
    jitter: FloatArray

    def displacement(self, rows: FloatArray) -> FloatArray:
        """By how much (n, 2) the sample appears displaced in these rows (n,)."""
        moved = self.start + self.drift * (rows / len(self.jitter))[:, None]
        moved[:, 1] += np.interp(rows, np.arange(len(self.jitter)), self.jitter)
        return np.asarray(moved)

    def seen_at(self, positions: FloatArray) -> FloatArray:
        """Where columns (n, 2) appear in the frame: in the row where the beam meets them."""
        rows = (positions[:, 0] + self.start[0]) / (1 - self.drift[0] / len(self.jitter))
        return np.stack([rows, positions[:, 1] + self.displacement(rows)[:, 1]], axis=1)


def draw(positions: FloatArray, species: str, scan: Scan, settings: MovieSettings) -> FloatArray:
    """Image (y, x) of columns at these positions (n, 2), in shares of the beam.

    Each pixel is the column's profile at the distance of the beam from the column, when the beam was there.
    """
    profile = blurred_profile(species, settings.source_size_nm)
    per_px = settings.pixel_size_nm / FINE_NM
    half = int(np.ceil(len(profile) / per_px))
    height, width = settings.size_px
    nearest = np.round(scan.seen_at(positions)).astype(int)
    seen = ((nearest >= -half) & (nearest < np.array(settings.size_px) + half)).all(axis=1)
    offset = np.arange(-half, half + 1)
    image = np.zeros((height + 4 * half, width + 4 * half))
    displaced = scan.displacement(np.arange(-2 * half, height + 2 * half).astype(float))
    for first in range(0, int(seen.sum()), AT_ONCE):
        here = np.flatnonzero(seen)[first : first + AT_ONCE]
        rows, columns = (nearest[here, axis, None] + offset + 2 * half for axis in (0, 1))
        away_y = rows - 2 * half - displaced[rows, 0] - positions[here, 0, None]
        shift_x = displaced[rows, 1] + positions[here, 1, None]
        away_x = (columns - 2 * half)[:, None, :] - shift_x[:, :, None]
        radius = np.sqrt(away_y[:, :, None] ** 2 + away_x**2) * per_px
        value = profile[np.minimum((radius + 0.5).astype(np.int32), len(profile) - 1)]
        np.add.at(image, (rows[:, :, None], columns[:, None, :]), value)
    return image[2 * half : -2 * half, 2 * half : -2 * half]


def contamination(settings: MovieSettings, peak: float, rng: np.random.Generator) -> FloatArray:
    """Background (frame, y, x) in the units of `peak`: patches as wide as a fifth of the frame that build up slowly."""
    height, width = settings.size_px
    noise = ndimage.gaussian_filter(rng.normal(size=(height, width)), 0.18 * max(height, width), mode="wrap")
    noise = (noise - noise.min()) / max(np.ptp(noise), 1e-12)
    growth = np.linspace(0.4, 1.0, settings.frames) * settings.contamination
    return np.asarray(peak * growth[:, None, None] * (0.1 + noise[None]))
