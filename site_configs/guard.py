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
import stat
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
LEFT_S = 7 * 86_400.0  # what killed guards have left goes after a week
LEAVING_S = 5.0  # for a pool that is ending by itself
LONGEST_TEMPORARY = 60  # characters: sockets in it have names of at most 107


def main(arguments: list[str]) -> int:
    """Guard a pool as the command line says; returns its last exit status."""
    options = _parsed(arguments)
    parents = [*_ancestors(), *([options.driver] if options.driver else [])]
    if os.getpgrp() != os.getpid():
        os.setpgid(0, 0)  # so that our group is the pool's processes, and nobody else's
    with _marks() as marks, _mps(wanted=options.mps):
        os.environ.update(
            EVOSTEM_MARKS=str(marks),
            EVOSTEM_THREADS=str(options.threads),
            EVOSTEM_GPUS=str(options.gpus),
            EVOSTEM_GPU_VENDOR=options.vendor,
            EVOSTEM_WORKERS_PER_GPU=str(options.workers_per_gpu),
        )
        if len(tempfile.gettempdir()) > LONGEST_TEMPORARY:
            os.environ.update(TMPDIR="/tmp", EVOSTEM_TMPDIR=tempfile.gettempdir())  # noqa: S108
        return guard(options.command, marks, parents)


def guard(command: list[str], marks: Path, parents: list[int]) -> int:
    """Run a pool, again if it fails; returns its last exit status. It ends with any of `parents`."""
    began, failures, undertaker = time.monotonic(), 0, _Undertaker()
    while True:
        started = time.monotonic()
        undertaker = undertaker if undertaker.lives() else _Undertaker()
        pool = _Pool(_from_now_on(command, started - began), marks)
        try:
            while pool.works():
                if not all(map(alive, parents)):
                    return 1
                if not undertaker.lives():
                    undertaker = _Undertaker()
                time.sleep(POLL_S)
        finally:
            status = pool.end()
            undertaker.dismiss()
        failures = failures + 1 if time.monotonic() - started < LIVED_S else 1
        if status == 0 or failures > RESTARTS:
            return status
        print(f"evostem: the worker pool ended with status {status}; starting another", flush=True)


class _Pool:
    """A worker pool, and the processes that it has started itself."""

    def __init__(self, command: list[str], marks: Path) -> None:
        self._process = subprocess.Popen(command)  # noqa: S603 (the command is our own)
        self._marks = marks
        self._known: set[psutil.Process] = set()

    def works(self) -> bool:
        """Whether it lives, and no process of it has died that was idle."""
        if self._process.poll() is not None:
            return False
        with suppress(psutil.Error):
            children = psutil.Process(self._process.pid).children()
            died = {one for one in self._known if not _lives(one)}
            self._known = (self._known - died) | set(filter(_lives, children))
            if [one for one in died if self._was_idle(one)]:
                with suppress(subprocess.TimeoutExpired):
                    self._process.wait(LEAVING_S)  # a pool that ends by itself ends its processes first
                    return False
                print("evostem: an idle worker has died, the others may wait for it for ever", flush=True)
                return False
        return True

    def _was_idle(self, process: psutil.Process) -> bool:
        """Whether a process that died had no task. One that had is Parsl's to replace."""
        mark = self._marks / str(process.pid)
        busy = mark.exists()
        mark.unlink(missing_ok=True)
        return not busy

    def end(self) -> int:
        """End what is left of the pool; returns its exit status."""
        left = self._known
        with suppress(psutil.Error):
            left = left | set(psutil.Process(self._process.pid).children(recursive=True))
        for one in left:
            with suppress(psutil.Error):
                one.kill()
        self._process.kill()
        return self._process.wait()


def _lives(process: psutil.Process) -> bool:
    """Whether a process does anything: a zombie only waits to be looked at."""
    with suppress(psutil.Error):
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    return False


def _from_now_on(command: list[str], passed_s: float) -> list[str]:
    """A pool's command after so many seconds of the job: what is left of its time until it takes no more tasks."""
    drain = re.compile(r"--drain_period=(\d+)")
    return [
        drain.sub(lambda found: f"--drain_period={max(1, int(found[1]) - int(passed_s))}", part) for part in command
    ]


def _ancestors() -> list[int]:
    """The shells that started us, up to the job's first: if one of them is killed, the job counts as over."""
    group = os.getpgrp()
    return [parent.pid for parent in psutil.Process().parents() if _group_of(parent.pid) == group]


def _group_of(pid: int) -> int:
    try:
        return os.getpgid(pid)
    except (ProcessLookupError, PermissionError):
        return 0


def node_folder() -> Path:
    """A folder on each node that is the user's alone, for what pools leave and write: marks, and logs on clusters."""
    return Path("/tmp") / f"evostem-{os.geteuid()}-pools"  # noqa: S108 (it is made for the user alone)


def alive(pid: int) -> bool:
    """Whether a process of this number exists."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


class _Undertaker:
    """Has our whole process group ended if this process is killed: another process, outside, waits for that."""

    def __init__(self) -> None:
        command = ["/bin/sh", "-c", f"read word || kill -s KILL -- -{os.getpgrp()}"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)  # noqa: S603

    def lives(self) -> bool:
        """Whether it is there."""
        return self._process.poll() is None

    def dismiss(self) -> None:
        """There is nothing left to end."""
        with suppress(BrokenPipeError):
            self._process.communicate(b"done\n")


@contextmanager
def _marks() -> Iterator[Path]:
    """A folder where workers mark that they are busy, in one that is the user's alone; what others left there goes."""
    root = node_folder()
    root.mkdir(mode=0o700, exist_ok=True)
    found = root.lstat()
    if found.st_uid != os.geteuid() or found.st_mode & 0o077 or not stat.S_ISDIR(found.st_mode):
        raise PermissionError(f"{root} is not ours alone; remove it")
    for old in root.iterdir():
        with suppress(FileNotFoundError):  # another guard was faster
            if time.time() - old.stat().st_mtime > LEFT_S:
                shutil.rmtree(old, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(dir=root))
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
