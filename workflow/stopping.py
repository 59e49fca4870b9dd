"""Ctrl-C during a campaign: the first finishes what is running, the second stops at once."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from types import FrameType

from search.evaluation import Evaluation, Evaluator, Request


class Stopping:
    """Whether the user has asked to stop, and what is still running then."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self.asked = False
        self._say = say
        self._said = False
        self._running: set[Future[Evaluation]] = set()

    def __call__(self) -> bool:
        """Whether to stop; the first time it is so, a line says what is being waited for."""
        if self.asked and not self._said:  # not said in the signal's handler, which may interrupt another line
            self._said = True
            count = len(self._running)
            networks = "1 network that is running is" if count == 1 else f"{count} networks that are running are"
            self._say(f"stopping: {networks} being finished; Ctrl-C again stops at once")
        return self.asked

    def watching(self, evaluator: Evaluator) -> Evaluator:
        """The evaluator, with its running networks counted."""

        def submit(request: Request) -> Future[Evaluation]:
            future = evaluator(request)
            self._running.add(future)
            future.add_done_callback(self._running.discard)
            return future

        return submit


@contextmanager
def first_ctrl_c(say: Callable[[str], None]) -> Iterator[Stopping]:
    """Take the first Ctrl-C in the block as a wish to stop soon; the second raises KeyboardInterrupt, as always."""
    stopping = Stopping(say)

    def ask(_signum: int, _frame: FrameType | None) -> None:
        if stopping.asked:
            raise KeyboardInterrupt
        stopping.asked = True

    before = signal.signal(signal.SIGINT, ask)
    try:
        yield stopping
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def terminated_as_interrupted() -> Iterator[None]:
    """Let SIGTERM and SIGHUP in the block raise KeyboardInterrupt.

    A batch system's wish to end and the end of the terminal are taken as Ctrl-C; the latter not under nohup.
    """

    def interrupt(_signum: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    taken = [one for one in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(one) is not signal.SIG_IGN]
    before = {one: signal.signal(one, interrupt) for one in taken}
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)
