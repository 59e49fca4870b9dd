"""Look after the worker pool of one node: started once on each, in front of Parsl's own pool.

`python -m site_configs.guard [OPTIONS] -- COMMAND...`

- A pool that dies is started again, but not for ever if it cannot live.
- A pool of which an idle process has died is started anew: it may have taken along the lock under which the others get
  their tasks, and then none of them ever does. Whether a process was idle, its mark tells (`apps.placement.busy`).
- The pool ends with whoever it works for: the shell that started the guard, and on this machine the driver.
- Workers are told by environment variables which GPUs there are, and how many threads are theirs.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

POLL_S = 0.5
RESTARTS = 5  # in a row of a pool that did not live for `LIVED_S`
LIVED_S = 60.0
LEAVING_S = 5.0  # for a pool that is ending by itself
LONGEST_TEMPORARY = 60  # characters: sockets in it have names of at most 107


def main(arguments: list[str]) -> int:
    """Guard a pool as the command line says; returns its last exit status."""
    options = _parsed(arguments)
    parents = [*_ancestors(), *([options.driver] if options.driver else [])]
    with _marks() as marks, _mps(wanted=options.mps):
        os.environ.update(
            EVOSTEM_MARKS=str(marks),
            EVOSTEM_THREADS=str(options.threads),
            EVOSTEM_GPUS=str(options.gpus),
            EVOSTEM_GPU_VENDOR=options.vendor,
            EVOSTEM_WORKERS_PER_GPU=str(options.workers_per_gpu),
        )
        if len(tempfile.gettempdir()) > LONGEST_TEMPORARY:
            os.environ["TMPDIR"] = "/tmp"  # noqa: S108
        return guard(options.command, marks, parents)


def guard(command: list[str], marks: Path, parents: list[int]) -> int:
    """Run a pool, again if it fails; returns its last exit status. It ends with any of `parents`."""
    if shutil.which("setpriv"):
        command = ["setpriv", "--pdeathsig", "KILL", *command]  # a pool without its guard would be one too many
    began, failures = time.monotonic(), 0
    while True:
        started = time.monotonic()
        pool = subprocess.Popen(_from_now_on(command, started - began))  # noqa: S603 (the command is our own)
        try:
            _watch(pool, marks, parents)
        finally:
            _kill(pool)
        failures = failures + 1 if time.monotonic() - started < LIVED_S else 1
        if pool.returncode == 0 or failures > RESTARTS:
            return pool.returncode
        print(f"evostem: the worker pool ended with status {pool.returncode}; starting another", flush=True)


def _from_now_on(command: list[str], passed_s: float) -> list[str]:
    """A pool's command after so many seconds of the job: what is left of its time until it takes no more tasks."""
    drain = re.compile(r"--drain_period=(\d+)")
    return [
        drain.sub(lambda found: f"--drain_period={max(1, int(found[1]) - int(passed_s))}", part) for part in command
    ]


def _watch(pool: subprocess.Popen[bytes], marks: Path, parents: list[int]) -> None:
    """Wait until a pool has ended, and end it if it is broken."""
    known: set[int] = set()
    while pool.poll() is None:
        if not all(map(alive, parents)):
            os.killpg(os.getpgrp(), signal.SIGKILL)  # the pool, its workers, and this process
        known, died = _looked(pool.pid, known)
        if [pid for pid in died if _was_idle(pid, marks)]:
            try:
                pool.wait(LEAVING_S)  # one that ends by itself ends its processes first
            except subprocess.TimeoutExpired:
                print("evostem: an idle worker has died, the others may wait for it for ever", flush=True)
                return
        time.sleep(POLL_S)


def _ancestors() -> list[int]:
    """The shells that started us, up to the job's first: if one of them is killed, the job counts as over."""
    group = os.getpgrp()
    return [parent.pid for parent in psutil.Process().parents() if _group_of(parent.pid) == group]


def _group_of(pid: int) -> int:
    try:
        return os.getpgid(pid)
    except (ProcessLookupError, PermissionError):
        return 0


def alive(pid: int) -> bool:
    """Whether a process of this number exists."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _looked(pool: int, known: set[int]) -> tuple[set[int], set[int]]:
    """The living processes of a pool, and those of the known ones that died."""
    living = set()
    with suppress(psutil.Error):
        for child in psutil.Process(pool).children():
            with suppress(psutil.Error):
                if child.status() != psutil.STATUS_ZOMBIE:
                    living.add(child.pid)
        return living, known - living
    return set(), set()  # the pool has just ended


def _was_idle(pid: int, marks: Path) -> bool:
    """Whether a process that died had no task. One that had is Parsl's to replace."""
    mark = marks / str(pid)
    busy = mark.exists()
    mark.unlink(missing_ok=True)
    return not busy


def _kill(pool: subprocess.Popen[bytes]) -> None:
    """End a pool that has not ended, with all its processes."""
    if pool.poll() is not None:
        return
    with suppress(psutil.Error):
        for child in psutil.Process(pool.pid).children(recursive=True):
            with suppress(psutil.Error):
                child.kill()
    pool.kill()
    pool.wait()


@contextmanager
def _marks() -> Iterator[Path]:
    """A folder where workers mark that they are busy."""
    folder = Path(tempfile.mkdtemp(prefix="evostem-pool-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _mps(*, wanted: bool) -> Iterator[None]:
    """NVIDIA's multi-process service on this node, as its manual has it, where it is installed."""
    control = shutil.which("nvidia-cuda-mps-control") if wanted else None
    if control is None:
        if wanted:
            print("evostem: no nvidia-cuda-mps-control on this node; workers take turns on a GPU", flush=True)
        yield
        return
    folder = tempfile.mkdtemp(prefix="evostem-mps-")
    os.environ.update(CUDA_MPS_PIPE_DIRECTORY=folder, CUDA_MPS_LOG_DIRECTORY=folder)
    subprocess.run([control, "-d"], check=False)  # noqa: S603
    try:
        yield
    finally:
        subprocess.run([control], input=b"quit\n", check=False)  # noqa: S603
        shutil.rmtree(folder, ignore_errors=True)


def _parsed(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="site_configs.guard", description=__doc__)
    parser.add_argument("--driver", type=int, default=0, help="process that the pool must not outlive")
    parser.add_argument("--threads", type=int, default=1, help="threads of a worker")
    parser.add_argument("--gpus", type=int, default=0, help="GPUs of this node")
    parser.add_argument("--vendor", default="nvidia", choices=["nvidia", "amd", "intel"])
    parser.add_argument("--workers-per-gpu", type=int, default=1)
    parser.add_argument("--mps", action="store_true", help="start NVIDIA's multi-process service")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    options = parser.parse_args(arguments)
    options.command = options.command[1:] if options.command[:1] == ["--"] else options.command
    return options


def _terminated(_signum: int, _frame: object) -> None:
    raise SystemExit(128 + signal.SIGTERM)  # so that what was made is removed


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _terminated)
    sys.exit(main(sys.argv[1:]))
