"""The journal: every evaluation of a run, in SQLite. Nothing else touches the database."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from pathlib import Path

from data_prep.errors import InputError
from search.evaluation import Evaluation

SCHEMA = """
CREATE TABLE IF NOT EXISTS evaluations (
    number INTEGER PRIMARY KEY,   -- order of arrival: the state of a search is a fold over it
    evaluation INTEGER NOT NULL UNIQUE,
    stage TEXT NOT NULL,
    status TEXT NOT NULL,
    fitness REAL NOT NULL,
    record TEXT NOT NULL          -- the whole record, JSON
)
"""
LOCK_PATIENCE_S = 300.0  # how long to wait for somebody else's reading


class Journal:
    """One writer appends; others may read. A reader that takes long holds the writer up, not back."""

    def __init__(self, path: Path) -> None:
        self._database = sqlite3.connect(path, timeout=LOCK_PATIENCE_S)
        try:
            # A rollback journal works on shared file systems, where write-ahead logs do not.
            self._database.execute("PRAGMA journal_mode = DELETE")
            self._database.execute("PRAGMA synchronous = FULL")
            self._database.execute(SCHEMA)
        except sqlite3.DatabaseError as error:
            self._database.close()
            raise InputError(f"{path}: is not a journal of evostem ({error})") from None

    def append(self, evaluations: Iterable[Evaluation]) -> None:
        """Record evaluations in one transaction; they are on disk when this returns."""
        with self._database:
            self._database.executemany(
                "INSERT INTO evaluations (evaluation, stage, status, fitness, record) VALUES (?, ?, ?, ?, ?)",
                [
                    (e.request.index, e.request.stage, e.status.value, e.fitness, json.dumps(e.to_plain()))
                    for e in evaluations
                ],
            )

    def evaluations(self, stage: str | None = None) -> list[Evaluation]:
        """All evaluations, or those of one stage, in order of arrival."""
        query = "SELECT record FROM evaluations WHERE ? IS NULL OR stage = ? ORDER BY number"
        rows = self._database.execute(query, (stage, stage))
        return [Evaluation.from_plain(json.loads(record)) for (record,) in rows]

    def next_index(self) -> int:
        """The first index above all that are recorded."""
        (highest,) = self._database.execute("SELECT max(evaluation) FROM evaluations").fetchone()
        return 0 if highest is None else int(highest) + 1

    def close(self) -> None:
        """Close the database."""
        self._database.close()
