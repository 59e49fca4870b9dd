"""The journal: every evaluation of a run, in SQLite, as its one writer has it; others come in by `reading`."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

from data_prep.errors import InputError
from search.evaluation import Evaluation, Request
from search.payoff import Payoff
from search.records import TABLES, Records
from search.tuning import Build

LOCK_S = 2.0  # how long SQLite itself waits for somebody else's reading: Ctrl-C waits too
PATIENCE_S = 300.0  # for how long a locked journal or a full disk is tried again, in all
RETRY_S = 0.5
T = TypeVar("T")


class JournalError(RuntimeError):
    """The journal could be neither read nor written for minutes."""


class Journal(Records):
    """One writer appends; others may read at any time. What `append` and its like have returned from is on disk.

    While the file is locked or the disk full they try again for `PATIENCE_S`, then raise JournalError; `say` is
    told. Raises InputError for a file that is no journal.
    """

    def __init__(self, path: Path, say: Callable[[str], None] = lambda _: None) -> None:
        super().__init__(path)
        self._say = say
        self._trouble_since: float | None = None
        self._database = sqlite3.connect(path, timeout=LOCK_S)
        try:
            self._patiently(self._open)
        except sqlite3.DatabaseError as error:
            self._database.close()
            raise InputError(f"{path}: is not a journal of evostem ({error})") from None

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

    def note_loss(self, request: Request, reason: str) -> None:
        """Record that a worker went away with a network, before it is tried again."""
        self._write("INSERT INTO losses (genome, reason) VALUES (?, ?)", [(request.key.hex(), reason)])

    def note_crew(self, stage: str, time: float, workers: int) -> None:
        """Record that from `time` on there are so many workers for a stage; 0 as it ends."""
        self._write("INSERT INTO crew (stage, time, workers) VALUES (?, ?, ?)", [(stage, time, workers)])

    def note_predictor(self, build: Build, payoff: Payoff) -> None:
        """Record that a predictor was built, or could not be, and what came of the sets until then."""
        facts = {name: value for name, value in vars(build).items() if name != "predictor"}
        record = json.dumps(facts | vars(payoff))
        self._write("INSERT INTO predictors (name, record) VALUES (?, ?)", [(build.name, record)])

    def _open(self) -> None:
        # A rollback journal works on shared file systems, where write-ahead logs do not; kept between
        # transactions, it saves a fifth of their time.
        self._database.execute("PRAGMA journal_mode = PERSIST")
        self._database.execute("PRAGMA synchronous = FULL")
        for name, columns in TABLES.items():
            self._database.execute(f"CREATE TABLE IF NOT EXISTS {name} ({columns})")

    def _write(self, statement: str, rows: list[tuple[Any, ...]]) -> None:
        """Write rows in one transaction."""

        def write() -> None:
            with self._database:
                self._database.executemany(statement, rows)

        self._patiently(write)

    def _fetch(self, query: str, values: tuple[Any, ...] = ()) -> list[Any]:
        fetch = super()._fetch
        return self._patiently(lambda: fetch(query, values))

    def _patiently(self, action: Callable[[], T]) -> T:
        """What an action on the database gives, tried again while it is locked or the disk is full."""
        while True:
            try:
                result = action()
            except sqlite3.OperationalError as error:
                now = time.monotonic()
                if self._trouble_since is None:
                    self._trouble_since = now
                    self._say(f"{self.path}: {error}; trying again for {PATIENCE_S / 60:g} min")
                elif now - self._trouble_since > PATIENCE_S:
                    raise JournalError(f"{self.path}: {error}, for {PATIENCE_S / 60:g} min") from error
                time.sleep(RETRY_S)
            else:
                if self._trouble_since is not None:
                    self._trouble_since = None
                    self._say(f"{self.path}: works again")
                return result
