"""Processes of this host, told apart by the environment they started with and the files they hold. Linux only."""

import contextlib
import os
import random
import signal
import socket
import time
from pathlib import Path

import psutil


def processes(marker):
    """Pids whose command line contains `marker`, except this process."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            if process.pid != os.getpid() and marker in " ".join(process.cmdline()):
                found.append(process.pid)
    return found


def carrying(*settings):
    """Pids that started with all these settings: `NAME=value\\0`, or without the `\\0` the beginning of one."""
    wanted = [f"\0{setting}".encode() for setting in settings]
    return [pid for pid in _others() if all(setting in _environ(pid) for setting in wanted)]


def holding(folder, names):
    """Pids of the programs `names` that have a file under `folder` open."""
    named = (pid for pid in _others() if _name(pid) in names)
    return [pid for pid in named if any(file.startswith(f"{folder}/") for file in _files(pid))]


def kill_all(find, timeout=20.0):
    """`kill -9` what `find()` returns, and what that started meanwhile, until it finds nothing."""

    def nothing_left():
        pids = find()
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return not pids

    wait_until(nothing_left, "processes gone", timeout)


def wait_until(condition, what, timeout=20.0):
    """What `condition()` returns once it is true.

    Raises:
        TimeoutError: `what` did not come about in time.
    """
    deadline = time.monotonic() + timeout
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {timeout:g} s for: {what}")
        time.sleep(0.1)
    return value


def free_ports(number):
    """Ports below those that the kernel gives to others, who might take one before its daemon does."""
    found = []
    for port in random.sample(range(20000, 32000), 200):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            found.append(port)
        if len(found) == number:
            return found
    raise RuntimeError("no free TCP ports")


def _others():
    return [pid for pid in psutil.pids() if pid != os.getpid()]


def _environ(pid):
    # A zombie has none, so the dead that nobody has reaped yet do not count.
    with contextlib.suppress(OSError):
        return b"\0" + Path(f"/proc/{pid}/environ").read_bytes()
    return b""


def _name(pid):
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/comm").read_text().strip()
    return ""


def _files(pid):
    with contextlib.suppress(OSError):
        return [str(entry.readlink()) for entry in Path(f"/proc/{pid}/fd").iterdir()]
    return []
