"""The jobs that a run has given to a batch system: written down, so that none outlives the run.

It is used by processes that must start fast and on any Python: the standard library alone.
"""

from __future__ import annotations

import getpass
import os
import shlex
import shutil
import subprocess
from contextlib import suppress
from pathlib import Path

COMMAND_S = 60.0  # a batch system that answers later than that is not asked again here
CANCEL = {"slurm": "scancel", "lsf": "bkill", "pbs": "qdel"}
# Jobs by their names: of one that was submitted just as its driver was killed, nobody has written down the number.
BY_NAME = {"slurm": "squeue --noheader --user={user} --format='%i %j'", "lsf": "bjobs -noheader -o 'jobid job_name'"}


class JobLedger:
    """The numbers of a run's jobs in a file: `NAME`, then `KIND NUMBER` on a line each."""

    def __init__(self, path: Path, name: str) -> None:
        """`name` begins the names of all the run's jobs."""
        self.path, self.name = path, name

    def note(self, kind: str, job: str) -> None:
        """Write down a job, on the disk before it counts."""
        new = not self.path.exists()
        with self.path.open("a", encoding="utf-8") as lines:
            lines.write(f"{self.name}\n{kind} {job}\n" if new else f"{kind} {job}\n")
            lines.flush()
            os.fsync(lines.fileno())


def cancel_jobs(path: Path) -> int:
    """Cancel what a ledger tells of, and forget it; returns how many jobs that were. Without a ledger, none."""
    try:
        name, *lines = path.read_text(encoding="utf-8").splitlines()
    except (FileNotFoundError, ValueError):
        return 0
    jobs: dict[str, set[str]] = {}
    for line in lines:
        kind, _, job = line.partition(" ")
        jobs.setdefault(kind, set()).add(job)
    for kind in jobs:
        jobs[kind] |= _named(kind, name)
    for kind, known in jobs.items():
        if not _run([CANCEL[kind], *sorted(known)]):
            for job in known:  # LSF refuses all for one that has ended
                _run([CANCEL[kind], job])
    path.unlink(missing_ok=True)
    return sum(map(len, jobs.values()))


def _named(kind: str, name: str) -> set[str]:
    """Unfinished jobs whose name begins so."""
    if kind not in BY_NAME:
        return set()
    found = set()
    with suppress(OSError, subprocess.TimeoutExpired):
        command = shlex.split(BY_NAME[kind].format(user=getpass.getuser()))
        done = subprocess.run(command, capture_output=True, text=True, timeout=COMMAND_S, check=False)  # noqa: S603
        for line in done.stdout.splitlines():
            job, _, job_name = line.strip().partition(" ")
            if job_name.strip().startswith(name):
                found.add(job)
    return found


def _run(command: list[str]) -> bool:
    if shutil.which(command[0]) is None:
        return True  # nothing can be cancelled from here
    try:
        return subprocess.run(command, capture_output=True, timeout=COMMAND_S, check=False).returncode == 0  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        return False
