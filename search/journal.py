"""The journal: every evaluation of a run, in SQLite. Nothing else touches the database."""

from __future__ import annotations

import json
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from data_prep.errors import InputError
from search.evaluation import Evaluation, Request

SCHEMA = """
CREATE TABLE IF NOT EXISTS evaluations (
    number INTEGER PRIMARY KEY,   -- order of arrival, from 1: the state of a search is a fold over it
    evaluation INTEGER NOT NULL UNIQUE,
    stage TEXT NOT NULL,
    status TEXT NOT NULL,
    fitness REAL NOT NULL,
    record TEXT NOT NULL          -- the whole record, JSON
);
CREATE TABLE IF NOT EXISTS losses (   -- workers that went away with a network
    number INTEGER PRIMARY KEY,
    genome TEXT NOT NULL,
    reason TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS crew (     -- from `time` on, in seconds since the epoch, there were `workers` for the stage
    number INTEGER PRIMARY KEY,
    time REAL NOT NULL,
    stage TEXT NOT NULL,
    workers INTEGER NOT NULL
);
"""
LOCK_S = 2.0  # how long SQLite itself waits for somebody else's reading: Ctrl-C waits too
PATIENCE_S = 300.0  # for how long a locked journal or a full disk is tried again, in all
RETRY_S = 0.5
CHUNK = 1000  # rows read at once: between chunks the writer can write


T = TypeVar("T")


class JournalError(RuntimeError):
    """The journal could be neither read nor written for minutes."""


class Journal:
    """One writer appends; others may read at any time. What `append` and its like have returned from is on disk.

    While the file is locked or the disk full they try again for `PATIENCE_S`, then raise JournalError; `say` is
    told. Raises InputError for a file that is no journal.
    """

    def __init__(self, path: Path, say: Callable[[str], None] = lambda _: None) -> None:
        self._path, self._say = path, say
        self._trouble_since: float | None = None
        self._database = sqlite3.connect(path, timeout=LOCK_S)
        try:
            self._patiently(self._open)
        except sqlite3.DatabaseError as error:
            self._database.close()
            raise InputError(f"{path}: is not a journal of evostem ({error})") from None

    def _open(self) -> None:
        # A rollback journal works on shared file systems, where write-ahead logs do not; kept between
        # transactions, it saves a fifth of their time.
        self._database.execute("PRAGMA journal_mode = PERSIST")
        self._database.execute("PRAGMA synchronous = FULL")
        self._database.executescript(SCHEMA)

    def _patiently(self, action: Callable[[], T]) -> T:
        """What an action on the database gives, tried again while it is locked or the disk is full."""
        while True:
            try:
                result = action()
            except sqlite3.OperationalError as error:
                now = time.monotonic()
                if self._trouble_since is None:
                    self._trouble_since = now
                    self._say(f"{self._path}: {error}; trying again for {PATIENCE_S / 60:g} min")
                elif now - self._trouble_since > PATIENCE_S:
                    raise JournalError(f"{self._path}: {error}, for {PATIENCE_S / 60:g} min") from error
                time.sleep(RETRY_S)
            else:
                if self._trouble_since is not None:
                    self._trouble_since = None
                    self._say(f"{self._path}: works again")
                return result

    def _write(self, statement: str, rows: list[tuple[Any, ...]]) -> None:
        """Write rows in one transaction."""

        def write() -> None:
            with self._database:
                self._database.executemany(statement, rows)

        self._patiently(write)

    def _read(self, query: str, values: tuple[Any, ...] = ()) -> list[Any]:
        """All rows that a query gives."""
        return self._patiently(lambda: self._database.execute(query, values).fetchall())

    def append(self, evaluations: Iterable[Evaluation]) -> None:
        """Record evaluations in one transaction."""
        # A commit may have reached the disk though it said that it failed: then the second try finds its rows there.
        self._write(
            "INSERT INTO evaluations (evaluation, stage, status, fitness, record) VALUES (?, ?, ?, ?, ?) "
            "ON CONFLICT (evaluation) DO NOTHING",
            [
                (e.request.index, e.request.stage, e.status.value, e.fitness, json.dumps(e.to_plain()))
                for e in evaluations
            ],
        )

    def evaluations(self, stage: str | None = None, after: int = 0) -> Iterator[Evaluation]:
        """The evaluations that arrived after the first `after`, all or those of one stage, in order of arrival."""
        query = (
            "SELECT number, record FROM evaluations WHERE number > ? AND (? IS NULL OR stage = ?) "
            "ORDER BY number LIMIT ?"
        )
        while rows := self._read(query, (after, stage, stage, CHUNK)):
            for _, record in rows:
                yield Evaluation.from_plain(json.loads(record))
            after = rows[-1][0]

    def count(self, stage: str | None = None) -> int:
        """How many evaluations are recorded, in all or of one stage."""
        query = "SELECT count(*) FROM evaluations WHERE ? IS NULL OR stage = ?"
        return int(self._read(query, (stage, stage))[0][0])

    def best(self, count: int, stage: str | None = None) -> list[Evaluation]:
        """The `count` fittest evaluations, the fittest first and of equals the older."""
        query = "SELECT record FROM evaluations WHERE ? IS NULL OR stage = ? ORDER BY fitness DESC, number LIMIT ?"
        return [Evaluation.from_plain(json.loads(row[0])) for row in self._read(query, (stage, stage, count))]

    def next_index(self) -> int:
        """The first index above all that are recorded."""
        ((highest,),) = self._read("SELECT max(evaluation) FROM evaluations")
        return 0 if highest is None else int(highest) + 1

    def note_loss(self, request: Request, reason: str) -> None:
        """Record that a worker went away with a network, before it is tried again."""
        self._write("INSERT INTO losses (genome, reason) VALUES (?, ?)", [(request.genome.hex(), reason)])

    def losses(self) -> Counter[bytes]:
        """How many workers each genome took along."""
        rows = self._read("SELECT genome, count(*) FROM losses GROUP BY genome")
        return Counter({bytes.fromhex(genome): count for genome, count in rows})

    def note_crew(self, stage: str, time: float, workers: int) -> None:
        """Record that from `time` on there are so many workers for a stage; 0 as it ends."""
        self._write("INSERT INTO crew (stage, time, workers) VALUES (?, ?, ?)", [(stage, time, workers)])

    def crew(self, stage: str) -> list[tuple[float, int]]:
        """Since when there were how many workers for a stage: `(time, workers)`, in order."""
        query = "SELECT time, workers FROM crew WHERE stage = ? ORDER BY number"
        return self._read(query, (stage,))

    def close(self) -> None:
        """Close the database."""
        self._database.close()
