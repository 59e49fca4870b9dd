"""Tables of labels in CSV."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path

from data_prep.errors import InputError

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

    def texts(self, column: str) -> tuple[str, ...]:
        """What stands in a column, "" where nothing does."""
        return tuple((row.get(column) or "").strip() for _, row in self.rows)

    def classes(self, column: str) -> tuple[str, ...]:
        """The class of each row. Raises InputError for a row without one."""
        names = self.texts(column)
        if "" in names:
            line = self.rows[names.index("")][0]
            raise InputError(f"{self.path}: line {line} has no class in column '{column}'")
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
