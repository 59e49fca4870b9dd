"""A cluster in virtual time: how a campaign goes on 25,000 workers, told by a laptop in seconds.

It is an evaluator, and drives the very same `run_campaign`. Nothing sleeps: while the campaign waits for a result, the
clock jumps from one event to the next.
"""

from __future__ import annotations

import heapq
import math
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import numpy as np

from networks.genes import SIZES, unpack
from search.budget import Budget
from search.campaign import Crew, Strategy, run_campaign
from search.clock import Clock
from search.evaluation import Evaluation, Request, Status, WorkerLostError, rng_of
from search.journal import Journal
from search.utilisation import Utilisation

Fitness = Callable[[Request], float]
Duration = Callable[[Request, np.random.Generator], float]


def toy_fitness(request: Request) -> float:
    """Made up: how near the genes are to the middle of their values, from 0 to 1."""
    return 1 - float(np.abs(2 * unpack(request.genome) / (SIZES - 1) - 1).mean())


def log_normal(mean_s: float, spread: float) -> Duration:
    """Durations that multiply many small chances; `spread` is the standard deviation of their logarithm."""
    return lambda _request, rng: float(mean_s * rng.lognormal(-(spread**2) / 2, spread))


@dataclass(frozen=True)
class Shift:
    """When a worker is there, in s since the start. It begins to work `SimulatedCluster.start_up_s` later."""

    begins: float = 0.0
    ends: float = math.inf


@dataclass(eq=False)
class _Worker:
    """One life of a worker."""

    name: str
    there: bool = True
    future: Future[Evaluation] | None = None  # of the network that it works on


class SimulatedCluster:
    """Workers, the queue before them, and the time.

    Networks wait in one queue; a free worker takes the oldest. The future of a network
    whose worker goes away raises WorkerLostError. A worker that is lost by chance, after `mean_life_s` on average,
    starts anew at once; one whose shift ends does not. Each network costs the driver `driver_s` as it is submitted.
    The clock begins at 0 s.
    """

    def __init__(
        self,
        shifts: Sequence[Shift],
        duration: Duration,
        *,
        fitness: Fitness = toy_fitness,
        start_up_s: float = 0.0,
        driver_s: float = 0.0,
        mean_life_s: float = math.inf,
        seed: int = 0,
    ) -> None:
        self.duration, self.fitness = duration, fitness
        self.start_up_s, self.driver_s, self.mean_life_s = start_up_s, driver_s, mean_life_s
        self.seed, self._rng = seed, np.random.default_rng(seed)
        self.now = 0.0
        self.clock = Clock(lambda: self.now, lambda: self.now, self._wait)
        self.crew = Crew(lambda: self._present)
        self._present = 0
        self._free: deque[_Worker] = deque()
        self._queue: deque[tuple[Request, Future[Evaluation]]] = deque()
        self._events: list[tuple[float, int, Callable[[], None]]] = []  # a heap: time, number, what happens
        self._numbers = 0
        for number, shift in enumerate(shifts):
            self._come(str(number), max(shift.begins, 0.0) + start_up_s, shift.ends)
        self._pass(0.0)

    def __call__(self, request: Request) -> Future[Evaluation]:
        """Evaluate a network, as `search.evaluation.Evaluator` does."""
        self._pass(self.now + self.driver_s)
        future: Future[Evaluation] = Future()
        self._queue.append((request, future))
        self._hand_out()
        return future

    def _wait(self, queue: SimpleQueue[Any], timeout: float) -> Any:
        """Let time pass until something is in the queue."""
        latest = self.now + timeout
        while queue.empty() and self._events and self._events[0][0] <= latest:
            self._pass(self._events[0][0])
        if queue.empty():
            self._pass(latest)
        return queue.get_nowait()

    def _pass(self, until: float) -> None:
        """Let happen what happens up to a time."""
        while self._events and self._events[0][0] <= until:
            self.now, _, happens = heapq.heappop(self._events)
            happens()
        self.now = until

    def _at(self, time: float, happens: Callable[[], None]) -> None:
        self._numbers += 1
        heapq.heappush(self._events, (time, self._numbers, happens))

    def _come(self, name: str, time: float, ends: float) -> None:
        """Let a worker be ready at a time, unless its shift is over by then."""
        if time < ends:
            self._at(time, lambda: self._begin(_Worker(name), ends))

    def _begin(self, worker: _Worker, ends: float) -> None:
        self._present += 1
        leaves = min(ends, self.now + self._rng.exponential() * self.mean_life_s)
        if leaves < math.inf:
            self._at(leaves, lambda: self._leave(worker, ends))
        self._free.append(worker)
        self._hand_out()

    def _leave(self, worker: _Worker, ends: float) -> None:
        self._present -= 1
        worker.there = False
        if worker.future is not None:
            worker.future.set_exception(WorkerLostError(f"simulated worker {worker.name} went away"))
        self._come(worker.name, self.now + self.start_up_s, ends)

    def _hand_out(self) -> None:
        """Give the networks that wait to the workers that are free."""
        while self._queue and self._free:
            worker = self._free.popleft()
            if worker.there:
                self._start(worker, *self._queue.popleft())

    def _start(self, worker: _Worker, request: Request, future: Future[Evaluation]) -> None:
        worker.future, started = future, self.now
        ended = started + self.duration(request, rng_of(self.seed, request.index))

        def finish() -> None:
            if worker.there:  # else the network was lost with it
                worker.future = None
                self._free.append(worker)
                fitness, name = self.fitness(request), worker.name
                future.set_result(
                    Evaluation(request, Status.OK, fitness=fitness, worker=name, started=started, ended=ended)
                )
                self._hand_out()

        if ended < math.inf:  # else it hangs
            self._at(ended, finish)


def simulate(
    cluster: SimulatedCluster, strategy: Callable[[], Strategy], evaluations: int, barrier: int | None = None
) -> Journal:
    """Run a campaign on a cluster; gives its journal, which is in memory.

    With a barrier, that many networks are waited for before the next are asked, as generational algorithms do:
    a campaign of one generation after the other, each of which begins by replaying the journal.
    """
    journal = Journal(Path(":memory:"))
    step = barrier or evaluations
    for count in range(step, evaluations + step, step):
        budget = Budget(min(count, evaluations))
        run_campaign(strategy(), cluster, journal, budget, cluster.crew, lambda _: None, clock=cluster.clock)
    return journal


def utilisation(journal: Journal, stage: str) -> float:
    """The share of the crew's time that was spent in evaluations."""
    fold = Utilisation()
    for evaluation in journal.evaluations(stage):
        fold.add(evaluation)
    return fold.share(journal.crew(stage))
