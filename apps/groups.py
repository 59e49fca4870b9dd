"""Requests that go to a worker as one task."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from functools import partial

from search.evaluation import Evaluation, Request

SETTLED_S = 1.0  # so long after the last request no other comes for now
Submit = Callable[[Sequence[Request]], list["Future[Evaluation]"]]


class Groups:
    """An evaluator that collects requests until there are `size`, and submits them together.

    Fewer are submitted only where a worker would have nothing to do. A request whose worker was lost goes alone when
    it comes again, so that it takes no others along.
    """

    def __init__(self, submit: Submit, size: int, workers: Callable[[], int]) -> None:
        self._submit, self._size, self._workers = submit, size, workers
        self._lock = threading.Lock()
        self._waiting: list[tuple[Request, Future[Evaluation]]] = []
        self._running: Counter[int] = Counter()  # requests of each group that are not back
        self._groups = 0
        self._alone: set[int] = set()
        self._timer: threading.Timer | None = None

    def __call__(self, request: Request) -> Future[Evaluation]:
        """Take a request; raises what `submit` raises for the group that it completes."""
        record: Future[Evaluation] = Future()
        with self._lock:
            if request.index in self._alone:
                group = [(request, record)]
            else:
                self._waiting.append((request, record))
                group = self._taken() if len(self._waiting) == self._size else []
                self._wait_for_others()
        if group:
            self._send(group)
        return record

    def _wait_for_others(self) -> None:
        """Send what there is if no other comes for a while, and a worker is idle."""
        if self._timer is not None:
            self._timer.cancel()
        if self._waiting and len(self._running) < self._workers():
            self._timer = threading.Timer(SETTLED_S, self._give_up_waiting)
            self._timer.daemon = True
            self._timer.start()

    def _give_up_waiting(self) -> None:
        with self._lock:
            group = self._taken() if len(self._running) < self._workers() else []
        if group:
            with suppress(Exception):  # each of their futures has it
                self._send(group)

    def _taken(self) -> list[tuple[Request, Future[Evaluation]]]:
        group, self._waiting = self._waiting, []
        return group

    def _send(self, group: list[tuple[Request, Future[Evaluation]]]) -> None:
        """Submit a group. Not under the lock, as whoever brings results may hold what is needed to submit."""
        with self._lock:
            self._groups += 1
            number = self._groups
            self._running[number] = len(group)
        try:
            futures = self._submit([request for request, _ in group])
        except Exception as error:
            with self._lock:
                del self._running[number]
            for _, record in group:
                record.set_exception(error)
            raise
        for (request, record), future in zip(group, futures, strict=True):
            future.add_done_callback(partial(self._done, request, record, number))

    def _done(self, request: Request, record: Future[Evaluation], number: int, done: Future[Evaluation]) -> None:
        error = done.exception()
        with self._lock:
            self._running[number] -= 1
            self._running = +self._running
            if error is not None:
                self._alone.add(request.index)
            self._wait_for_others()
        if error is None:
            record.set_result(done.result())
        else:
            record.set_exception(error)
