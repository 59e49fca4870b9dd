"""A journal read from outside: everything that was committed, nothing changed, nobody held up."""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
from contextlib import closing
from itertools import islice
from pathlib import Path

import pytest

from data_prep.errors import InputError
from search import reading
from search.evaluation import Evaluation, Request, Status
from search.journal import Journal, Records
from search.reading import JournalReader
from search.utilisation import running_seconds

WRITER = """
import os, signal, sqlite3, sys
from pathlib import Path
from search.evaluation import Evaluation, Request, Status
from search.journal import Journal, Records
def record(i): return Evaluation(Request(i, "evolution", 0, bytes(35), 0), Status.OK, fitness=0.5)
journal = Journal(Path(sys.argv[1]))
"""
# A transaction too large for the cache is in the file before it is committed.
KILLED = """
journal.append(record(i) for i in range(50))
journal._database.execute("PRAGMA cache_size = 5")
def endless():
    for i in range(50, 10**9):
        if i == 3000:
            os.kill(os.getpid(), signal.SIGKILL)
        yield (i, "evolution", "ok", 0.5, "x" * 500)
journal._database.executemany(
    "INSERT INTO evaluations (evaluation, stage, status, fitness, record) VALUES (?, ?, ?, ?, ?)", endless()
)
"""
BUSY = """
print("ready", flush=True)
for i in range(0, 600, 3):
    journal.append(map(record, range(i, i + 3)))
"""


def record(index, stage="evolution", fitness=0.5):
    return Evaluation(Request(index, stage, 0, bytes(35), 0), Status.OK, fitness=fitness)


def fill(path, count):
    with closing(Journal(path)) as journal:
        journal.append(map(record, range(count)))
        journal.note_crew("evolution", 5.0, 2)


def indices(path):
    with closing(JournalReader(path)) as journal:
        return [e.request.index for e in journal.evaluations()]


def contents(folder):
    """Names, bytes and times of all that lies in a folder."""
    return {file.name: (file.read_bytes(), file.stat().st_mtime_ns) for file in folder.iterdir()}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "journal.sqlite"


def test_all_is_read_and_nothing_changes(path, tmp_path):
    fill(path, 2500)
    before = contents(tmp_path)
    with closing(JournalReader(path)) as journal:
        assert [e.request.index for e in journal.evaluations()] == list(range(2500))
        assert [e.request.index for e in journal.evaluations(after=2490)] == list(range(2490, 2500))
        assert journal.crew("evolution") == [(5.0, 2)]
        assert contents(tmp_path) == before
    assert contents(tmp_path) == before


def test_what_a_killed_writer_left_is_rolled_back_elsewhere(path, tmp_path, monkeypatch):
    place = tmp_path / "elsewhere"
    place.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    run = tmp_path / "run"
    run.mkdir()
    path = run / "journal.sqlite"
    done = subprocess.run([sys.executable, "-c", WRITER + KILLED, path], check=False)
    assert done.returncode == -signal.SIGKILL
    with pytest.raises(sqlite3.OperationalError), closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as plain:
        plain.execute("SELECT * FROM evaluations")
    before = contents(run)
    with closing(JournalReader(path)) as journal:
        assert [e.request.index for e in journal.evaluations()] == list(range(50))
        assert journal.crew("evolution") == []
    assert contents(run) == before
    assert list(place.iterdir()) == []
    with closing(Journal(path)) as journal:  # the driver that goes on
        journal.append([record(50)])
    assert indices(path) == list(range(51))


def test_a_writer_at_full_speed_is_followed_without_a_gap(path):
    with subprocess.Popen([sys.executable, "-c", WRITER + BUSY, path], stdout=subprocess.PIPE) as writer:
        writer.stdout.readline()
        seen = []
        while len(seen) < 600:
            with closing(JournalReader(path)) as journal:
                seen += [e.request.index for e in islice(journal.evaluations(after=len(seen)), 20)]
        assert seen == list(range(600))
    assert writer.returncode == 0


def test_a_reader_in_the_middle_lets_the_writer_write(path):
    fill(path, 3000)
    with closing(JournalReader(path)) as journal, closing(sqlite3.connect(path, timeout=0)) as writer:
        rows = journal.evaluations()
        next(rows)
        writer.execute("DELETE FROM losses")
        writer.execute("INSERT INTO losses (genome, reason) VALUES ('00', 'gone')")
        writer.commit()
        assert sum(1 for _ in rows) == 2999


def test_a_lock_is_waited_for_but_not_for_ever(path, monkeypatch):
    fill(path, 3)
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other:
        other.execute("BEGIN EXCLUSIVE")
        timer = threading.Timer(0.5, lambda: other.execute("COMMIT"))
        timer.start()
        assert indices(path) == [0, 1, 2]
        timer.join()
        other.execute("BEGIN EXCLUSIVE")
        monkeypatch.setattr(reading, "PATIENCE_S", 0.1)
        with pytest.raises(InputError, match="keeps it locked"):
            JournalReader(path)


def test_tables_that_are_not_there_are_empty(path):
    path.touch()  # as a driver that just begins has it
    assert indices(path) == []
    fill(path, 3)
    with closing(sqlite3.connect(path)) as database:
        database.execute("DROP TABLE crew")
        database.execute("DROP TABLE losses")
        database.execute("DROP TABLE predictors")
    with closing(JournalReader(path)) as journal:
        assert journal.count() == 3
        assert journal.predictors() == []
        assert journal.crew("evolution") == []
        assert not journal.losses()
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall() == [("evaluations",)]


def test_what_is_no_journal_is_refused(path, tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        JournalReader(path)
    assert not path.exists()
    path.write_bytes(b"no database, but long enough to look at" * 99)
    with pytest.raises(InputError, match="is not a journal"):
        JournalReader(path)
    other = tmp_path / "other.sqlite"
    with closing(sqlite3.connect(other)) as database:
        database.execute("CREATE TABLE songs (name TEXT)")
    with pytest.raises(InputError, match="is not a journal"):
        JournalReader(other)
    fill(path := tmp_path / "newer.sqlite", 1)
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE evaluations SET record = json_set(record, '$.colour', 'red')")
    with pytest.raises(InputError, match=r"newer.sqlite: was written by another version"):
        indices(path)


def test_a_folder_that_only_others_may_write_to_is_read():
    folder = Path(tempfile.mkdtemp())
    user = os.geteuid()
    try:
        fill(folder / "journal.sqlite", 3)
        (folder / "journal.sqlite").chmod(0o444)
        folder.chmod(0o555)
        if user == 0:  # who may write anywhere
            os.seteuid(65534)
        with pytest.raises(PermissionError):
            (folder / "new").touch()
        assert indices(folder / "journal.sqlite") == [0, 1, 2]
    finally:
        os.seteuid(user)
        folder.chmod(0o755)
        shutil.rmtree(folder)


def test_time_with_a_crew_ends_where_it_is_asked_for():
    crew = [(0.0, 2), (10.0, 0), (30.0, 1)]
    assert [running_seconds(crew, until) for until in (5, 10, 20, 30, 35)] == [5, 10, 10, 10, 15]


def test_a_glimpse_of_a_transaction_that_begins_is_no_reason_to_copy(path, monkeypatch):
    fill(path, 3)
    copied, fetch = [], Records._fetch
    monkeypatch.setattr(shutil, "copyfile", lambda *files: copied.append(files))
    glimpse = sqlite3.OperationalError("attempt to write a readonly database")
    glimpse.sqlite_errorname = "SQLITE_READONLY_ROLLBACK"
    glimpses = [glimpse] * 3

    def fetch_in_a_race(self, *query):
        if glimpses:
            raise glimpses.pop()
        return fetch(self, *query)

    monkeypatch.setattr(Records, "_fetch", fetch_in_a_race)
    assert indices(path) == [0, 1, 2]
    assert (glimpses, copied) == ([], [])
