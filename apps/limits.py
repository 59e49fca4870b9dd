"""Time limits that hold on a worker whatever the code inside does."""

from __future__ import annotations

import faulthandler
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

GRACE_S = 30.0  # between the soft limit and the hard one


class TimeLimitError(Exception):
    """The soft limit has passed."""


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

    def expire(_signum: int, _frame: FrameType | None) -> None:
        raise TimeLimitError(f"not done after {seconds:g} s")

    before = signal.signal(signal.SIGALRM, expire)
    faulthandler.dump_traceback_later(seconds + GRACE_S, exit=True)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        faulthandler.cancel_dump_traceback_later()
        signal.signal(signal.SIGALRM, before)
