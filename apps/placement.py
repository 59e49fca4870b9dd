"""Where a worker works: its GPU, its threads, its node, and a mark while it is busy.

What a node has, its guard (`site_configs.guard`) tells in environment variables.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import cache
from pathlib import Path

# AMD's runtime honours CUDA's variable as well; with more than one of its own set, a worker may see no GPU at all.
VARIABLE = {"nvidia": "CUDA_VISIBLE_DEVICES", "amd": "CUDA_VISIBLE_DEVICES", "intel": "ZE_AFFINITY_MASK"}
NODE_NAMES = ("SLURMD_NODENAME",)  # what the batch system calls a node


@cache
def place() -> str:
    """Give this worker its GPU, before torch is imported; returns its number, "" without GPUs.

    Workers of a node are numbered from 0: the first `workers_per_gpu` of them share its first GPU, and so on. Where the
    batch system has given GPUs of its own choice, the numbers are those.
    """
    gpus = int(os.environ.get("EVOSTEM_GPUS", "0"))
    if not gpus:
        return ""
    vendor = os.environ.get("EVOSTEM_GPU_VENDOR", "nvidia")
    variable = VARIABLE[vendor]
    names = ("HIP_VISIBLE_DEVICES", variable) if vendor == "amd" else (variable,)
    chosen = next((os.environ[name] for name in names if os.environ.get(name)), "")
    given = [number for number in chosen.split(",") if number] or list(map(str, range(gpus)))
    rank = int(os.environ.get("PARSL_WORKER_RANK", "0"))
    number = given[rank // int(os.environ.get("EVOSTEM_WORKERS_PER_GPU", "1")) % len(given)]
    os.environ[variable] = number
    os.environ.pop("HIP_VISIBLE_DEVICES", None)
    return number


def threads() -> int:
    """Threads that are this worker's."""
    return int(os.environ.get("EVOSTEM_THREADS", "1"))


def few_threads() -> AbstractContextManager[object]:
    """Let numerical libraries that are loaded use no more than this worker's threads: more get in each other's way."""
    from threadpoolctl import threadpool_limits

    limits: AbstractContextManager[object] = threadpool_limits(threads())
    return limits


def node() -> str:
    """The name of this node, as the batch system has it."""
    return next((os.environ[name] for name in NODE_NAMES if name in os.environ), socket.gethostname())


@contextmanager
def busy() -> Iterator[None]:
    """Mark that this process has a task, for the guard of its node."""
    folder = os.environ.get("EVOSTEM_MARKS")
    mark = None if folder is None else Path(folder) / str(os.getpid())
    if mark is not None:
        with suppress(OSError):
            mark.touch()
    try:
        yield
    finally:
        if mark is not None:
            with suppress(OSError):
                mark.unlink()
