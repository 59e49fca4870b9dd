"""A movie and the truth about it, frame by frame."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from data_prep.errors import InputError
from data_prep.files import whole_file
from data_prep.simulate.crystal import Crystal, grow, open_holes
from data_prep.simulate.events import age
from data_prep.simulate.image import Scan, blurred_profile, contamination, draw
from data_prep.simulate.settings import DOPANT, HOLE, METAL, MovieSettings

FloatArray = NDArray[np.float64]
Row = dict[str, object]

DEFECT_COLUMNS = ("frame", "y_px", "x_px", "site", "object", "species", "identity", "state")
ALL_COLUMNS = ("frame", "y_px", "x_px", "site", "species", "identity")
MOST_COUNTS = np.iinfo(np.uint16).max


def simulate_movie(
    movie_path: Path, truth_path: Path, settings: MovieSettings, columns_path: Path | None = None
) -> None:
    """Write a movie (uint16 ImageJ TIFF with its scale) and its exact truth (CSV).

    The truth has a row per defect column in view and frame: `DEFECT_COLUMNS`; `columns_path` gets one for every
    column in view: `ALL_COLUMNS`. See docs/simulation.md for what they hold. Positions carry drift and scan
    distortion, as the image does. Raises InputError if the counts exceed what uint16 holds.
    """
    import tifffile

    rng = np.random.default_rng(settings.seed)
    path_of_drift = np.cumsum(rng.normal(0, settings.drift_px, (settings.frames + 1, 2)), axis=0)
    path_of_drift -= path_of_drift[0]
    margin = 3 * settings.constant_px + np.abs(path_of_drift).max()
    crystal = grow(settings, float(margin), rng)
    peak = float(blurred_profile(settings.species[METAL], settings.source_size_nm)[0])
    background = contamination(settings, peak, rng)
    movie = np.empty((settings.frames, *settings.size_px), np.uint16)
    defects: list[Row] = []
    columns: list[Row] = []
    for frame in range(settings.frames):
        if frame:
            age(crystal, settings, rng)
        open_holes(crystal, frame, settings)
        scan = Scan(path_of_drift[frame], np.diff(path_of_drift, axis=0)[frame], _jitter(settings, rng))
        movie[frame] = _counts(_expected(crystal, scan, background[frame], peak, settings), settings, rng)
        seen, states = scan.seen_at(crystal.positions), crystal.bound_states()
        listed = _in_view(seen, settings) & ((crystal.site >= DOPANT) | (columns_path is not None))
        for index in np.flatnonzero(listed).tolist():
            row = _row(crystal, index, frame, seen[index], settings)
            if columns_path:
                columns.append(row)
            if crystal.site[index] >= DOPANT:
                defects.append(_defect(crystal, index, row, states[index]))
    _write_table(truth_path, DEFECT_COLUMNS, defects)
    if columns_path:
        _write_table(columns_path, ALL_COLUMNS, columns)
    with whole_file(movie_path) as path:
        tifffile.imwrite(
            path,
            movie,
            imagej=True,
            resolution=(1.0 / settings.pixel_size_nm, 1.0 / settings.pixel_size_nm),
            metadata={"axes": "TYX", "unit": "nm", "finterval": settings.frame_interval_s},
        )


def _jitter(settings: MovieSettings, rng: np.random.Generator) -> FloatArray:
    """By how much scan lines (rows,) are displaced along x: neighbouring lines alike."""
    jitter = ndimage.gaussian_filter1d(rng.normal(0, 1, settings.size_px[0]), 1.0)
    return np.asarray(jitter * settings.jitter_px / max(jitter.std(), 1e-12))


def _expected(crystal: Crystal, scan: Scan, background: FloatArray, peak: float, settings: MovieSettings) -> FloatArray:
    """Image (y, x) without noise, in shares of the beam."""
    image = np.zeros(settings.size_px)
    for site, species in enumerate(settings.species):
        if species != "none":
            image += draw(crystal.positions[crystal.site == site], species, scan, settings)
    # Where the crystal is gone, so is the dirt on it.
    hole = draw(crystal.positions[crystal.site == HOLE], settings.species[METAL], scan, settings) / peak
    vacuum = np.clip(6.0 * ndimage.gaussian_filter(hole, 0.1 / settings.pixel_size_nm), 0.0, 1.0)
    return np.asarray(image + background * (1.0 - vacuum))


def _counts(expected: FloatArray, settings: MovieSettings, rng: np.random.Generator) -> NDArray[np.int64]:
    """Electrons counted (y, x)."""
    counts = rng.poisson(expected * settings.dose)
    if counts.max() > MOST_COUNTS:
        raise InputError(
            f"dose = {settings.dose:g} gives {counts.max()} counts in a pixel, more than the {MOST_COUNTS} "
            "that a 16-bit movie holds; give a lower dose"
        )
    return counts


def _in_view(seen: FloatArray, settings: MovieSettings) -> NDArray[np.bool_]:
    return np.asarray(((seen >= 0) & (seen <= np.array(settings.size_px) - 1)).all(axis=1))


def _row(crystal: Crystal, index: int, frame: int, at: FloatArray, settings: MovieSettings) -> Row:
    site = crystal.site[index]
    return {
        "frame": frame,
        "y_px": f"{at[0]:.4f}",
        "x_px": f"{at[1]:.4f}",
        "site": settings.sites[site],
        "species": settings.species[site],
        "identity": f"column{index}",
    }


def _defect(crystal: Crystal, index: int, row: Row, state: int) -> Row:
    """The row of a column that is a defect; those of one hole share its name as their object."""
    number = crystal.identity[index]
    return row | {
        "object": f"hole{number}" if crystal.site[index] == HOLE else row["identity"],
        "identity": int(number),
        "state": int(state) if state >= 0 else "",
    }


def _write_table(path: Path, names: tuple[str, ...], rows: list[Row]) -> None:
    with whole_file(path) as unfinished, unfinished.open("w", newline="") as out:
        writer = csv.DictWriter(out, names)
        writer.writeheader()
        writer.writerows(rows)
