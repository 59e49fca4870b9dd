"""What can be read in a journal, by its writer and from outside."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from data_prep.errors import InputError
from search.evaluation import Evaluation

TABLES = {
    # `number` is the order of arrival, from 1: the state of a search is a fold over it. `record` is the whole, as JSON.
    "evaluations": "number INTEGER PRIMARY KEY, evaluation INTEGER NOT NULL UNIQUE, stage TEXT NOT NULL, "
    "status TEXT NOT NULL, fitness REAL NOT NULL, record TEXT NOT NULL",
    # Workers that went away with a network.
    "losses": "number INTEGER PRIMARY KEY, genome TEXT NOT NULL, reason TEXT NOT NULL",
    # Predictors of the tuning, or why there is none; `record` is JSON.
    "predictors": "number INTEGER PRIMARY KEY, name TEXT NOT NULL, record TEXT NOT NULL",
    # From `time` on, in seconds since the epoch, there were `workers` for the stage.
    "crew": "number INTEGER PRIMARY KEY, time REAL NOT NULL, stage TEXT NOT NULL, workers INTEGER NOT NULL",
}
CHUNK = 1000  # rows read at once: between chunks the writer can write


class Records:
    """What can be read in a journal.

    Methods raise InputError for a record that this version did not write.
    """

    _database: sqlite3.Connection

    def __init__(self, path: Path) -> None:
        self.path = path

    def _fetch(self, query: str, values: tuple[Any, ...] = ()) -> list[Any]:
        return self._database.execute(query, values).fetchall()

    def evaluations(self, stage: str | None = None, after: int = 0) -> Iterator[Evaluation]:
        """The evaluations that arrived after the first `after`, all or those of one stage, in order of arrival."""
        query = (
            "SELECT number, record FROM evaluations WHERE number > ? AND (? IS NULL OR stage = ?) "
            "ORDER BY number LIMIT ?"
        )
        while rows := self._fetch(query, (after, stage, stage, CHUNK)):
            for _, record in rows:
                yield self._read(record)
            after = rows[-1][0]

    def count(self, stage: str | None = None) -> int:
        """How many evaluations are recorded, in all or of one stage."""
        query = "SELECT count(*) FROM evaluations WHERE ? IS NULL OR stage = ?"
        return int(self._fetch(query, (stage, stage))[0][0])

    def next_index(self) -> int:
        """The first index above all that are recorded."""
        ((highest,),) = self._fetch("SELECT max(evaluation) FROM evaluations")
        return 0 if highest is None else int(highest) + 1

    def losses(self) -> Counter[bytes]:
        """How many workers each network took along, by `Request.key`."""
        rows = self._fetch("SELECT genome, count(*) FROM losses GROUP BY genome")
        return Counter({bytes.fromhex(genome): count for genome, count in rows})

    def crew(self, stage: str) -> list[tuple[float, int]]:
        """Since when there were how many workers for a stage: `(time, workers)`, in order."""
        return self._fetch("SELECT time, workers FROM crew WHERE stage = ? ORDER BY number", (stage,))

    def predictors(self) -> list[dict[str, Any]]:
        """The predictors that were built, in order: see `Journal.note_predictor`."""
        return [json.loads(record) for (record,) in self._fetch("SELECT record FROM predictors ORDER BY number")]

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    def _read(self, record: str) -> Evaluation:
        try:
            return Evaluation.from_plain(json.loads(record))
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(
                f"{self.path}: was written by another version of evostem ({type(error).__name__}: {error})"
            ) from None
