"""The stages before the search: labelled frames, the Fourier filter to compare with, tiles, staging."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median

from analysis.target import Target, truth_of
from data_prep.files import whole_file
from data_prep.fourier.labeller import FourierFilter, from_fourier
from data_prep.fourier.lattice import find_lattice
from data_prep.label_files.legend import Legend
from data_prep.label_files.reading import read_labels
from data_prep.labels import (
    load_labels,
    rename_classes,
    save_labels,
)
from data_prep.movie import open_movie
from data_prep.normalise import local_contrast
from data_prep.staging import file_hash, stage
from data_prep.tiles import TileSizes, cut_tiles, save_tiles


@dataclass(frozen=True)
class Source:
    """The movie to learn from: which frames, and the file with their labels, if people made them.

    `defects` are the classes of that file that count, `legend` says which they are in a mask.
    """

    movie: Path
    frames: tuple[int, ...]
    labels: Path | None
    defects: tuple[str, ...]
    pixel_size_nm: float | None
    dataset: str | None
    fourier: FourierFilter = field(default_factory=FourierFilter)
    legend: Legend = ()
    tiles: TileSizes = field(default_factory=TileSizes)


def label_frames(source: Source, out: Path) -> Path:
    """Label the source's frames, from a file or by the Fourier method, and write `labels.h5`."""
    with open_movie(source.movie, source.pixel_size_nm, source.dataset) as movie:
        frames = {number: movie.frame(number) for number in source.frames}
        lattices = {number: find_lattice(frame) for number, frame in frames.items()}
        period = median(lattice.period_px for lattice in lattices.values())
        if source.labels is None:
            labels = {number: from_fourier(frame, source.fourier, lattices[number]) for number, frame in frames.items()}
        else:
            file = read_labels(source.labels, source.legend, movie.pixel_size_nm)
            labels = {number: file.label(number, source.defects, movie.shape, period) for number in frames}
    names = tuple(dict.fromkeys(name for labelled in labels.values() for name in labelled.class_names))
    save_labels({number: rename_classes(labelled, names) for number, labelled in labels.items()}, period, out)
    return out


def tune_baseline(source: Source, labels_file: Path, target: Target | None, out: Path) -> Path:
    """Tune the Fourier filter on the labelled frames, to compare with; write its settings as JSON.

    It is tuned on their truth where `target`, the source's own movie, has it, else on labels made by
    people; with neither, it is the filter that made the labels.
    """
    from analysis.baseline import tune_fourier

    labels, period = load_labels(labels_file)
    known = []
    with open_movie(source.movie, source.pixel_size_nm, source.dataset) as movie:
        for number, labelled in labels.items():
            truth = truth_of(target, movie, number, period) if target else None
            if truth is not None or source.labels is not None:
                known.append((movie.frame(number), truth or labelled))
    chosen = tune_fourier(known, source.fourier.reference) if known else source.fourier
    with whole_file(out) as temporary:
        temporary.write_text(json.dumps(asdict(chosen)))
    return out


def make_tiles(source: Source, labels_file: Path, out: Path) -> Path:
    """Cut the labelled frames into training and validation tiles and write `tiles.h5`."""
    labels, period = load_labels(labels_file)
    with open_movie(source.movie, source.pixel_size_nm, source.dataset) as movie:
        frames = {
            number: (local_contrast(movie.frame(number), period), labelled) for number, labelled in labels.items()
        }
        tiles = cut_tiles(frames, period, movie.pixel_size_nm, source.tiles)
    made_by = next(iter(labels.values())).made_by
    provenance: dict[str, object] = {"movie": str(source.movie), "frames": list(labels), "labels": made_by}
    save_tiles(tiles, provenance, out)
    return out


def stage_tiles(tiles: Path, node_local: str | None) -> str:
    """Copy the tile set to this node's own disk; returns its SHA-256, by which others find it."""
    digest = file_hash(tiles)
    stage(tiles, node_local, digest)
    return digest
