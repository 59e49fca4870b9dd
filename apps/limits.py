"""Limits of time and memory that hold on a worker whatever the code inside does."""

from __future__ import annotations

import faulthandler
import os
import resource
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

GRACE_S = 30.0  # between the soft limit and the hard one
MEMORY_SHARE = 0.85  # of the machine's memory is for evaluations
CGROUPS, OWN_CGROUP = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")


class TimeLimitError(BaseException):
    """The soft limit has passed. No `Exception`: a network's code that catches those must not swallow it."""


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise TimeLimitError in the block after `seconds`; end the process `GRACE_S` later.

    The soft limit is a signal, which Python code feels at once; the hard one ends the process
    also in the middle of C code, so that Parsl starts another worker. Signals reach main threads
    only: elsewhere (a thread pool in a test) there is no limit.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    armed = True

    def expire(_signum: int, _frame: FrameType | None) -> None:
        if armed:
            raise TimeLimitError(f"not done after {seconds:g} s")

    before = signal.signal(signal.SIGALRM, expire)
    faulthandler.dump_traceback_later(seconds + GRACE_S, exit=True)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        try:
            yield
        finally:
            armed = False  # the alarm may also come in here, or later: nothing may keep the hard limit from going
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        faulthandler.cancel_dump_traceback_later()
        signal.signal(signal.SIGALRM, before)


@contextmanager
def memory_limit(most_bytes: int) -> Iterator[None]:
    """Let allocations in the block fail when the process would hold more than `most_bytes` of data.

    What fails raises MemoryError, or torch's RuntimeError. Without a limit the kernel would end a process when
    the machine's memory is full, and not always the one to blame.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    most_bytes = min([most_bytes, *(limit for limit in (soft, hard) if limit != resource.RLIM_INFINITY)])
    resource.setrlimit(resource.RLIMIT_DATA, (most_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


def memory_share() -> int:
    """Bytes that each worker of this machine may use: of its memory, or of what the batch system gave us."""
    most = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return int(MEMORY_SHARE * min([most, *_group_limits()]) / int(os.environ.get("PARSL_WORKER_COUNT", "1")))


def _group_limits() -> Iterator[int]:
    """Memory limits in bytes of the control groups (version 2) that this process is in."""
    try:
        group = OWN_CGROUP.read_text().strip().rpartition("0::/")[2]
    except OSError:  # not Linux
        return
    for folder in (CGROUPS / group, *(CGROUPS / group).parents):
        try:
            text = (folder / "memory.max").read_text().strip()
        except OSError:
            continue
        if text.isdigit():
            yield int(text)
