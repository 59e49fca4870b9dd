"""Tables of labels in CSV."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from data_prep.errors import InputError
from data_prep.labels import BACKGROUND

MOST_FRAMES = 2**31
CLASS_COLUMNS = ("site", "class", "label", "species", "type")


@dataclass(frozen=True)
class Table:
    """The columns of a CSV by name, and its rows, each with its line in the file."""

    path: Path
    columns: tuple[str, ...]
    rows: tuple[tuple[int, dict[str, str | None]], ...]

    @property
    def found(self) -> str:
        """The columns there are, for messages."""
        return ", ".join(self.columns) or "none"

    @property
    def class_column(self) -> str | None:
        """The first of `CLASS_COLUMNS` that is there, None if none is."""
        return next((name for name in CLASS_COLUMNS if name in self.columns), None)

    def numbers(self, columns: Sequence[str]) -> list[list[float]]:
        """The numbers in these columns, a list for each row. Raises InputError naming the line."""
        values = []
        for line, row in self.rows:
            try:
                values.append([float(row[name] or "") for name in columns])
            except ValueError:
                wanted = f"{', '.join(columns[:-1])} or {columns[-1]}" if columns[1:] else columns[0]
                raise InputError(f"{self.path}: line {line} has no number for {wanted}") from None
            if not all(map(isfinite, values[-1])):
                raise InputError(f"{self.path}: line {line} has a position that is not a finite number")
        return values

    def frames(self, numbers: Iterable[float]) -> NDArray[np.int64]:
        """The frame of each row (n,), from its number. Raises InputError naming the line of one that is none."""
        frames = np.array(list(numbers))
        wrong = np.flatnonzero((frames < 0) | (frames > MOST_FRAMES) | (frames != np.round(frames)))
        if len(wrong):
            line, frame = self.rows[wrong[0]][0], frames[wrong[0]]
            raise InputError(f"{self.path}: line {line} is of frame {frame:g}; frames are 0, 1, 2, …")
        return frames.astype(np.int64)

    def texts(self, column: str) -> tuple[str, ...]:
        """What stands in a column, "" where nothing does."""
        return tuple((row.get(column) or "").strip() for _, row in self.rows)

    def classes(self, column: str) -> tuple[str, ...]:
        """The class of each row. Raises InputError for a row without one, or called as what is in no class."""
        names = self.texts(column)
        if "" in names:
            line = self.rows[names.index("")][0]
            raise InputError(f"{self.path}: line {line} has no class in column '{column}'")
        if BACKGROUND in names:
            line = self.rows[names.index(BACKGROUND)][0]
            raise InputError(f"{self.path}: line {line} has the class '{BACKGROUND}', which means no class; rename it")
        return names


def read_table(path: Path) -> Table:
    """Read a CSV with a header. Raises InputError if it cannot be read or has no rows."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as lines:
            reader = csv.DictReader(lines)
            columns = tuple(name.strip() for name in reader.fieldnames or [])
            reader.fieldnames = list(columns)
            rows = tuple((reader.line_num, row) for row in reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: cannot be read as CSV ({error})") from None
    return Table(path, columns, rows)
