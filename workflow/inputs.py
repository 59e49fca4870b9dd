"""Look at everything the user gave before anything is started."""

from __future__ import annotations

import re
from pathlib import Path
from statistics import median

from analysis.target import Target
from apps.prepare import Source
from data_prep.errors import InputError
from data_prep.fourier.labeller import FourierFilter
from data_prep.fourier.lattice import find_lattice, lattice_period
from data_prep.label_files.label_file import choose_defects, summary
from data_prep.label_files.reading import is_mask, read_labels
from data_prep.movie import Movie, open_movie
from data_prep.tiles import TileSizes
from networks.network_file import notes_of_network, read_network
from site_configs.sites import missing
from workflow.config import RunConfig

FRAMES_SHOWN = 8  # in a message


def check_site(config: RunConfig, folder: Path) -> None:
    """Raise InputError if nothing could be submitted at the run's site, for a run in `folder`."""
    trouble = missing(config.site, folder)
    if trouble:
        raise InputError(trouble[0])


def source_of(config: RunConfig) -> Source:
    """The movie to learn from. Raises InputError if it or its labels cannot be used."""
    labels = config.labels
    defects: tuple[str, ...] = ()
    given = [path for path in (labels.file, *config.truth) if path is not None]
    if labels.defects and not given:
        raise InputError("--defects names classes of labels; give them with --labels or --truth")
    if labels.legend and not any(is_mask(path) for path in given):
        raise InputError("--legend is for a mask image; give one with --labels or --truth")
    sizes = TileSizes(**dict(config.tiles))
    with open_movie(config.movie, config.pixel_size_nm, config.dataset) as movie:
        period = median(_period(movie, frame) for frame in labels.frame)
        sizes.in_px(movie.shape, period)
        if labels.file is not None:
            defects = _labelled_classes(labels.file, config, movie, period)
    return Source(
        movie=config.movie,
        frames=labels.frame,
        labels=labels.file,
        defects=defects,
        pixel_size_nm=config.pixel_size_nm,
        dataset=config.dataset,
        fourier=FourierFilter(labels.darker, labels.brighter, labels.reference),
        legend=tuple(labels.legend.items()),
        tiles=sizes,
    )


def _period(movie: Movie, frame: int) -> float:
    """The lattice period of a frame in px, by an error that names the frame if it has none."""
    image = movie.frame(frame)
    try:
        return lattice_period(image)
    except InputError as error:
        raise InputError(f"{movie.source}: frame {frame} {error}; label a frame that does (labels.frame)") from None


def _labelled_classes(path: Path, config: RunConfig, movie: Movie, period_px: float) -> tuple[str, ...]:
    """The classes to learn. Raises InputError if the labels do not fit the movie or the legend."""
    file = read_labels(path, tuple(config.labels.legend.items()), movie.pixel_size_nm)
    file.check(movie.shape, movie.frames)
    wanted = config.labels.frame
    if file.frames is None and len(wanted) > 1:
        raise InputError(f"{path}: does not tell which frame it labels, and {len(wanted)} are wanted (labels.frame)")
    lacking = [frame for frame in wanted if file.frames is not None and frame not in file.frames]
    if lacking:
        there = ", ".join(str(frame) for frame in sorted(file.frames or ())[:FRAMES_SHOWN])
        raise InputError(f"{path}: has no label in frame {lacking[0]} (labels.frame); it has some in {there}")
    empty = [name for name, count in file.counts.items() if count == 0]
    if empty:
        raise InputError(f"{path}: no pixel of '{empty[0]}', which the legend names; it has {summary(file.counts)}")
    return choose_defects(file, config.labels.defects, movie.shape, period_px)


def check_network(config: RunConfig) -> None:
    """Raise InputError if the user's own network cannot be used."""
    if config.network is not None:
        read_network(config.network)


def notes_of(config: RunConfig) -> list[str]:
    """What to tell the user of the network, the movies and the frames that are labelled automatically, a line each."""
    notes = []
    if config.network is not None:
        notes = notes_of_network(config.network)
        sets = read_network(config.network).count
        if sets < config.tuning.most_evaluations:
            said = f"it has only {sets} sets, so that some are evaluated more than once, with other seeds"
            notes.append(f"{config.network}: {said}")
    for path in dict.fromkeys((config.movie, *config.apply)):
        with open_movie(path, config.pixel_size_nm, config.dataset) as movie:
            notes += movie.notes
            if path == config.movie and config.labels.file is None:
                seen = {frame: find_lattice(movie.frame(frame)).note for frame in config.labels.frame}
                notes += [f"{path}: frame {frame} {note}" for frame, note in seen.items() if note]
    return notes


def targets_of(config: RunConfig, source: Source) -> tuple[Target, ...]:
    """What to find defects in: the movie's other frames, and all frames of the movies to apply to.

    Truth files belong to the latter if there are any. Raises InputError if one cannot be used, or
    if there is nothing to apply the detector to.
    """
    own_truth = config.truth[0] if config.truth and not config.apply else None
    truths = (config.truth or (None,) * len(config.apply)) if config.apply else ()
    targets: list[Target] = []
    for path, truth in [(config.movie, own_truth), *zip(config.apply, truths, strict=True)]:
        is_source = not targets and path == config.movie
        with open_movie(path, config.pixel_size_nm, config.dataset) as movie:
            wanted = source.defects or config.labels.defects
            defects = _scored_classes(truth, wanted, movie, config) if truth is not None else ()
            frames = tuple(i for i in range(movie.frames) if not (is_source and i in config.labels.frame))
        if frames:
            name = _name(path, {target.name for target in targets})
            targets.append(
                Target(
                    name,
                    path,
                    frames,
                    truth,
                    defects,
                    config.pixel_size_nm,
                    config.dataset,
                    source.legend,
                    config.frame_interval_s,
                )
            )
    if not targets:
        raise InputError(f"{config.movie}: has no frame but the labelled; name a movie to find defects in with --apply")
    return tuple(targets)


def _scored_classes(truth: Path, wanted: tuple[str, ...], movie: Movie, config: RunConfig) -> tuple[str, ...]:
    """The classes of a truth file that count: those that were learnt, as far as it has them.

    With Fourier labels there are no names to go by: then the rule for labels holds.
    """
    file = read_labels(truth, tuple(config.labels.legend.items()), movie.pixel_size_nm)
    if movie.frames > 1 and file.frames is None:
        raise InputError(
            f"{truth}: does not tell of which frame it is, and {movie.source} has {movie.frames} (a CSV tells it in a "
            "column 'frame', a mask by being a stack, ROIs by their positions)"
        )
    file.check(movie.shape, movie.frames)
    if not wanted:
        return choose_defects(file, (), movie.shape, _period(movie, min(file.frames or {0})))
    there = tuple(name for name in wanted if name in file.counts)
    if not there:
        raise InputError(f"{truth}: has none of the defect classes {', '.join(wanted)}; it has {summary(file.counts)}")
    return there


def _name(path: Path, taken: set[str]) -> str:
    name = plain_name(path)
    return next(n for n in (name, *(f"{name}_{i}" for i in range(2, 1000))) if n not in taken)


def plain_name(path: Path) -> str:
    """A file's name without what is awkward in names of folders."""
    return re.sub(r"[^A-Za-z0-9_-]+", "_", path.stem).strip("_") or "movie"
