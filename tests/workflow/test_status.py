"""How a run stands: the numbers, who works on it, and the live view in a terminal."""

import fcntl
import os
import pty
import select
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing, contextmanager

import pytest
from typer.testing import CliRunner

from search.evaluation import Status
from workflow.cli import app
from workflow.config import load_config
from workflow.run_folder import RunFolder
from workflow.standing import duration
from workflow.status import Watch

COMMAND = "import fcntl, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); from workflow.cli import main; main()"


def status(path):
    return CliRunner().invoke(app, ["status", str(path)])


def rows(text):
    """Cells of the table by the name of their row: evolution and tuning."""
    lines = text.splitlines()
    head = next(line for line in lines if line.split() == ["evolution", "tuning"])
    first, second = head.index("evolution"), head.index("tuning")
    return {line[:first].strip(): (line[first:second].strip(), line[second:].strip()) for line in lines[3:] if line}


@contextmanager
def driver(run):
    """Hold a run's folder as its driver does."""
    with (run.path / ".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def test_the_numbers_are_those_of_a_hand_made_journal(made_run, evaluation):
    # Two workers from 1000 s on; the driver was away from 1030 to 5000 s.
    made_run.record(
        evaluation(0, 0.3, 1010),
        evaluation(1, 0.7, 1010),
        evaluation(2, 0.8, 1020, status=Status.DIVERGED, reason="the loss is not a number"),
        evaluation(3, 0.7, 1020),
        evaluation(4, 0.2, 1030),
        evaluation(5, 0.0, status=Status.LOST, reason="its worker went away"),
        evaluation(6, 0.1, 5010),
        crew=[("evolution", 1000, 2), ("evolution", 1030, 0), ("evolution", 5000, 2), ("evolution", 5010, 0)],
    )
    done = status(made_run.path)
    assert done.exit_code == 0
    assert f"{made_run.path}: interrupted while searching; the same command goes on" in done.output.replace("\n", "")
    shown = rows(done.output)
    assert shown["networks"] == ("7 of 20", "0 of 6")
    assert shown["best error"] == ("0.3000 (network 1)", "-")
    assert shown["failed"] == ("1 diverged, 1 lost", "-")
    # From the first end, at 1010 s, to the last there were 30 s with a crew, and five more results with a time.
    assert shown["networks/min"] == ("10.0", "-")
    assert shown["time left"] == ("78 s", "-")  # 13 more
    assert shown["busy"] == ("75 %", "-")  # six times 10 s of 40 s of two workers
    assert "last result" not in shown
    assert "network 2: diverged, the loss is not a number" in done.output
    assert "network 5: lost, its worker went away" in done.output


def test_who_works_on_it_is_told_by_the_lock(made_run, evaluation):
    def headline():
        return status(made_run.path).output.split("\n\n")[0].replace("\n", "")

    assert headline().endswith("interrupted while preparing; the same command goes on")
    with driver(made_run):
        assert headline().endswith("working, preparing")
        made_run.record(evaluation(0, 0.3, time.time() - 5), crew=[("evolution", time.time() - 20, 3)])
        done = status(made_run.path)
        assert headline().endswith("working, searching")
        assert rows(done.output)["workers"] == ("3", "-")
        assert rows(done.output)["last result"][0] in {"5 s ago", "6 s ago", "7 s ago", "8 s ago"}
        made_run.record(*(evaluation(i, 0.3, 9) for i in range(1, 20)))
        made_run.record(*(evaluation(i, 0.3, 9, "tuning") for i in range(20, 26)))
        assert headline().endswith("working, training the best networks in full")
        (made_run.path / "detector.safetensors").touch()
        assert headline().endswith("working, finding defects in the other frames")
    assert "interrupted while finding defects" in headline()
    (made_run.path / "summary.json").touch()
    assert headline().endswith("made: finished")


def test_a_stage_that_ended_early_is_done_once_the_next_has_begun(made_run, evaluation):
    made_run.record(*(evaluation(i, 0.3, 10 * i) for i in range(1, 5)), evaluation(5, 0.4, 60, "tuning"))
    shown = rows(status(made_run.path).output)
    assert shown["networks"] == ("4 of 20", "1 of 6")
    assert shown["time left"] == ("done", "-")


def test_looking_changes_nothing_in_the_folder(made_run, evaluation):
    made_run.record(*(evaluation(i, 0.3, 10) for i in range(5)), crew=[("evolution", 0, 2)])
    (made_run.path / ".lock").touch()
    before = made_run.contents()
    assert status(made_run.path).exit_code == 0
    assert made_run.contents() == before


def test_only_what_is_new_is_read(made_run, evaluation):
    made_run.record(*(evaluation(i, 0.3, 10) for i in range(5)))
    watch = Watch(made_run.path)
    watch.look()
    with closing(sqlite3.connect(made_run.journal)) as database, database:
        database.execute("UPDATE evaluations SET record = 'cannot be read again'")
    made_run.record(evaluation(5, 0.6, 20))
    watch.look()
    assert watch.standings["evolution"].done == 6
    assert watch.standings["evolution"].best.request.index == 5


def test_a_driver_begins_although_many_look(made_run, tmp_path):
    folder = RunFolder(made_run.path)
    config = load_config(folder.config, {"movie": str(tmp_path)})
    folder.config.unlink()
    looking, looks = threading.Event(), []
    looking.set()

    def look():
        while looking.is_set():
            looks.append(folder.held)

    threads = [threading.Thread(target=look) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(20):
            with folder.claimed(config):
                assert folder.held
                # Each of them may be in the midst of a look that began before.
                before, until = len(looks), time.monotonic() + 30
                while len(looks) <= before + len(threads):
                    assert time.monotonic() < until
                    time.sleep(0.001)
                assert True in looks[before:]
    finally:
        looking.clear()
        for thread in threads:
            thread.join()
    assert not folder.held


@pytest.mark.parametrize(
    ("name", "words"),
    [("none", "none: no such folder"), ("..", "is not the folder of a run"), ("made/config.toml", "is not the folder")],
)
def test_what_is_no_run_is_one_line_and_status_2(made_run, name, words):
    for command in ("status", "history"):
        done = CliRunner().invoke(app, [command, str(made_run.path.parent / name)])
        assert (done.exit_code, done.stdout) == (2, "")
        assert words in done.stderr
        assert done.stderr.count("\n") == 1


def test_settings_and_journals_that_cannot_be_read_are_one_line(made_run):
    made_run.journal.write_bytes(b"what is this" * 999)
    done = status(made_run.path)
    assert (done.exit_code, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert "journal.sqlite: is not a journal" in done.stderr
    (made_run.path / "config.toml").write_text("[search]\npopulation = -3\n")
    done = status(made_run.path)
    assert (done.exit_code, done.stdout, done.stderr.count("\n")) == (2, "", 1)


class Terminal:
    """`evostem status` in a terminal of 80 columns."""

    def __init__(self, path):
        self.master, slave = pty.openpty()
        environment = {**os.environ, "TERM": "xterm", "COLUMNS": "80", "LINES": "24"}
        command = [sys.executable, "-c", COMMAND, "status", str(path)]
        self.process = subprocess.Popen(
            command, stdin=slave, stdout=slave, stderr=slave, env=environment, start_new_session=True
        )
        os.close(slave)
        self.text = ""

    def read(self, until="", seconds=60):
        """Read until a text has been shown, or the end."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and not (until and until in self.text):
            if select.select([self.master], [], [], 0.1)[0]:
                try:
                    self.text += os.read(self.master, 65536).decode()
                except OSError:  # nobody is at the other end any more
                    break
        return self.text

    def close(self):
        os.close(self.master)
        self.process.kill()
        self.process.wait()


def test_the_live_view_follows_a_run_to_its_end(made_run, evaluation):
    with driver(made_run):
        terminal = Terminal(made_run.path)
        try:
            assert "preparing" in terminal.read(until="preparing")
            made_run.record(*(evaluation(i, 0.3, 10) for i in range(3)))
            assert "3 of 20" in terminal.read(until="3 of 20")
            made_run.record(*(evaluation(i, 0.3, 10) for i in range(3, 9)))
            assert "9 of 20" in terminal.read(until="9 of 20")
            assert terminal.process.poll() is None
            (made_run.path / "summary.json").touch()
            assert "finished" in terminal.read(until="finished")
        except BaseException:
            terminal.close()
            raise
    try:
        assert terminal.process.wait(30) == 0
        assert "Traceback" not in terminal.read(seconds=5)
    finally:
        terminal.close()


def test_the_live_view_ends_when_the_driver_is_gone_and_quietly_with_ctrl_c(made_run, evaluation):
    made_run.record(*(evaluation(i, 0.3, 10) for i in range(3)))
    gone = Terminal(made_run.path)
    try:
        assert "interrupted while" in gone.read()
        assert gone.process.wait(30) == 0
    finally:
        gone.close()
    with driver(made_run):
        stopped = Terminal(made_run.path)
        try:
            stopped.read(until="working")
            os.write(stopped.master, b"\x03")
            assert stopped.process.wait(30) == 0
            said = stopped.read(seconds=5)
            assert "Traceback" not in said
            assert "Aborted" not in said
            assert said.endswith("\x1b[?25h")  # the cursor is back
        finally:
            stopped.close()


def test_durations_are_told_in_two_units():
    given = [0, 45.4, 100, 3599, 12000, 187200]
    assert [duration(s) for s in given] == ["0 s", "45 s", "2 min", "1 h 0 min", "3 h 20 min", "2 d 4 h"]
