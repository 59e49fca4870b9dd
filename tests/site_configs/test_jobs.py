"""No job outlives its run, and no other's job is touched: the ledger, what is cancelled by it, and the reaper."""

import errno
import fcntl
import getpass
import os
import pwd
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

import site_configs.jobs
from site_configs.jobs import JobLedger, cancel_jobs, one_at_a_time
from site_configs.reaper import reaping

NAME = "parsl.evo1f2e-"
TOOLS = [shutil.which("cat"), shutil.which("sleep")]
ROOT = Path(__file__).resolve().parents[2]


def wait_until(condition, seconds=20):
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)
    return condition()


class System:
    """Commands of batch systems: what they say, and what they were asked."""

    def __init__(self, folder):
        self.folder, self.calls_file = folder, folder / "calls"
        for tool in TOOLS:  # nothing else is on PATH, above all no batch system that is there in earnest
            (folder / Path(tool).name).symlink_to(tool)
        for command in ("squeue", "bjobs", "scancel", "bkill", "qdel"):
            self.says(command)

    def says(self, command, stdout="", status=0, seconds=0, *, if_given="", before=""):
        """`if_given` is an argument with which alone it fails, `before` is shell that runs before it answers."""
        out = self.folder / f"{command}.out"
        out.write_bytes(stdout if isinstance(stdout, bytes) else stdout.encode())
        script = self.folder / command
        end = f'case " $* " in *" {if_given} "*) exit {status};; esac' if if_given else f"exit {status}"
        script.write_text(
            f"#!/bin/sh\nsaid={command}\n"
            'for argument in "$@"; do said="$said <$argument>"; done\n'
            f'echo "$said" >> {self.calls_file}\n'
            + (f"exec sleep {seconds}\n" if seconds else "")
            + f"{before}\ncat {out}\n{end}\n"
        )
        script.chmod(0o755)

    def lacks(self, *commands):
        for command in commands:
            (self.folder / command).unlink()

    def calls(self):
        return self.calls_file.read_text().splitlines() if self.calls_file.exists() else []

    def cancelled(self):
        """The jobs that were to be cancelled, with the command that was to do so."""
        calls = [(line.split()[0], re.findall("<([^>]*)>", line)) for line in self.calls()]
        return {(command, job) for command, jobs in calls if command in {"scancel", "bkill", "qdel"} for job in jobs}


@pytest.fixture
def system(tmp_path, monkeypatch):
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("LOGNAME", "me")
    return System(tmp_path / "bin")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "jobs.txt"


def noted(path, *jobs):
    ledger = JobLedger(path, NAME)
    for job in jobs:
        ledger.note(*job.split())
    return path


def test_a_ledger_has_the_run_s_name_and_its_jobs(path):
    noted(path, "slurm 7", "lsf 8")
    noted(path, "pbs 9.server")  # another life
    assert path.read_text() == f"slurm 7 {NAME}\nlsf 8 {NAME}\npbs 9.server {NAME}\n"


def test_each_line_of_a_ledger_is_enough(system, path):
    """Those of a life whose name was another, say, where the run folder was copied."""
    noted(path, "slurm 7")
    JobLedger(path, "parsl.evo9d8c-").note("slurm", "8")
    system.says("squeue", f"7 {NAME}0.block-0\n21 {NAME}0.block-1\n22 parsl.evo9d8c-0.block-0\n23 parsl.evo0000-0\n")
    cancel_jobs(path)
    assert system.cancelled() == {("scancel", job) for job in ("7", "8", "21", "22")}


def test_exactly_what_was_noted_is_cancelled(system, path):
    assert cancel_jobs(noted(path, "slurm 7", "slurm 12345", "lsf 8", "pbs 9.server")) == 4
    expected = {("scancel", "7"), ("scancel", "12345"), ("bkill", "8"), ("qdel", "9.server")}
    assert system.cancelled() == expected
    assert not path.exists()


def test_a_job_that_was_noted_twice_is_one(system, path):
    assert cancel_jobs(noted(path, "slurm 7", "slurm 7")) == 1
    assert system.cancelled() == {("scancel", "7")}


QUEUE = f"""
7 {NAME}0.block-0.1700000000.1
11 {NAME}0.block-1.1700000001.5
12 {NAME}3.block-0.1700000002.0
13 somebody's job
14 parsl.evo1f2
15 parsl.evo-0.block-0.1
16 parsl.htex.block-0.1
17 my {NAME}0.block-0.1
18
19 jupyter
""".lstrip()


@pytest.mark.parametrize(("kind", "cancel", "ask"), [("slurm", "scancel", "squeue"), ("lsf", "bkill", "bjobs")])
def test_jobs_of_our_name_are_cancelled_too_and_nobody_elses(system, path, kind, cancel, ask):
    """Of one that was submitted as the driver was killed nobody wrote down the number."""
    system.says(ask, QUEUE)
    cancel_jobs(noted(path, f"{kind} 7", f"{kind} 9"))
    assert system.cancelled() == {(cancel, job) for job in ("7", "9", "11", "12")}


@pytest.mark.parametrize(("kind", "cancel", "ask"), [("slurm", "scancel", "squeue"), ("lsf", "bkill", "bjobs")])
def test_a_number_that_is_somebody_else_s_job_now_is_left_alone(system, path, kind, cancel, ask):
    """Batch systems begin anew with numbers, and a folder may have come from another cluster."""
    system.says(ask, QUEUE)
    cancel_jobs(noted(path, f"{kind} 7", f"{kind} 9", f"{kind} 13", f"{kind} 16", f"{kind} 17"))
    assert system.cancelled() == {(cancel, job) for job in ("7", "9", "11", "12")}
    assert not path.exists()
    system.says(ask, "13 somebody's job\n")
    calls = len(system.calls())
    assert cancel_jobs(noted(path, f"{kind} 13")) == 1
    assert [call.split()[0] for call in system.calls()[calls:]] == [ask]  # there is nothing to cancel
    assert not path.exists()


def test_what_cannot_be_listed_is_cancelled_by_its_number(system, path):
    system.says("squeue", "slurm_load_jobs error: Invalid user id\n", status=1)
    cancel_jobs(noted(path, "slurm 7", "pbs 13"))
    assert system.cancelled() == {("scancel", "7"), ("qdel", "13")}


def test_only_the_user_s_own_jobs_are_looked_at(system, path):
    cancel_jobs(noted(path, "slurm 7"))
    assert [call for call in system.calls() if call.startswith("squeue")] == [
        f"squeue <--noheader> <--user={os.getuid()}> <--format=%i %j>"
    ]


def test_columns_may_be_padded(system, path):
    system.says("squeue", f"     11   {NAME}0.block-1.17   \n       13  other\n")
    cancel_jobs(noted(path, "slurm 7"))
    assert system.cancelled() == {("scancel", "7"), ("scancel", "11")}


def test_without_a_ledger_nothing_is_cancelled(system, path):
    assert cancel_jobs(path) == 0
    assert system.calls() == []


def test_the_second_time_there_is_nothing_left_to_do(system, path):
    system.says("squeue", QUEUE)
    cancel_jobs(noted(path, "slurm 7"))
    assert system.cancelled() == {("scancel", job) for job in ("7", "11", "12")}
    before = system.calls()
    assert cancel_jobs(path) == 0
    assert system.calls() == before
    cancel_jobs(noted(path, "slurm 8"))  # and the next life has a ledger again
    assert ("scancel", "8") in system.cancelled()


@pytest.mark.parametrize("commands", [("scancel",), ("squeue",), ("scancel", "squeue")])
def test_commands_that_are_missing_do_not_matter(system, path, commands):
    system.lacks(*commands)
    cancel_jobs(noted(path, "slurm 7", "lsf 8"))
    assert ("bkill", "8") in system.cancelled()
    assert (("scancel", "7") in system.cancelled()) == ("scancel" not in commands)


@pytest.mark.parametrize("command", ["squeue", "scancel"])
def test_commands_that_fail_do_not_matter(system, path, command):
    system.says(command, "slurm_load_jobs error: Unable to contact slurm controller\n", status=1)
    cancel_jobs(noted(path, "slurm 7", "slurm 8", "lsf 9"))
    assert system.cancelled() == {("scancel", "7"), ("scancel", "8"), ("bkill", "9")}


@pytest.mark.parametrize("command", ["squeue", "scancel"])
def test_commands_that_hang_do_not_matter(system, path, monkeypatch, command):
    monkeypatch.setattr(site_configs.jobs, "COMMAND_S", 0.3)
    system.says(command, seconds=20)
    cancel_jobs(noted(path, "slurm 7", "lsf 9"))
    assert system.cancelled() == {("scancel", "7"), ("bkill", "9")}


OUT_OF_REACH = ["is missing", "hangs"]
AWAY = {
    "slurm": [
        "scancel: error: Unable to contact slurm controller (connect failure)",
        "scancel: error: Kill job error on job id 7: Socket timed out on send/recv operation",
    ],
    "lsf": ["Failed in an LSF library call: Communication time out", "LSF is down. Please wait ..."],
    "pbs": ["Connection refused\nqdel: cannot connect to server pbs (errno=111)"],
}


def out_of_reach(system, monkeypatch, command, how):
    """Have the batch system be away, as one of its commands has it; `how` is that, or what it complains of."""
    if how == "is missing":
        system.lacks(command)
    elif how == "hangs":
        monkeypatch.setattr(site_configs.jobs, "COMMAND_S", 0.3)
        system.says(command, seconds=20)
    else:
        system.says(command, f"{how}\n", status=1)


@pytest.mark.parametrize(("kind", "how"), [(kind, how) for kind in AWAY for how in [*OUT_OF_REACH, *AWAY[kind]]])
def test_a_ledger_is_kept_while_the_batch_system_is_out_of_reach(system, path, monkeypatch, kind, how):
    command = site_configs.jobs.CANCEL[kind]
    out_of_reach(system, monkeypatch, command, how)
    cancel_jobs(noted(path, f"{kind} 7", f"{kind} 8"))
    assert path.exists()
    monkeypatch.setattr(site_configs.jobs, "COMMAND_S", 20.0)
    system.says(command)
    cancel_jobs(path)
    assert {(command, "7"), (command, "8")} <= system.cancelled()
    assert not path.exists()


@pytest.mark.parametrize("how", [*OUT_OF_REACH, AWAY["slurm"][0].replace("scancel", "squeue")])
def test_a_ledger_is_kept_until_jobs_could_be_looked_for_by_name(system, path, monkeypatch, how):
    """Of one that was submitted as the driver was killed nothing else is known."""
    out_of_reach(system, monkeypatch, "squeue", how)
    cancel_jobs(noted(path, "slurm 7"))
    monkeypatch.setattr(site_configs.jobs, "COMMAND_S", 20.0)
    system.says("squeue", QUEUE)
    cancel_jobs(path)
    assert system.cancelled() == {("scancel", job) for job in ("7", "11", "12")}


@pytest.mark.parametrize(
    ("kind", "command", "complaint"),
    [
        ("slurm", "scancel", "scancel: error: Kill job error on job id 7: Invalid job id specified"),
        ("slurm", "scancel", "scancel: error: Kill job error on job id 7: Access/permission denied"),
        ("lsf", "bkill", "Job <7>: Job has already finished"),
        ("pbs", "qdel", "qdel: Unknown Job Id 7.server"),
    ],
)
def test_a_ledger_is_not_kept_for_jobs_that_cannot_be_cancelled(system, path, kind, command, complaint):
    system.says(command, f"{complaint}\n", status=1)
    cancel_jobs(noted(path, f"{kind} 7"))
    assert not path.exists()


def test_of_several_batch_systems_one_may_be_out_of_reach(system, path):
    system.lacks("scancel")
    cancel_jobs(noted(path, "lsf 8", "slurm 7", "pbs 9"))
    assert system.cancelled() == {("bkill", "8"), ("qdel", "9")}
    assert path.exists()


def test_what_a_life_could_not_cancel_the_next_one_does(system, path):
    system.says("scancel", AWAY["slurm"][0], status=1)
    with reaping(path):
        noted(path, "slurm 7")
    assert path.exists()
    system.says("scancel")
    system.calls_file.unlink()
    with reaping(path):
        assert system.cancelled() == {("scancel", "7")}
        assert not path.exists()
        noted(path, "slurm 8")
    assert not path.exists()


@pytest.mark.parametrize("garbage", [b"\xff\xfe\x00\n", b"error: \xfcberlastet\n", b"\n\n  \n"])
def test_what_cannot_be_read_does_not_matter(system, path, garbage):
    system.says("squeue", garbage + QUEUE.encode())
    system.says("scancel", garbage)
    cancel_jobs(noted(path, "slurm 7", "lsf 9"))
    assert {("scancel", "7"), ("bkill", "9")} <= system.cancelled()
    assert {job for _, job in system.cancelled()} <= {"7", "9", "11", "12"}


def test_one_job_that_has_ended_does_not_keep_others_from_being_cancelled(system, path):
    """LSF then refuses all that it was given at once."""
    system.says("bkill", status=255, if_given="7")
    cancel_jobs(noted(path, "lsf 6", "lsf 7", "lsf 8"))
    assert {"bkill <6>", "bkill <8>"} <= set(system.calls())


def test_a_user_without_a_name_can_cancel_what_was_noted(system, path, monkeypatch):
    """As in a container that runs under a number of its own."""

    def unknown(_uid):
        raise KeyError("getpwuid(): uid not found: 12345")

    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", unknown)
    with pytest.raises((KeyError, OSError)):
        getpass.getuser()
    cancel_jobs(noted(path, "slurm 7", "lsf 8", "pbs 9"))
    assert system.cancelled() == {("scancel", "7"), ("bkill", "8"), ("qdel", "9")}


LINE = f"slurm 1234 {NAME}"
BEGUN = ["", "slu", "slurm", "slurm ", "slurm 12", "slurm 1234", "slurm 1234 ", "slurm 1234 par", "slurm 1234 parsl."]
BEGUN += ["slurm 1234 parsl.e", "slurm 1234 parsl.evo1f2", LINE]
CUT = [*BEGUN, *(f"{LINE}\n{begun.replace('1234', '1301')}" for begun in BEGUN)]
# Jobs of others, whose numbers or names begin as what is cut short does.
OTHERS = """
12 another
123 of mine
1 and one more
130 parsl.evo1f2a-0.block-0.17
14 parsl.evo1f2
15 parsl.evo-0.block-0.1
16 parsl.htex.block-0.1
""".lstrip()


@pytest.mark.parametrize("text", [*CUT, f"{LINE}\nslurm 1301 {NAME}\n"])
def test_a_ledger_whose_end_is_missing_is_read_as_far_as_it_goes(system, path, text):
    """Killed as it was written, or the disk was full: what is cut short is no job, and perhaps another's number."""
    path.write_text(text)
    system.says("squeue", OTHERS)
    cancel_jobs(path)
    entire = {job for job in ("1234", "1301") if f" {job} {NAME}\n" in text}
    assert entire <= {number for _, number in system.cancelled()} <= {"1234", "1301"}


@pytest.mark.parametrize("text", CUT)
def test_what_is_noted_after_a_ledger_was_cut_short_is_cancelled(system, path, text):
    """In the next life, which begins with the cancellation of what there was."""
    path.write_text(text)
    with reaping(path):
        noted(path, "slurm 21", "slurm 22")
    assert {("scancel", "21"), ("scancel", "22")} <= system.cancelled()


@pytest.mark.parametrize("text", CUT)
def test_what_was_cut_short_is_not_made_whole_by_what_is_noted_after_it(system, path, text):
    """In the same life, where the disk was full for a while. Then names that begin so are not all ours."""
    path.write_text(text)
    system.says("squeue", OTHERS)
    cancel_jobs(noted(path, "slurm 21", "slurm 22"))
    entire = {job for job in ("1234", "1301") if f" {job} {NAME}\n" in text}
    assert {"21", "22"} | entire <= {job for _, job in system.cancelled()} <= {"21", "22", "1234", "1301"}


@pytest.mark.parametrize(
    "text",
    [
        "\n\n\n",
        "\0" * 100,
        "\0" * 20 + f"\nslurm 7 {NAME}\n",
        f"\nslurm 7 {NAME}\n\xff\n",
        f"cray 7 {NAME}\n",
        f"{NAME}\nslurm 7\n",
        f"slurm  {NAME}\n",
        f"slurm --user=me {NAME}\n",
        f"slurm 7  {NAME}\n",
        "slurm 7 \n",
        "slurm 7 parsl.\n",
        "slurm 7 jupyter\n",
    ],
)
def test_a_ledger_that_makes_no_sense_harms_nobody(system, path, text):
    path.write_text(text, encoding="latin-1")
    system.says("squeue", QUEUE)
    cancel_jobs(path)
    ours = {"7", "11", "12"} if f"\nslurm 7 {NAME}\n" in text else set()
    assert {job for _, job in system.cancelled()} == ours


def test_one_waits_until_nobody_else_cancels_a_ledgers_jobs(path):
    entered = threading.Event()

    def enter():
        with one_at_a_time(path):
            entered.set()

    other = threading.Thread(target=enter)
    with one_at_a_time(path):
        other.start()
        assert not entered.wait(0.2)
    assert entered.wait(20)
    other.join()
    assert not path.exists()  # that is not what is locked


def test_one_does_not_wait_for_the_killed_nor_for_other_ledgers(path, tmp_path):
    code = "import sys, time; from pathlib import Path; from site_configs.jobs import one_at_a_time\n"
    code += "with one_at_a_time(Path(sys.argv[1])): print('locked', flush=True); time.sleep(60)"
    command = [sys.executable, "-c", code, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as holder:
        assert holder.stdout.readline() == "locked\n"
        with one_at_a_time(tmp_path / "another.txt"):
            holder.kill()
    with one_at_a_time(path):
        pass


def test_a_file_system_without_locks_does_not_matter(system, path, monkeypatch):
    def flock(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", flock)
    with reaping(path):
        noted(path, "slurm 7")
    assert system.cancelled() == {("scancel", "7")}


def test_a_run_cancels_its_jobs_at_the_end(system, path):
    with reaping(path):
        noted(path, "slurm 7", "slurm 8")
        assert system.cancelled() == set()
    assert system.cancelled() == {("scancel", "7"), ("scancel", "8")}
    assert not path.exists()


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_a_run_cancels_its_jobs_whatever_ends_it(system, path, error):
    def run():
        with reaping(path):
            noted(path, "slurm 7")
            raise error

    with pytest.raises(error):
        run()
    assert system.cancelled() == {("scancel", "7")}


def test_what_an_earlier_life_left_behind_is_cancelled_first(system, path):
    noted(path, "slurm 5")
    with reaping(path):
        assert system.cancelled() == {("scancel", "5")}
        noted(path, "slurm 7")
    assert system.cancelled() == {("scancel", "5"), ("scancel", "7")}


def test_where_there_will_be_no_jobs_there_is_no_reaper(system, path, monkeypatch):
    monkeypatch.setattr("site_configs.reaper.subprocess", None)
    with reaping(path, jobs=False):
        pass
    assert system.calls() == []
    assert list(path.parent.glob("jobs*")) == []


def test_what_was_left_on_a_cluster_is_cancelled_where_a_run_goes_on_here(system, path):
    noted(path, "slurm 5")
    with reaping(path, jobs=False):
        assert system.cancelled() == {("scancel", "5")}


# A driver that notes a job and says so.
DRIVER = """
import sys, time
from pathlib import Path
from site_configs.jobs import JobLedger
from site_configs.reaper import reaping

with reaping(Path(sys.argv[1])):
    JobLedger(Path(sys.argv[1]), "parsl.evo1f2e-").note("slurm", "7")
    print("noted", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def driver(path):
    command = [sys.executable, "-c", DRIVER, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True, cwd=ROOT) as process:
        assert process.stdout.readline() == "noted\n"
        yield process
        process.kill()


@pytest.mark.parametrize("end", ["the driver alone", "its terminal", "by Ctrl-C"])
def test_a_driver_that_is_killed_has_its_jobs_cancelled_all_the_same(system, path, driver, end):
    system.says("squeue", QUEUE)
    assert system.cancelled() == set()
    if end == "the driver alone":
        driver.kill()
    else:
        os.killpg(driver.pid, signal.SIGKILL if end == "its terminal" else signal.SIGINT)
    assert driver.wait(20) != 0
    assert wait_until(lambda: not path.exists())
    assert system.cancelled() == {("scancel", job) for job in ("7", "11", "12")}


def reapers(path):
    """The processes that wait to cancel a ledger's jobs, or do so."""
    marks = {"site_configs.reaper", str(path)}
    return [one for one in psutil.process_iter(["cmdline"]) if marks <= set(one.info["cmdline"] or ())]


def test_the_next_life_may_begin_before_the_reaper_is_done(system, path, driver, tmp_path):
    """Its jobs have the same name, and a busy batch system takes a minute to tell the old life's reaper of them."""
    first, go = tmp_path / "first", tmp_path / "go"
    wait = f"if [ ! -e {first} ]; then : > {first}; until [ -e {go} ]; do sleep 0.02; done; fi"
    system.says("squeue", f"7 {NAME}0.block-0.17\n", before=wait)
    driver.kill()
    assert wait_until(first.exists)  # the reaper asks which jobs there are
    timer = threading.Timer(1.0, go.touch)  # by itself, as the new life may well wait for the old reaper
    timer.start()
    with reaping(path):
        noted(path, "slurm 70")
        (system.folder / "squeue.out").write_text(f"70 {NAME}0.block-0.18\n")
        timer.join()
        assert wait_until(lambda: len(reapers(path)) == 1)
        assert ("scancel", "70") not in system.cancelled()
        assert path.exists()
    assert {("scancel", "7"), ("scancel", "70")} <= system.cancelled()
