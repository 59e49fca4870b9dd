#!/usr/bin/env python3
"""A stand-in for LSF's bsub, bjobs, bkill, bstop and bresume, as far as tests need them, called by one of those names.

All jobs are in one file of $FAKE_LSF_DIR; `serve.py` runs each. More variables, in seconds:

    FAKE_LSF_PEND    from submission, or from bresume, to the start: 0
    FAKE_LSF_MINUTE  a minute of -W: 60
    FAKE_LSF_GRACE   from SIGINT to SIGTERM, and from there to SIGKILL: 1 (LSF's own default is 10)
    FAKE_LSF_CLEAN   from the end of a job until it is forgotten: 3600
"""

import contextlib
import fcntl
import fnmatch
import getpass
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(os.environ.get("FAKE_LSF_DIR", "/tmp/fake-lsf")).resolve()
UNFINISHED = ("PEND", "PSUSP", "RUN", "USUSP")
FIELDS = ("jobid", "stat", "user", "queue", "job_name", "exit_code")
BSUB_FLAGS = "-H -N -B -r -rn -x"
BSUB_VALUES = "-W -J -o -e -P -q -n -nnodes -R -alloc_flags -gpu -G -L -M -m -u -app -data"


class Refused(Exception):  # noqa: N818
    """What LSF says on stderr before it exits with 255."""


def options(arguments, flags, values):
    """Leading options with their values, and what follows them. `--name=value` and `-n1` are `--name value`, `-n 1`."""
    found, rest = {}, list(arguments)
    while rest and rest[0].startswith("-"):
        name = rest.pop(0)
        if name not in values.split() and (joined := re.fullmatch(r"(--\w+)=(.*)|(-[a-zA-Z])(\d+)", name)):
            name, value = [part for part in joined.groups() if part is not None]
            rest.insert(0, value)
        if name in values.split():
            if not rest:
                raise Refused(f"{name}: Option requires an argument.")
            found[name] = rest.pop(0)
        elif name in flags.split():
            found[name] = ""
        else:
            raise Refused(f"{name}: Unknown option.")
    return found, rest


@contextlib.contextmanager
def all_jobs():
    """Job id to job, for one process at a time; changes are kept."""
    HERE.mkdir(parents=True, exist_ok=True)
    file = HERE / "jobs.json"
    with (HERE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        before = file.read_text() if file.exists() else "{}"
        jobs = json.loads(before)
        yield jobs
        after = json.dumps(jobs)
        if after != before:
            (HERE / "jobs.new").write_text(after)
            (HERE / "jobs.new").replace(file)


def known(jobs):
    """The jobs that are not forgotten yet."""
    oldest = time.time() - float(os.environ.get("FAKE_LSF_CLEAN", "3600"))
    return {job_id: job for job_id, job in jobs.items() if job.get("ended", oldest) >= oldest}


def bsub(arguments):
    """`bsub < script`, `bsub script`, `bsub command ...`."""
    given, command = options(arguments, BSUB_FLAGS, BSUB_VALUES)
    if not command:
        text = sys.stdin.read()
    elif Path(command[0]).is_file():
        text = Path(command[0]).read_text()  # as with LSB_BSUB_PARSE_SCRIPT=Y, which Summit had
    else:
        text = shlex.join(command)
    lines = {}
    for line in text.splitlines():
        if line.startswith("#BSUB"):
            lines |= options(shlex.split(line.removeprefix("#BSUB"), comments=True), BSUB_FLAGS, BSUB_VALUES)[0]
    given = lines | given
    job = {
        "name": given.get("-J", shlex.join(command) or "NONAME"),
        "user": getpass.getuser(),
        "queue": given.get("-q", "batch"),
        "nodes": int(given.get("-nnodes", "1")),
        "limit": run_limit(given.get("-W")),
        "stat": "PSUSP" if "-H" in given else "PEND",
        "since": time.time(),
        "cwd": str(Path.cwd()),
        "output": given.get("-o", "/dev/null"),
        "errors": given.get("-e", given.get("-o", "/dev/null")),
    }
    with all_jobs() as jobs:
        job_id = str(max(map(int, jobs), default=1000) + 1)
        jobs[job_id] = job
        (HERE / f"{job_id}.sh").write_text(text)
    # A job may submit another one, which is not part of it.
    outer = {name: value for name, value in os.environ.items() if not name.startswith("LSB_")}
    outer |= {"FAKE_LSF_DIR": str(HERE), "FAKE_LSF_SERVER": f"{HERE}/{job_id}"}
    nothing = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    server = [sys.executable, str(Path(__file__).resolve().with_name("serve.py")), job_id]
    subprocess.Popen(server, env=outer, start_new_session=True, **nothing)
    print(f"Job <{job_id}> is submitted to queue <{job['queue']}>.")


def run_limit(text):
    """Seconds of `minutes` or `hours:minutes`."""
    if text is None:
        raise Refused("A run limit (-W) is required.\nRequest aborted by esub. Job not submitted.")
    match = re.fullmatch(r"(?:(\d+):)?(\d+)(?:/\w+)?", text)
    if not match:
        raise Refused(f"{text}: Bad RUNLIMIT specification. Job not submitted.")
    return (int(match[1] or 0) * 60 + int(match[2])) * float(os.environ.get("FAKE_LSF_MINUTE", "60"))


def bjobs(arguments):
    given, ids = options(arguments, "-noheader -a -w", "-o -J -u -q")
    fields = given.get("-o", "jobid user stat queue job_name").lower().split()
    if unknown := set(fields) - set(FIELDS):
        raise Refused(f"{', '.join(sorted(unknown))}: Not a field that this stand-in knows.")
    with all_jobs() as jobs:
        found = known(jobs)
    if not ids:
        names = given.get("-J", "*")
        mine = {job_id: job for job_id, job in found.items() if fnmatch.fnmatch(job["name"], names)}
        ids = [job_id for job_id, job in mine.items() if "-a" in given or job["stat"] in UNFINISHED]
        if not ids:
            raise Refused(f"Job <{names}> is not found" if "-J" in given else "No unfinished job found")
    if "-noheader" not in given and found.keys() & set(ids):
        print(" ".join(f"{field.upper():<10}" for field in fields))
    for job_id in ids:
        if job_id not in found:
            print(f"Job <{job_id}> is not found", file=sys.stderr)
            continue
        values = found[job_id] | {"jobid": job_id, "job_name": found[job_id]["name"]}
        print(" ".join(f"{values.get(field, '-')!s:<10}" for field in fields))
    return 0 if found.keys() >= set(ids) else 255


def change(arguments, done, how):
    """Applies `how(job id, job)` to each job named, for bkill, bstop and bresume."""
    given, ids = options(arguments, "", "-J -u -q")
    failed = False
    with all_jobs() as jobs:
        found = known(jobs)
        if not ids or ids == ["0"]:
            names = given.get("-J", "*")
            going = [i for i, job in found.items() if job["stat"] in UNFINISHED and fnmatch.fnmatch(job["name"], names)]
            ids = going if ids else going[-1:]
            if not ids:
                raise Refused("No matching job found")
        for job_id in ids:
            if job_id not in found or found[job_id]["stat"] not in UNFINISHED:
                why = "Job has already finished" if job_id in found else "No matching job found"
                print(f"Job <{job_id}>: {why}", file=sys.stderr)
                failed = True
            else:
                how(job_id, found[job_id])
                print(f"Job <{job_id}> is being {done}")
    return 255 if failed else 0


def bkill(arguments):
    def how(_, job):
        if job["stat"] in {"PEND", "PSUSP"}:
            job |= {"stat": "EXIT", "ended": time.time()}
        job["killed"] = True

    return change(arguments, "terminated", how)


def bstop(arguments):
    def how(job_id, job):
        if job["stat"] == "RUN":
            for _ in range(2):  # again for what was being forked
                tell(job_id, signal.SIGSTOP)
        job["stat"] = {"PEND": "PSUSP", "RUN": "USUSP"}.get(job["stat"], job["stat"])

    return change(arguments, "stopped", how)


def bresume(arguments):
    def how(job_id, job):
        if job["stat"] == "USUSP":
            tell(job_id, signal.SIGCONT)
        elif job["stat"] == "PSUSP":
            job["since"] = time.time()
        job["stat"] = {"PSUSP": "PEND", "USUSP": "RUN"}.get(job["stat"], job["stat"])

    return change(arguments, "resumed", how)


def tell(job_id, number):
    """Signals all processes of a job, wherever they moved themselves; says whether there are any."""
    marks = [f"\0LSB_JOBID={job_id}\0".encode(), f"\0FAKE_LSF_DIR={HERE}\0".encode()]
    found = False
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            environ = b"\0" + (entry / "environ").read_bytes()
            if all(mark in environ for mark in marks):
                os.kill(int(entry.name), number)
                found = True
    return found


if __name__ == "__main__":
    called = {"bsub": bsub, "bjobs": bjobs, "bkill": bkill, "bstop": bstop, "bresume": bresume}
    try:
        sys.exit(called[Path(sys.argv[0]).name](sys.argv[1:]))
    except Refused as refused:
        print(refused, file=sys.stderr)
        sys.exit(255)
