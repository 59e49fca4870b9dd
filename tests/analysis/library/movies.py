"""Simulated movies, and what a perfect network would have found in them: where every defect is and what, is known."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import tifffile

from analysis.columns import UnitCell, fitted_cell
from analysis.detections import Detections
from analysis.results import FrameResult, MovieFacts
from analysis.views import columns_seen, look
from data_prep.fourier.lattice import find_lattice
from data_prep.normalise import local_contrast
from data_prep.objects import Objects, region_around
from data_prep.simulate import MovieSettings, simulate_movie

SETTINGS = MovieSettings(
    frames=5,
    size_px=(192, 192),
    field_nm=7.0,
    dose=8000,
    dopant_share=0.06,
    vacancy_share=0.06,
    pair_vacancy_share=0.04,
    binding=0.0,
    holes=0,
    contamination=0.2,
)
CLASSES = SETTINGS.sites[2:]


@dataclass(frozen=True)
class Movie:
    """Frames as a detector gives them, their facts, and `sites` (n,) of the defects of each frame."""

    frames: list[FrameResult]
    facts: MovieFacts
    sites: list[np.ndarray]

    def reader(self):
        return lambda: iter(self.frames)


def simulated(folder: Path, name: str, **changes) -> Movie:
    settings = replace(SETTINGS, **changes)
    movie, truth = folder / f"{name}.tif", folder / f"{name}.csv"
    simulate_movie(movie, truth, settings)
    images, rows = tifffile.imread(movie), pd.read_csv(truth)
    lattice = find_lattice(images[0])
    cell = fitted_cell(local_contrast(images[0], lattice.period_px), lattice)
    frames, sites = [], []
    for number, image in enumerate(images):
        found, site = detections(rows[rows["frame"] == number], image.shape, lattice.period_px)
        frames.append(looked_at(name, number, image, found, cell, lattice.period_px))
        sites.append(site)
    return Movie(frames, MovieFacts(settings.pixel_size_nm, settings.frame_interval_s, cell), sites)


def detections(rows: pd.DataFrame, shape, period_px: float) -> tuple[Detections, np.ndarray]:
    """The columns of the truth as defects, those of a hole as one; and the site (n,) of each."""
    points = rows[rows["site"] != "hole"]
    gone = rows[rows["site"] == "hole"][["y_px", "x_px"]].to_numpy()
    region = region_around(gone, 0.5 * period_px, shape) if len(gone) else np.zeros(shape, bool)
    centre = [np.argwhere(region).mean(axis=0)] if len(gone) else []
    sites = np.array([*["hole"] * len(centre), *points["site"]], dtype=object)
    positions = np.concatenate([np.reshape(centre, (-1, 2)), points[["y_px", "x_px"]].to_numpy()])
    return found_at(positions, [CLASSES.index(site) + 1 for site in sites], shape, region), sites


def found_at(positions, kinds, shape, region=None) -> Detections:
    positions = np.reshape(np.asarray(positions, float), (-1, 2))
    count = len(positions)
    regions = np.zeros(shape, np.int32) if region is None else region.astype(np.int32)
    objects = Objects(positions, np.full(count, 0.9), regions)
    return Detections(objects, np.array(kinds, np.int64), np.zeros(count, np.int64), np.full(count, 0.9))


def looked_at(name, number, image, found, cell: UnitCell | None, period_px: float) -> FrameResult:
    levelled = local_contrast(image, period_px)
    columns = columns_seen(levelled, cell)
    views = look(levelled, columns, cell, found, period_px, number)
    return FrameResult(name, number, period_px, network=found, columns=columns, views=views)


def called(frames: list[FrameResult], kind: int) -> list[FrameResult]:
    """The same frames of a network that calls everything one class."""
    return [
        replace(frame, network=replace(frame.network, kinds=np.full_like(frame.network.kinds, kind)))
        for frame in frames
    ]
