"""The stages before the search: a labelled frame, the Fourier filter to compare with, tiles, staging."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from analysis.target import Target, truth_of
from data_prep.files import whole_file
from data_prep.fourier import FourierFilter, lattice_period
from data_prep.labels import (
    AUTO_BRIGHTER,
    AUTO_DARKER,
    from_fourier,
    from_points,
    load_labels,
    read_points,
    save_labels,
)
from data_prep.movie import open_movie
from data_prep.normalise import local_contrast
from data_prep.staging import file_hash, stage
from data_prep.tiles import cut_tiles, save_tiles


@dataclass(frozen=True)
class Source:
    """The movie to learn from: which frame, and the CSV with its labels, if people made them.

    `defects` are the classes of that CSV that count.
    """

    movie: Path
    frame: int
    points: Path | None
    defects: tuple[str, ...]
    pixel_size_nm: float | None
    dataset: str | None
    darker: float = AUTO_DARKER
    brighter: float = AUTO_BRIGHTER


def label_frame(source: Source, out: Path) -> Path:
    """Label one frame, from a point list or by the Fourier method, and write `labels.h5`."""
    with open_movie(source.movie, source.pixel_size_nm, source.dataset) as movie:
        frame = movie.frame(source.frame)
        period = lattice_period(frame)
        if source.points is None:
            labels = from_fourier(frame, FourierFilter(period, source.darker, source.brighter))
        else:
            points = read_points(source.points, movie.pixel_size_nm)
            labels = from_points(points, source.frame, source.defects, movie.shape, period)
    save_labels(labels, source.frame, period, out)
    return out


def tune_baseline(source: Source, labels_file: Path, target: Target | None, out: Path) -> Path:
    """Tune the Fourier filter on the labelled frame, to compare with; write its settings as JSON.

    It is tuned on the truth of that frame where `target`, the source's own movie, has it, else on labels made by
    people; with neither, it is the filter that made the labels.
    """
    from analysis.baseline import tune_fourier

    labels, frame_number, period = load_labels(labels_file)
    with open_movie(source.movie, source.pixel_size_nm, source.dataset) as movie:
        frame = movie.frame(frame_number)
        tuned_on = truth_of(target, movie, frame_number, period) if target else None
        if tuned_on is None and source.points is not None:
            tuned_on = labels
    chosen = (
        tune_fourier(frame, tuned_on, period) if tuned_on else FourierFilter(period, source.darker, source.brighter)
    )
    with whole_file(out) as temporary:
        temporary.write_text(json.dumps(asdict(chosen)))
    return out


def make_tiles(source: Source, labels_file: Path, out: Path) -> Path:
    """Cut the labelled frame into training and validation tiles and write `tiles.h5`."""
    labels, frame_number, period = load_labels(labels_file)
    with open_movie(source.movie, source.pixel_size_nm, source.dataset) as movie:
        image = local_contrast(movie.frame(frame_number), period)
        tiles = cut_tiles(image, labels, period, movie.pixel_size_nm)
    provenance: dict[str, object] = {"movie": str(source.movie), "frame": frame_number, "labels": labels.made_by}
    save_tiles(tiles, provenance, out)
    return out


def stage_tiles(tiles: Path, node_local: str | None) -> str:
    """Copy the tile set to this node's own disk; returns its SHA-256, by which others find it."""
    digest = file_hash(tiles)
    stage(tiles, node_local, digest)
    return digest
