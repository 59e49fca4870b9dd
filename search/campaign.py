"""The campaign: the only asynchronous loop. It keeps every worker busy and loses nothing."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, CancelledError, Future
from dataclasses import dataclass
from itertools import takewhile
from queue import Empty, SimpleQueue
from typing import Protocol

from search.budget import Budget, Tally
from search.clock import REAL, Clock
from search.evaluation import Evaluation, Evaluator, Request, Status, WorkerLostError
from search.journal import Journal
from search.utilisation import running_seconds
from search.verdict import LOST, checked, failed, said

AHEAD, AHEAD_SHARE = 1, 0.05  # networks that wait, and more of them beside many workers: no worker waits for the driver
STEP_S, PACE_OF, MOST_AHEAD = 0.03, 50, 16  # a step waits for the disk; where networks are quicker, more of them wait
HOPELESS = 20  # failures in a row from the start, or without a word from any worker: not the networks' fault
LOSSES = 2  # workers that a network may take along before it is given up
POLL_S = 0.5  # how often to look up from waiting for results


class Strategy(Protocol):
    """What suggests networks and learns from results: it knows no executor."""

    stage: str

    def ask(self, index: int) -> Request:
        """The next request, numbered `index`."""

    def tell(self, evaluation: Evaluation) -> None:
        """Take in a result, new or from the journal."""

    def parents(self) -> set[int]:
        """Numbers of the evaluations whose networks may have children now."""


class CampaignError(RuntimeError):
    """Nearly everything failed, or nothing can be evaluated any more; the message gives the last reason."""


@dataclass(frozen=True)
class Crew:
    """The workers: how many there are now, how long one may be silent over a network in s.

    And how many networks one works on `together`.
    """

    workers: Callable[[], int]
    patience_s: float = math.inf
    together: int = 1


def run_campaign(
    strategy: Strategy,
    evaluator: Evaluator,
    journal: Journal,
    budget: Budget,
    crew: Crew,
    on_result: Callable[[Evaluation], None],
    stopping: Callable[[], bool] = lambda: False,
    clock: Clock = REAL,
) -> str:
    """Evaluate until the budget of the strategy's stage is used up; returns why it ended.

    What the journal holds of the stage is told first. A finished network is replaced at once; there is no barrier.
    Each result is on disk before it is told. A network whose worker was lost is tried once more, in this life or
    a later one, then recorded as lost. Once `stopping` says so nothing more is submitted, and what runs is
    finished; then "" is returned, as the campaign is to go on another time.

    Raises CampaignError when the first `HOPELESS` results since the driver's start are all failures, when
    nothing is heard of so many networks in a row at any time, and when the evaluator raises BrokenExecutor, which
    says that it takes no more: what it had is recorded, what it refused is not. Raises JournalError when a result
    cannot be recorded for minutes.
    """
    return _Campaign(strategy, evaluator, journal, budget, crew, on_result, clock).run(stopping)


@dataclass
class _Running:
    """A network that was submitted: when, and what will give its result."""

    request: Request
    submitted: float
    future: Future[Evaluation]


class _Campaign:
    """The state of the loop: what is under way, and what came back."""

    def __init__(
        self,
        strategy: Strategy,
        evaluator: Evaluator,
        journal: Journal,
        budget: Budget,
        crew: Crew,
        on_result: Callable[[Evaluation], None],
        clock: Clock,
    ) -> None:
        self.strategy, self.evaluator, self.journal = strategy, evaluator, journal
        self.crew, self.on_result, self.clock = crew, on_result, clock
        self.tally = Tally(budget)
        self.index = journal.next_index()
        self.losses = journal.losses()
        self.running: dict[int, _Running] = {}
        self.again: list[Request] = []  # whose workers were lost
        self.refused = ""  # why the evaluator takes no more
        self.back: SimpleQueue[tuple[int, Future[Evaluation]]] = SimpleQueue()
        self.workers = 0
        self.ran_s = self.crew_since = 0.0
        self.looked = 0.0  # for overdue networks
        self.heard = 0.0  # when a result came, or workers came or went, on the monotonic clock
        self.arrivals: deque[float] = deque(maxlen=PACE_OF)  # of results, on the monotonic clock
        self.failures = 0  # in a row from the start; -1 once something went well
        self.silent = 0  # networks in a row of which no worker told anything

    def run(self, stopping: Callable[[], bool]) -> str:
        self.ran_s = self._replay()
        try:
            while True:
                ended = self.tally.ended(self._seconds())
                if not ended and not stopping():
                    self._fill()
                if not self.running:
                    if self.refused and not ended:
                        raise CampaignError(f"no more networks can be evaluated: {self.refused}")
                    return ended
                self._take(self._arrived())
                stop = bool(ended) or stopping()
                self._try_again(stop=stop)
                self._take(self._overdue())
                if stop and not ended and not self.workers:
                    return ""  # what was submitted waits, and nobody works on it
        finally:
            self._note_crew(0)

    def _replay(self) -> float:
        """Tell what the journal holds; returns for how many seconds the stage has been run before."""
        stage, latest = self.strategy.stage, 0.0
        for evaluation in self.journal.evaluations(stage):
            self.tally.add(evaluation)
            self.strategy.tell(evaluation)
            latest = max(latest, evaluation.ended)
        crew = self.journal.crew(stage)
        latest = max([latest, *(time for time, _ in crew[-1:])])
        if crew and crew[-1][1]:  # the last driver was killed: its crew worked at least so long
            self.journal.note_crew(stage, latest, 0)
        return running_seconds(crew, latest)

    def _seconds(self) -> float:
        """For how many seconds there were workers, in this life and before."""
        return self.ran_s + (self.clock.now() - self.crew_since if self.workers else 0.0)

    def _fill(self) -> None:
        """Submit until every worker has a network and some wait."""
        self._note_crew(self.crew.workers())
        waiting = max(AHEAD + int(AHEAD_SHARE * self.workers), self._soon())
        room = (self.workers + waiting) * self.crew.together
        while not self.refused and len(self.running) < min(room, self.tally.budget.evaluations - self.tally.completed):
            self._submit(self.strategy.ask(self.index))
            self.index += 1

    def _soon(self) -> int:
        """How many results come, at the present pace, in the time that a step of the driver takes."""
        if len(self.arrivals) < PACE_OF:
            return 0
        seconds = self.arrivals[-1] - self.arrivals[0]
        return MOST_AHEAD if seconds <= 0 else min(MOST_AHEAD, int(STEP_S * (PACE_OF - 1) / seconds))

    def _note_crew(self, workers: int) -> None:
        if workers != self.workers:
            now = self.clock.now()
            self.journal.note_crew(self.strategy.stage, now, workers)
            if workers == 0:
                self.ran_s = self._seconds()
            if self.workers == 0:
                self.crew_since = now
            self.heard = self.clock.monotonic()
            self.workers = workers

    def _submit(self, request: Request) -> None:
        future: Future[Evaluation] = Future()
        try:
            if self.losses[request.key] >= LOSSES:
                raise WorkerLostError(f"{LOSSES} workers were lost with this network before")
            future = self.evaluator(request)
            future.add_done_callback(lambda done: self.back.put((request.index, done)))
        except BrokenExecutor as error:
            self.refused = said(error)
            return
        except Exception as error:
            future = Future()
            future.set_exception(error)
            self.back.put((request.index, future))
        self.running[request.index] = _Running(request, self.clock.monotonic(), future)

    def _try_again(self, *, stop: bool) -> None:
        """Submit networks once more whose workers were lost, or leave them to the next life if this one ends."""
        for request in self.again:
            del self.running[request.index]
            if not stop:
                self._submit(request)
        self.again = []

    def _arrived(self) -> list[Evaluation]:
        """Results that are back, after waiting a moment for the first; fewer if networks are to be tried again."""
        results = []
        try:
            index, future = self.clock.wait(self.back, POLL_S)
            while True:
                self.heard = self.clock.monotonic()
                running = self.running.get(index)
                if running is not None and running.future is future:  # else it was given up, and comes too late
                    result = self._result(running)
                    if result is not None:
                        results.append(result)
                index, future = self.back.get_nowait()
        except Empty:
            return results

    def _result(self, running: _Running) -> Evaluation | None:
        """The record of a network that is back; None if its worker was lost and it is tried again."""
        request = running.request
        try:
            error = running.future.exception()
        except CancelledError as cancelled:
            error = cancelled
        if error is None:
            return checked(running.future.result(), request)
        if isinstance(error, LOST) and self.losses[request.key] < LOSSES:
            self.journal.note_loss(request, said(error))
            self.losses[request.key] += 1
            if self.losses[request.key] < LOSSES:
                self.again.append(request)
                return None
        return failed(error, request)

    def _overdue(self) -> list[Evaluation]:
        """Records of networks that nothing was heard of for too long."""
        limit, now = self.crew.patience_s, self.clock.monotonic()
        if now - self.looked < POLL_S:
            return []
        self.looked = now
        self._note_crew(self.crew.workers())
        if self.workers == 0:
            return []
        # Not by its time alone: after workers have left, networks wait long for one of those that are still there.
        late = takewhile(lambda running: now - max(running.submitted, self.heard) > limit, self.running.values())
        return [Evaluation(running.request, Status.TIMED_OUT, f"nothing heard for {limit:g} s") for running in late]

    def _take(self, results: list[Evaluation]) -> None:
        """Record results, then tell them."""
        if not results:
            return
        self.journal.append(results)
        self.arrivals.extend([self.clock.monotonic()] * len(results))
        for evaluation in results:
            del self.running[evaluation.request.index]
            self.tally.add(evaluation)
            self.strategy.tell(evaluation)
            if evaluation.status is Status.OK:
                self.failures = -1
            elif self.failures >= 0:
                self.failures += 1
            unheard = evaluation.status in {Status.LOST, Status.TIMED_OUT} and not evaluation.ended
            self.silent = self.silent + 1 if unheard else 0
            self.on_result(evaluation)
        last = f"the last: {results[-1].status}, {results[-1].reason}"
        if self.failures >= HOPELESS:
            raise CampaignError(f"the first {self.failures} networks all failed; {last}")
        if self.silent >= max(
            HOPELESS, 2 * self.workers * self.crew.together
        ):  # more than can have been under way at once
            raise CampaignError(f"nothing was heard of the last {self.silent} networks; {last}")
