"""Reading a journal from outside, also while its run goes on."""

from __future__ import annotations

import shutil
import sqlite3
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from data_prep.errors import InputError
from search.records import TABLES, Records

PATIENCE_S, POLL_S = 30.0, 0.05  # how long to wait for the writer, and how often to look up from that
HOT_LOOKS = 5  # so often in a row a transaction was left behind: then it is not one that has just begun


class JournalReader(Records):
    """Reads a journal and changes nothing, neither the file nor its folder, nor holds up the writer for long.

    What a killed driver left half-written is rolled back on a copy, in the temporary folder. Tables that an old
    journal does not have, or a new one not yet, are empty.

    Raises InputError, and so do the methods, for a file that is no journal or cannot be read.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._copy: TemporaryDirectory[str] | None = None
        try:
            self._use(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", POLL_S, isolation_level=None, uri=True))
        except sqlite3.OperationalError as error:
            raise InputError(f"{path}: cannot be read ({error})") from None
        except InputError:
            self.close()
            raise

    def close(self) -> None:
        """Close the database."""
        super().close()
        if self._copy is not None:
            self._copy.cleanup()

    def _use(self, database: sqlite3.Connection) -> None:
        self._database = database
        database.execute("PRAGMA temp_store = MEMORY")
        tables = {name for (name,) in self._fetch("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if tables and "evaluations" not in tables:
            raise InputError(f"{self.path}: is not a journal of evostem (it has other tables)")
        for name in TABLES.keys() - tables:
            self._database.execute(f"CREATE TEMP TABLE IF NOT EXISTS {name} ({TABLES[name]})")

    def _fetch(self, query: str, values: tuple[Any, ...] = ()) -> list[Any]:
        deadline, hot = time.monotonic() + PATIENCE_S, 0
        while True:
            try:
                return super()._fetch(query, values)
            except sqlite3.DatabaseError as error:
                name = error.sqlite_errorname
                if name not in ("SQLITE_BUSY", "SQLITE_READONLY_ROLLBACK"):
                    raise InputError(f"{self.path}: is not a journal of evostem ({error})") from None
                if time.monotonic() > deadline:
                    raise InputError(f"{self.path}: another program keeps it locked ({error}); try again") from None
                hot = hot + 1 if name == "SQLITE_READONLY_ROLLBACK" else 0
                if hot >= HOT_LOOKS:
                    self._recover()
                time.sleep(POLL_S)

    def _recover(self) -> None:
        """Go on with a copy, where the transaction that was left behind can be rolled back."""
        folder = TemporaryDirectory(prefix="evostem-")
        copy = Path(folder.name) / self.path.name
        try:
            for suffix in ("", "-journal"):  # SQLite's name for what is to be rolled back
                shutil.copyfile(f"{self.path}{suffix}", f"{copy}{suffix}")
            self._database.execute("SELECT 1 FROM sqlite_master")
        except OSError as error:
            folder.cleanup()
            raise InputError(f"{self.path}: cannot be copied to be read ({error.strerror})") from None
        except sqlite3.DatabaseError as error:
            if error.sqlite_errorname == "SQLITE_READONLY_ROLLBACK":  # still so: what was copied belongs together
                self._database.close()
                self._copy = folder
                self._use(sqlite3.connect(copy, isolation_level=None))
                return
        folder.cleanup()  # a driver has begun to go on, and rolled it back itself
