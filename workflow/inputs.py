"""Look at everything the user gave before anything is started."""

from __future__ import annotations

import re
from pathlib import Path

from analysis.target import Target
from apps.prepare import Source
from data_prep.errors import InputError
from data_prep.labels import read_points
from data_prep.movie import open_movie
from workflow.config import RunConfig


def source_of(config: RunConfig) -> Source:
    """The movie to learn from. Raises InputError if it or its labels cannot be used."""
    labels = config.labels
    with open_movie(config.movie, config.pixel_size_nm, config.dataset) as movie:
        if labels.frame >= movie.frames:
            raise InputError(f"{config.movie}: has no frame {labels.frame}, it has {movie.frames} (labels.frame)")
        movie.frame(labels.frame)
        if labels.points is not None:
            points = read_points(labels.points, movie.pixel_size_nm)
            unknown = [name for name in labels.defects if name not in points.names]
            if unknown:
                present = ", ".join(sorted(set(points.names)))
                raise InputError(f"{labels.points}: no class '{unknown[0]}' (--defects); it has {present}")
            if labels.frame not in points.frame:
                raise InputError(f"{labels.points}: has no column of frame {labels.frame}")
    return Source(
        config.movie, labels.frame, labels.points, labels.defects, config.pixel_size_nm, config.dataset,
        labels.darker, labels.brighter,
    )  # fmt: skip


def targets_of(config: RunConfig) -> tuple[Target, ...]:
    """What to find defects in: the movie's other frames, and all frames of the movies to apply to.

    Truth files belong to the latter if there are any. Raises InputError if one cannot be used, or
    if there is nothing to apply the detector to.
    """
    own_truth = config.truth[0] if config.truth and not config.apply else None
    wanted = [(config.movie, own_truth, True)]
    truths = config.truth or (None,) * len(config.apply)
    wanted += [(path, truth, False) for path, truth in zip(config.apply, truths, strict=False)]
    targets: list[Target] = []
    for path, truth, is_source in wanted:
        with open_movie(path, config.pixel_size_nm, config.dataset) as movie:
            if truth is not None:
                points = read_points(truth, movie.pixel_size_nm)
                if movie.frames > 1 and not points.tells_frames:
                    raise InputError(f"{truth}: has no column 'frame', and {path} has {movie.frames} frames")
            frames = tuple(i for i in range(movie.frames) if not (is_source and i == config.labels.frame))
        if frames:
            name = _name(path, {target.name for target in targets})
            targets.append(
                Target(name, path, frames, truth, config.labels.defects, config.pixel_size_nm, config.dataset)
            )
    if not targets:
        raise InputError(
            f"{config.movie}: has one frame, the labelled one; name a movie to find defects in with --apply"
        )
    return tuple(targets)


def _name(path: Path, taken: set[str]) -> str:
    name = plain_name(path)
    return next(n for n in (name, *(f"{name}_{i}" for i in range(2, 1000))) if n not in taken)


def plain_name(path: Path) -> str:
    """A file's name without what is awkward in names of folders."""
    return re.sub(r"[^A-Za-z0-9_-]+", "_", path.stem).strip("_") or "movie"
