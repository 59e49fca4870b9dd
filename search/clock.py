"""The time that a campaign goes by."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any


def _wait(queue: SimpleQueue[Any], timeout: float) -> Any:
    return queue.get(timeout=timeout)


@dataclass(frozen=True)
class Clock:
    """The computer's time, unless a simulation gives its own.

    `now` is in seconds since the epoch; `monotonic` in seconds that nobody sets. `wait` gives the next item of a queue
    and raises queue.Empty after a number of seconds without one.
    """

    now: Callable[[], float] = time.time
    monotonic: Callable[[], float] = time.monotonic
    wait: Callable[[SimpleQueue[Any], float], Any] = _wait


REAL = Clock()
