"""A movie to find defects in, and what is known of them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from data_prep.label_files.legend import Legend
from data_prep.label_files.reading import read_labels
from data_prep.labels import LabelledFrame
from data_prep.movie import Movie


@dataclass(frozen=True)
class Target:
    """Which frames of which movie, and the file with the truth, where it is known.

    `defects` are the classes of the truth that count, `legend` says which they are in a mask.
    """

    name: str
    movie: Path
    frames: tuple[int, ...]
    truth: Path | None
    defects: tuple[str, ...]
    pixel_size_nm: float | None
    dataset: str | None
    legend: Legend = ()
    frame_interval_s: float | None = None


def truth_of(target: Target, movie: Movie, frame: int, period_px: float) -> LabelledFrame | None:
    """The true labels of one frame of a target, None where there are none."""
    if target.truth is None:
        return None
    file = _read(target.truth, target.legend, movie.pixel_size_nm)
    return file.label(frame, target.defects, movie.shape, period_px)


_read = lru_cache(maxsize=4)(read_labels)
