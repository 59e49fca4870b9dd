"""Look at everything the user gave before anything is started."""

from __future__ import annotations

import re
from pathlib import Path

from analysis.target import Target
from apps.prepare import Source
from data_prep.errors import InputError
from data_prep.fourier.labeller import FourierFilter
from data_prep.fourier.lattice import lattice_period
from data_prep.labels import check_positions, choose_defects, read_points
from data_prep.movie import Movie, open_movie
from workflow.config import RunConfig


def source_of(config: RunConfig) -> Source:
    """The movie to learn from. Raises InputError if it or its labels cannot be used."""
    labels = config.labels
    defects: tuple[str, ...] = ()
    if labels.defects and labels.points is None and not config.truth:
        raise InputError("--defects names classes of a CSV; give one with --labels or --truth")
    with open_movie(config.movie, config.pixel_size_nm, config.dataset) as movie:
        frame = movie.frame(labels.frame)
        try:
            period = lattice_period(frame)
        except InputError as error:
            raise InputError(f"{config.movie}: frame {labels.frame} {error}") from None
        if labels.points is not None:
            points = read_points(labels.points, movie.pixel_size_nm)
            if points.tells_frames and labels.frame not in points.frame:
                raise InputError(f"{labels.points}: has no column of frame {labels.frame} (labels.frame)")
            check_positions(points, movie.shape)
            defects = choose_defects(points, labels.defects, movie.shape, period)
    return Source(
        movie=config.movie,
        frame=labels.frame,
        points=labels.points,
        defects=defects,
        pixel_size_nm=config.pixel_size_nm,
        dataset=config.dataset,
        fourier=FourierFilter(labels.darker, labels.brighter, labels.reference),
    )


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
            defects = _scored_classes(truth, wanted, movie) if truth is not None else ()
            frames = tuple(i for i in range(movie.frames) if not (is_source and i == config.labels.frame))
        if frames:
            name = _name(path, {target.name for target in targets})
            targets.append(Target(name, path, frames, truth, defects, config.pixel_size_nm, config.dataset))
    if not targets:
        raise InputError(
            f"{config.movie}: has one frame, the labelled one; name a movie to find defects in with --apply"
        )
    return tuple(targets)


def _scored_classes(truth: Path, wanted: tuple[str, ...], movie: Movie) -> tuple[str, ...]:
    """The classes of a truth file that count: those that were learnt, as far as it has them.

    With Fourier labels there are no names to go by: then the rule for labels holds.
    """
    points = read_points(truth, movie.pixel_size_nm)
    if movie.frames > 1 and not points.tells_frames:
        raise InputError(f"{truth}: has no column 'frame', and {movie.source} has {movie.frames} frames")
    check_positions(points, movie.shape)
    if not wanted:
        first = int(points.frame.min()) if points.tells_frames else 0
        return choose_defects(points, (), movie.shape, lattice_period(movie.frame(min(first, movie.frames - 1))))
    there = tuple(name for name in wanted if name in points.names)
    if not there:
        present = ", ".join(sorted(set(points.names)))
        raise InputError(f"{truth}: has none of the defect classes {', '.join(wanted)}; it has {present}")
    return there


def _name(path: Path, taken: set[str]) -> str:
    name = plain_name(path)
    return next(n for n in (name, *(f"{name}_{i}" for i in range(2, 1000))) if n not in taken)


def plain_name(path: Path) -> str:
    """A file's name without what is awkward in names of folders."""
    return re.sub(r"[^A-Za-z0-9_-]+", "_", path.stem).strip("_") or "movie"
