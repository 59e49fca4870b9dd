"""Batch systems that fail, hang, talk nonsense or forget: commands that are shell scripts stand for them."""

import json
import os
import shlex
import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
from parsl.executors.errors import ScalingFailed
from parsl.jobs.states import JobState
from parsl.launchers import SingleNodeLauncher
from parsl.providers import LSFProvider, PBSProProvider, SlurmProvider
from parsl.providers.errors import SubmitException

import site_configs.batch
from site_configs.batch import YOUNG_S, BatchProvider, NotSubmittedError, PatientCommands
from site_configs.jobs import JobLedger
from tests.clusters.host import wait_until

OLD_S = 10 * YOUNG_S
TOOLS = [shutil.which("cat"), shutil.which("sleep")]
SYSTEMS = ["slurm", "lsf", "pbs"]
SUBMIT = {"slurm": "sbatch", "lsf": "bsub", "pbs": "qsub"}
STATUS = {"slurm": "squeue", "lsf": "bjobs", "pbs": "qstat"}
CANCEL = {"slurm": "scancel", "lsf": "bkill", "pbs": "qdel"}


# As `site_configs.slurm`, `lsf` and `pbs` have them.


class Slurm(BatchProvider, SlurmProvider, PatientCommands):
    pass


class Lsf(BatchProvider, LSFProvider, PatientCommands):
    pass


class Pbs(BatchProvider, PBSProProvider, PatientCommands):
    pass


class System:
    """A batch system: what its commands say, and what they were asked."""

    def __init__(self, folder, kind):
        self.folder, self.kind = folder, kind
        self.calls_file = folder / "calls"
        for tool in TOOLS:  # nothing else is on PATH, above all no batch system that is there in earnest
            (folder / Path(tool).name).symlink_to(tool)
        self.says("sacct", stderr="Slurm accounting storage is disabled", status=1)
        self.says(CANCEL[kind])

    def says(self, command, stdout="", stderr="", status=0, seconds=0, *, before=""):
        """What a command says, after so many seconds; `before` is shell that runs before that."""
        script = self.folder / command
        if isinstance(stdout, bytes):
            (self.folder / f"{command}.out").write_bytes(stdout)
            say = f"cat {script}.out"
        else:
            say = f"printf %s {shlex.quote(stdout)}"
        script.write_text(
            f'#!/bin/sh\necho "{command} $*" >> {self.calls_file}\n'
            + (f"exec sleep {seconds}\n" if seconds else "")
            + f"{before}\n{say}\nprintf %s {shlex.quote(stderr)} >&2\nexit {status}\n"
        )
        script.chmod(0o755)

    def calls(self, command):
        lines = self.calls_file.read_text().splitlines() if self.calls_file.exists() else []
        return [line for line in lines if line.split()[0] == command]

    def accepts(self, job):
        """From now on it takes jobs, and gives them this number."""
        accepted = {
            "slurm": f"Submitted batch job {job}\n",
            "lsf": f"Job <{job}> is submitted to queue <batch>.\n",
            "pbs": f"{job}\n",
        }
        self.says(SUBMIT[self.kind], accepted[self.kind])

    def lists(self, jobs, stderr="", status=0):
        """What it tells of jobs when asked; states are its own."""
        if self.kind == "pbs":
            told = json.dumps(pbs_answer(jobs))
        else:
            told = "".join(f"{job} {state}\n" for job, state in jobs.items())
        self.says(STATUS[self.kind], told, stderr, status)


def pbs_answer(jobs):
    head = {"timestamp": 1, "pbs_version": "23", "pbs_server": "server"}
    return {**head, "Jobs": {job: {"job_state": state} for job, state in jobs.items()}} if jobs else head


# What each calls the states of a job that runs, waits and is over.
RUNS = {"slurm": "R", "lsf": "RUN", "pbs": "R"}
WAITS = {"slurm": "PD", "lsf": "PEND", "pbs": "Q"}
OVER = {"slurm": "CD", "lsf": "DONE", "pbs": "F"}


class Clock:
    def __init__(self):
        self.now = 1000.0

    def monotonic(self):
        return self.now


class Site:
    """A provider, its batch system, and time."""

    def __init__(self, folder, kind, clock):
        self.kind, self.clock = kind, clock
        (folder / "bin").mkdir()
        self.system = System(folder / "bin", kind)
        self.path = folder / "jobs"
        self.scripts = folder / "scripts"
        self.scripts.mkdir()

    def provider(self, **facts):
        made = {"slurm": Slurm, "lsf": Lsf, "pbs": Pbs}[self.kind](
            init_blocks=0, walltime="01:00:00", cmd_timeout=20, launcher=SingleNodeLauncher(), **facts
        )
        made.script_dir = str(self.scripts)
        made.ledger = JobLedger(self.path, "parsl.evo-")
        return made

    def submitted(self, provider, *jobs, age_s=OLD_S):
        """Submits jobs that get these numbers; they are so old when the next thing happens."""
        for job in jobs:
            self.system.accepts(job)
            assert provider.submit("work", 1, f"parsl.evo-0.block-{job}") == job
        self.clock.now += age_s


def states(provider, *jobs):
    return [status.state for status in provider.status(list(jobs))]


@pytest.fixture
def site_of(tmp_path, monkeypatch):
    """Makes the one site of a test."""

    def make(kind):
        clock = Clock()
        monkeypatch.setattr(site_configs.batch, "time", clock)
        monkeypatch.setenv("PATH", str(tmp_path / "bin"))
        return Site(tmp_path, kind, clock)

    return make


@pytest.fixture(params=SYSTEMS)
def site(request, site_of):
    return site_of(request.param)


def test_jobs_wait_run_and_are_over_as_the_batch_system_says(site):
    provider = site.provider()
    site.submitted(provider, "7", "8", "9")
    site.system.lists({"7": WAITS[site.kind], "8": RUNS[site.kind], "9": OVER[site.kind]})
    assert states(provider, "9", "8", "7") == [JobState.COMPLETED, JobState.RUNNING, JobState.PENDING]


def test_it_is_asked_as_often_as_is_said(site):
    assert site.provider().status_polling_interval == 60
    own = type("Own", (type(site.provider()),), {"poll_s": 7})
    assert own.status_polling_interval.fget(SimpleNamespace(poll_s=own.poll_s)) == 7


NO_ANSWER = [
    {"status": 1, "stderr": "Unable to contact the controller (connect failure)"},
    {"status": 255, "stderr": "LSF is down. Please wait ..."},
    {"status": 1},
    {"status": 127},
    {"stdout": "An error has occurred\nplease call the help desk\n"},
    {"stdout": "{nothing} <of> use"},
    {"stdout": b"\xff\xfe\x00 7 R\n"},
    {"status": 1, "stderr": "slurm_load_jobs error: Invalid job id specified\nConnection refused"},
    {"status": 255, "stderr": "Job <7> is not found\nLSF is down. Please wait ..."},
]


def test_without_an_answer_that_can_be_read_nothing_is_known_of_a_job(site):
    provider = site.provider()
    site.submitted(provider, "7")
    site.system.lists({"7": RUNS[site.kind]})
    assert states(provider, "7") == [JobState.RUNNING]
    for trouble in NO_ANSWER:
        if site.kind == "lsf" and "stdout" in trouble:
            trouble = {**trouble, "status": 1}  # where bjobs says what it will, and not a word of our job, that is over
        site.system.says(STATUS[site.kind], **trouble)
        assert states(provider, "7") == [JobState.RUNNING], trouble
    site.system.lists({"7": OVER[site.kind]})
    assert states(provider, "7") == [JobState.COMPLETED]  # it was asked all the same


def test_a_batch_system_that_hangs_is_given_up_and_asked_again(site):
    provider = site.provider()
    site.submitted(provider, "7")
    site.system.says(STATUS[site.kind], seconds=5)
    provider.cmd_timeout = 0.2
    assert states(provider, "7") == [JobState.PENDING]
    provider.cmd_timeout = 20
    site.system.lists({"7": RUNS[site.kind]})
    assert states(provider, "7") == [JobState.RUNNING]


@pytest.mark.parametrize(("what", "seconds"), [("itself", "4.321"), ("a command that it runs", "4.322")])
def test_a_command_that_is_given_up_does_not_run_on(site_of, what, seconds):
    """A submission would come later after all, as a job that nobody knows of."""
    site = site_of("slurm")
    provider = site.provider()
    hangs = {"seconds": seconds} if what == "itself" else {"before": f"sleep {seconds}"}
    site.system.says("sbatch", "Submitted batch job 7\n", **hangs)
    provider.cmd_timeout = 0.3
    assert submits(provider) is None

    def gone():
        return not [one for one in psutil.process_iter(["cmdline"]) if one.info["cmdline"] == ["sleep", seconds]]

    wait_until(gone, "the command is gone", 3)  # and would have been there for longer


def test_a_ctrl_c_of_the_terminal_does_not_reach_a_command(site_of):
    provider = site_of("slurm").provider()
    python = shlex.quote(sys.executable)
    status, said, _ = provider.execute_wait(f"{python} -c 'import os; print(os.getsid(0))'")
    assert status == 0
    assert int(said) != os.getsid(0)


def test_commands_that_are_missing_are_no_end_of_it(site):
    provider = site.provider()
    site.submitted(provider, "7")
    for command in (STATUS[site.kind], SUBMIT[site.kind], CANCEL[site.kind]):
        (site.system.folder / command).unlink(missing_ok=True)
    assert states(provider, "7") == [JobState.PENDING]
    assert provider.cancel(["7"]) == [False]
    assert not submits(provider)


FORGOTTEN = {
    "slurm": {"status": 1, "stderr": "slurm_load_jobs error: Invalid job id specified"},
    "lsf": {"status": 255, "stderr": "Job <7> is not found"},
    "pbs": {"status": 153, "stderr": "qstat: Unknown Job Id 7"},
}
ENDED = {"status": 35, "stderr": "qstat: 7 Job has finished, use -x or -H to obtain historical job information"}


@pytest.mark.parametrize(("kind", "said"), [*FORGOTTEN.items(), ("pbs", ENDED)])
def test_a_job_that_the_batch_system_has_forgotten_is_over(site_of, kind, said):
    site = site_of(kind)
    provider = site.provider()
    site.submitted(provider, "7")
    site.system.lists({}, **said)
    assert states(provider, "7") == [JobState.COMPLETED]


@pytest.mark.parametrize("kind", ["lsf", "pbs"])
def test_of_the_others_it_is_known_how_they_are(site_of, kind):
    """The command fails as a whole, and yet says all that is to be known."""
    site = site_of(kind)
    provider = site.provider()
    site.submitted(provider, "7", "8", "9")
    site.system.lists({"8": RUNS[kind], "9": WAITS[kind]}, **FORGOTTEN[kind])
    assert states(provider, "7", "8", "9") == [JobState.COMPLETED, JobState.RUNNING, JobState.PENDING]
    site.system.lists({"8": OVER[kind], "9": RUNS[kind]}, **FORGOTTEN[kind])
    assert states(provider, "7", "8", "9") == [JobState.COMPLETED, JobState.COMPLETED, JobState.RUNNING]


@pytest.mark.parametrize("kind", SYSTEMS)
def test_a_job_that_is_not_listed_yet_is_not_over_and_one_that_is_not_listed_any_more_is(site_of, kind):
    site = site_of(kind)
    provider = site.provider()
    site.submitted(provider, "6")
    site.submitted(provider, "7", age_s=1.0)
    site.system.lists({"6": RUNS[kind]})
    assert states(provider, "6", "7") == [JobState.RUNNING, JobState.PENDING]
    site.clock.now += YOUNG_S - 2
    assert states(provider, "6", "7") == [JobState.RUNNING, JobState.PENDING]
    site.clock.now += 2
    assert states(provider, "6", "7") == [JobState.RUNNING, JobState.COMPLETED]


def test_a_young_job_that_is_listed_is_as_it_is_said_to_be(site):
    provider = site.provider()
    site.submitted(provider, "7", age_s=1.0)
    site.system.lists({"7": RUNS[site.kind]})
    assert states(provider, "7") == [JobState.RUNNING]
    failed = {"slurm": ("F", JobState.FAILED), "lsf": ("EXIT", JobState.FAILED), "pbs": ("H", JobState.HELD)}
    word, state = failed[site.kind]
    site.system.lists({"7": word})
    assert states(provider, "7") == [state]


def test_a_young_job_that_was_cancelled_does_not_come_back(site):
    provider = site.provider()
    site.submitted(provider, "7", "8", age_s=1.0)
    assert provider.cancel(["7"]) == [True]
    site.system.lists({"8": RUNS[site.kind]})
    (status, _) = provider.status(["7", "8"])
    assert status.terminal


@pytest.mark.parametrize("word", ["PSUSP", "USUSP", "SSUSP"])
def test_a_suspended_job_is_not_over(site_of, word):
    site = site_of("lsf")
    provider = site.provider()
    site.submitted(provider, "7", "8")
    site.system.lists({"7": word, "8": "RUN"})
    for _ in range(2):
        (suspended, running) = provider.status(["7", "8"])
        assert not suspended.terminal
        assert running.state is JobState.RUNNING
    site.system.lists({"7": "RUN", "8": "RUN"})
    assert states(provider, "7") == [JobState.RUNNING]


def test_where_jobs_are_accounted_for_that_is_asked(site_of):
    site = site_of("slurm")
    site.system.says("sacct")
    provider = site.provider()
    site.submitted(provider, "7", "8", "9")
    site.system.says("sacct", "7              RUNNING\n8    CANCELLED by 1000\n9            NODE_FAIL\n")
    assert states(provider, "7", "8", "9") == [JobState.RUNNING, JobState.CANCELLED, JobState.FAILED]
    assert site.system.calls("squeue") == []
    site.system.says("sacct", status=1, stderr="sacct: error: Problem talking to the database: Connection refused")
    assert states(provider, "7") == [JobState.RUNNING]


def test_a_batch_system_that_keeps_no_history_has_not_ended_jobs_by_that(site_of):
    """PBS without `job_history_enable` says so in answer to `qstat -x`, names no job, and exits with 0."""
    site = site_of("pbs")
    provider = site.provider()
    site.submitted(provider, "7", "8")
    nothing = shlex.quote(json.dumps(pbs_answer({})))
    no_history = f"printf %s {nothing}; echo 'qstat: PBS is not configured to maintain job history' >&2; exit 0"
    asked_for_it = f'case " $* " in *" -x "*) {no_history};; esac'
    site.system.says("qstat", json.dumps(pbs_answer({"7": "R", "8": "Q"})), before=asked_for_it)
    assert states(provider, "7", "8") == [JobState.RUNNING, JobState.PENDING]
    left = json.dumps(pbs_answer({"8": "R"}))
    site.system.says("qstat", left, "qstat: Unknown Job Id 7\n", 153, before=asked_for_it)
    assert states(provider, "7", "8") == [JobState.COMPLETED, JobState.RUNNING]
    site.system.says("qstat", status=1, stderr="Connection refused", before=asked_for_it)
    assert states(provider, "7", "8") == [JobState.COMPLETED, JobState.RUNNING]


def submits(provider):
    """The job that comes of a submission; None if Parsl is told, in whatever way, that there is none."""
    with suppress(SubmitException, ScalingFailed, OSError, subprocess.TimeoutExpired):
        return provider.submit("work", 1, "parsl.evo-0.block-0")
    return None


@pytest.mark.parametrize(
    "trouble",
    [
        {"status": 1, "stderr": "sbatch: error: QOSMaxSubmitJobPerUserLimit"},
        {"stdout": "the system is down for maintenance\n", "status": 1},
        {"seconds": 5},
        {"stdout": b"ung\xfcltig\n", "status": 1},
    ],
    ids=["refuses", "is down", "hangs", "is no text"],
)
def test_a_submission_that_comes_to_nothing_is_no_job(site, trouble):
    provider = site.provider()
    provider.cmd_timeout = 0.2 if "seconds" in trouble else 20
    site.system.says(SUBMIT[site.kind], **trouble)
    assert submits(provider) is None
    assert not site.path.exists()
    assert provider.resources == {}
    provider.cmd_timeout = 20
    site.system.accepts("12")
    assert submits(provider) == "12"


@pytest.mark.parametrize("kind", ["slurm", "lsf"])
def test_a_submission_of_which_no_number_can_be_read_is_no_job(site_of, kind):
    site = site_of(kind)
    provider = site.provider()
    site.system.says(SUBMIT[kind], "all is well, have a nice day\n")
    assert submits(provider) is None
    assert not site.path.exists()


def test_each_job_is_in_the_ledger_under_its_kind(site):
    provider = site.provider()
    site.submitted(provider, "7", "8")
    site.submitted(provider, "12345")
    kind = site.kind
    assert site.path.read_text() == "".join(f"{kind} {job} parsl.evo-\n" for job in ("7", "8", "12345"))


def test_without_a_ledger_jobs_are_submitted_all_the_same(site):
    provider = site.provider()
    provider.ledger = None
    site.submitted(provider, "7")
    assert not site.path.exists()


def test_a_job_that_cannot_be_written_down_is_not_left_behind(site):
    """The disk is full, as Parsl would see it a refusal: the next job comes, and the next, and nobody knows of them."""
    provider = site.provider()
    provider.ledger = JobLedger(site.path / "in a folder that is gone", "parsl.evo-")
    site.system.accepts("7")
    job = submits(provider)
    assert job == "7" or "7" in " ".join(site.system.calls(CANCEL[site.kind])).split()


def test_the_script_is_written_and_nothing_submitted_if_so_asked(site):
    provider = site.provider(worker_init="module load python")
    provider.dry = True
    site.system.accepts("7")
    with pytest.raises(NotSubmittedError):
        provider.submit("work --hard", 1, "parsl.evo-0.block-0")
    (script,) = site.scripts.iterdir()
    text = script.read_text()
    assert text.startswith("#!/bin/bash\n")
    assert "parsl.evo-0.block-0" in text
    assert text.index("module load python") < text.index("work --hard")
    assert site.system.calls(SUBMIT[site.kind]) == []
    assert not site.path.exists()


def test_jobs_are_cancelled(site):
    provider = site.provider()
    site.submitted(provider, "7", "8")
    assert provider.cancel(["7", "8"]) == [True, True]
    assert site.system.calls(CANCEL[site.kind]) == [f"{CANCEL[site.kind]} 7 8"]
    assert all(status.terminal for status in (provider.resources[job]["status"] for job in "78"))


@pytest.mark.parametrize(
    "trouble",
    [{"status": 1, "stderr": "the controller is away"}, {"seconds": 5}, {"status": 1, "stdout": b"ung\xfcltig\n"}],
    ids=["fails", "hangs", "is no text"],
)
def test_a_cancellation_that_fails_is_known_to_have_failed(site, trouble):
    provider = site.provider()
    site.submitted(provider, "7")
    site.system.says(CANCEL[site.kind], **trouble)
    provider.cmd_timeout = 0.2 if "seconds" in trouble else 20
    assert provider.cancel(["7"]) == [False]
    assert not provider.resources["7"]["status"].terminal


@pytest.mark.parametrize(
    ("kind", "complaint"),
    [
        ("slurm", "scancel: error: Kill job error on job id 7: Invalid job id specified"),
        ("lsf", "Job <7> is not found"),
        ("pbs", "qdel: Unknown Job Id 7.server"),
    ],
)
def test_a_job_that_is_gone_already_counts_as_cancelled(site_of, kind, complaint):
    site = site_of(kind)
    provider = site.provider()
    site.submitted(provider, "7")
    site.system.says(CANCEL[kind], stderr=complaint + "\n", status=1)
    assert provider.cancel(["7"]) == [True]


def test_what_a_job_prints_is_not_taken_for_a_suspended_job(site):
    provider = site.provider()
    (site.system.folder / "say").write_text("#!/bin/sh\necho my_PSUSP_job XPSUSP PSUSPX\n")
    os.chmod(site.system.folder / "say", 0o755)  # noqa: PTH101 (as short as it gets)
    assert provider.execute_wait("say") == (0, "my_PSUSP_job XPSUSP PSUSPX\n", "")
