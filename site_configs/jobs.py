"""The jobs that a run has given to a batch system: written down, so that none outlives the run.

It is used by processes that must start fast and on any Python: the standard library alone.
"""

from __future__ import annotations

import fcntl
import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

COMMAND_S = 60.0  # a batch system that answers later than that is not asked again here
CANCEL = {"slurm": "scancel", "lsf": "bkill", "pbs": "qdel"}
# Jobs by their names: of one that was submitted just as its driver was killed, nobody has written down the number.
BY_NAME = {"slurm": "squeue --noheader --user={user} --format='%i %j'", "lsf": "bjobs -noheader -o 'jobid job_name'"}
NUMBER = re.compile(r"[0-9][A-Za-z0-9_.\[\]-]*")
NAME = re.compile(r"parsl\.\S+")
UNREACHABLE = re.compile(r"contact|connect|timed out|communicat|not respond|is down|zero bytes", re.IGNORECASE)


class JobLedger:
    """A run's jobs in a file, on a line each: `KIND NUMBER NAME`, where the name begins those of all the run's jobs."""

    def __init__(self, path: Path, name: str) -> None:
        self.path, self.name = path, name

    def note(self, kind: str, job: str) -> None:
        """Write down a job, on the disk before it counts."""
        with self.path.open("a+b") as lines:
            size = lines.seek(0, os.SEEK_END)
            lines.seek(max(0, size - 1))
            begin = "" if lines.read(1) in {b"", b"\n"} else " (cut short)\n"  # which nobody shall take for whole
            lines.write(f"{begin}{kind} {job} {self.name}\n".encode())
            lines.flush()
            os.fsync(lines.fileno())


def cancel_jobs(path: Path) -> int:
    """Cancel what a ledger tells of, and forget it; returns how many jobs it has. Without a ledger, none.

    A ledger is kept if the batch system could not be reached, for the next time.
    """
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return 0
    lines = text.split("\n")[:-1]  # what has no end was cut short
    names, jobs = set(), dict[str, set[str]]()
    for kind, job, name in (line.split(" ") for line in lines if line.count(" ") == 2):
        if kind in CANCEL and NUMBER.fullmatch(job) and NAME.fullmatch(name):
            names.add(name)
            jobs.setdefault(kind, set()).add(job)
    reached = True
    for kind, known in jobs.items():
        listed = _listed(kind)
        ours = {job for job, name in (listed or {}).items() if name.startswith(tuple(names))}
        # A number that is another job's now, or on another cluster, is not ours; one that is not listed has ended.
        there = sorted(ours | (known - (listed or {}).keys()))
        reached = (not there or _cancel(kind, there)) and listed is not None and reached
    if reached:
        path.unlink(missing_ok=True)
    return sum(map(len, jobs.values()))


@contextmanager
def one_at_a_time(ledger: Path) -> Iterator[None]:
    """Wait until nobody else cancels a ledger's jobs; the kernel lets go of the lock of who is killed."""
    with ledger.with_suffix(".lock").open("a") as lock:
        with suppress(OSError):  # there are shared file systems without locks
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _cancel(kind: str, jobs: list[str]) -> bool:
    """Cancel jobs, one by one if not all at once: LSF refuses all for one that has ended. False if out of reach."""
    status, complaint = _run([CANCEL[kind], *jobs])
    if status is None or UNREACHABLE.search(complaint):
        return False
    if status:
        for job in jobs:
            _run([CANCEL[kind], job])
    return True


def _listed(kind: str) -> dict[str, str] | None:
    """The names of the user's unfinished jobs by their numbers; None if the batch system is out of reach."""
    if kind not in BY_NAME:
        return {}
    status, said = _run(shlex.split(BY_NAME[kind].format(user=os.getuid())))
    if status is None or (status and UNREACHABLE.search(said)):
        return None
    parts = (line.strip().partition(" ") for line in said.splitlines())
    return {job: name.strip() for job, _, name in parts if NUMBER.fullmatch(job)}


def _run(command: list[str]) -> tuple[int | None, str]:
    """Status and all that a command says; None where it cannot be run, or does not answer."""
    try:
        done = subprocess.run(  # noqa: S603
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=COMMAND_S,
            check=False,
            encoding="utf-8",
            errors="replace",
        )
    except (OSError, subprocess.TimeoutExpired):
        return None, ""
    return done.returncode, done.stdout
