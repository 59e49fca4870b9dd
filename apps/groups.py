"""Requests that go to a worker as one task."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future

from search.evaluation import Evaluation, Request

SETTLED_S = 0.2  # so long after the last request no other comes for now
Submit = Callable[[Sequence[Request]], list["Future[Evaluation]"]]


class Groups:
    """An evaluator that collects requests until there are `size`, and submits them together.

    Fewer are submitted only where nothing is under way any more that could bring others.
    """

    def __init__(self, submit: Submit, size: int) -> None:
        self._submit, self._size = submit, size
        self._lock = threading.RLock()
        self._waiting: list[tuple[Request, Future[Evaluation]]] = []
        self._running = 0  # requests that were submitted
        self._timer: threading.Timer | None = None

    def __call__(self, request: Request) -> Future[Evaluation]:
        """Take a request; raises what `submit` raises for the group that it completes."""
        record: Future[Evaluation] = Future()
        with self._lock:
            self._waiting.append((request, record))
            if len(self._waiting) == self._size:
                self._send()
            else:
                self._wait_for_others()
        return record

    def _wait_for_others(self) -> None:
        """Send what there is in a while, unless something runs that will bring others."""
        if self._timer is not None:
            self._timer.cancel()
        if self._waiting and not self._running:
            self._timer = threading.Timer(SETTLED_S, self._give_up_waiting)
            self._timer.daemon = True
            self._timer.start()

    def _give_up_waiting(self) -> None:
        with self._lock:
            if self._waiting and not self._running:
                try:
                    self._send()
                except Exception:  # each of their futures has it
                    return

    def _send(self) -> None:
        group, self._waiting = self._waiting, []
        try:
            futures = self._submit([request for request, _ in group])
        except Exception as error:
            for _, record in group:
                record.set_exception(error)
            raise
        self._running += len(group)
        for (_, record), future in zip(group, futures, strict=True):
            future.add_done_callback(lambda done, record=record: self._done(done, record))  # type: ignore[misc]

    def _done(self, done: Future[Evaluation], record: Future[Evaluation]) -> None:
        with self._lock:
            self._running -= 1
            self._wait_for_others()
        error = done.exception()
        if error is None:
            record.set_result(done.result())
        else:
            record.set_exception(error)
