"""What every file of labels can tell, whatever its format."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Protocol

from data_prep.errors import InputError
from data_prep.labels import LabelledFrame

MOST_CLASSES = 200  # class maps are of bytes


class LabelFile(Protocol):
    """Labels of one or more frames.

    `frames` are those it has labels of; None if it does not tell, then it is of the frame that is
    asked for. `counts` says how many points, outlines or pixels each of its classes has.
    """

    @property
    def path(self) -> Path: ...  # noqa: D102

    @property
    def frames(self) -> frozenset[int] | None: ...  # noqa: D102

    @property
    def counts(self) -> Counter[str]: ...  # noqa: D102

    def check(self, shape: tuple[int, int], frames: int) -> None:
        """Raise InputError if it does not fit a movie of `frames` frames of `shape` (rows, columns)."""

    def likely_defects(self, shape: tuple[int, int], period_px: float) -> tuple[str, ...]:
        """The classes that are defects where nobody named them; () if that cannot be told."""

    def label(self, frame: int, defects: tuple[str, ...], shape: tuple[int, int], period_px: float) -> LabelledFrame:
        """Labels of one frame (y, x): the classes in `defects`, in that order; others are background."""


def summary(counts: Counter[str]) -> str:
    """Classes with their counts, for messages."""
    return ", ".join(f"{name} ({count})" for name, count in counts.most_common() if count) or "none"


def choose_defects(
    file: LabelFile, asked: tuple[str, ...], shape: tuple[int, int], period_px: float
) -> tuple[str, ...]:
    """Which classes of a label file are defects: those asked for, else the likely ones.

    Raises InputError for a class that is not there, or if none is asked for and none is likely.
    """
    counts = file.counts
    if len(counts) > MOST_CLASSES:
        raise InputError(f"{file.path}: has {len(counts)} classes, at most {MOST_CLASSES} are possible")
    unknown = [name for name in asked if name not in counts]
    if unknown:
        raise InputError(f"{file.path}: no class '{unknown[0]}'; it has {summary(counts)}")
    chosen = asked or file.likely_defects(shape, period_px)
    if not chosen:
        raise InputError(f"{file.path}: which classes are defects? Name them with --defects; it has {summary(counts)}")
    return chosen
