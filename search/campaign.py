"""The campaign: the only asynchronous loop. It keeps every worker busy and loses nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from typing import Protocol

from search.evaluation import Evaluation, Evaluator, Request, Status
from search.journal import Journal

QUEUE_AHEAD = 1  # networks waiting, so that no worker waits for the driver
STOPPED_S = 10.0  # workers all idle for so long: the run was not going on
HOPELESS = 20  # failures in a row from the start: the fault is not in the networks


class Strategy(Protocol):
    """What suggests networks and learns from results: it knows no executor."""

    stage: str

    def ask(self, index: int) -> Request:
        """The next request, numbered `index`."""

    def tell(self, evaluation: Evaluation) -> None:
        """Take in a result."""


class CampaignError(RuntimeError):
    """Nearly everything failed; the message gives the last reason."""


def run_campaign(
    strategy: Strategy,
    evaluator: Evaluator,
    journal: Journal,
    budget: int,
    workers: int,
    on_result: Callable[[Evaluation], None],
) -> None:
    """Evaluate until `budget` evaluations of the strategy's stage are completed and recorded.

    A finished network is replaced at once; there is no barrier. Each result is on disk before it
    is told. What the journal holds already counts and is not told again: the caller has replayed it.
    Raises CampaignError when the first `HOPELESS` all failed.
    """
    recorded = journal.evaluations(strategy.stage)
    completed = len(recorded)
    any_good = any(evaluation.status is Status.OK for evaluation in recorded)
    index = journal.next_index()
    running: dict[Future[Evaluation], Request] = {}
    while completed < budget:
        while len(running) < workers + QUEUE_AHEAD and completed + len(running) < budget:
            request = strategy.ask(index)
            running[evaluator(request)] = request
            index += 1
        done, _ = wait(running, return_when=FIRST_COMPLETED)
        results = [_result(future, running.pop(future)) for future in sorted(done, key=lambda f: running[f].index)]
        journal.append(results)
        for evaluation in results:
            strategy.tell(evaluation)
            on_result(evaluation)
            completed += 1
            any_good |= evaluation.status is Status.OK
        if completed >= HOPELESS and not any_good:
            last = results[-1]
            raise CampaignError(f"the first {completed} networks all failed; the last: {last.status}, {last.reason}")


def _result(future: Future[Evaluation], request: Request) -> Evaluation:
    """The record of a future, also where a worker was lost with it."""
    error = future.exception()
    if error is None:
        return future.result()
    return Evaluation(request, Status.LOST, f"{type(error).__name__}: {error}"[:300])


def utilisation(evaluations: Sequence[Evaluation], workers: int) -> float:
    """Worker-seconds inside evaluations beside those available, from the first start to the last end.

    Stretches of more than `STOPPED_S` in which no worker at all was busy do not count: there the
    run was interrupted.
    """
    timed = sorted((e for e in evaluations if e.ended > e.started), key=lambda e: e.started)
    if not timed:
        return 0.0
    busy = sum(e.ended - e.started for e in timed)
    available, latest = 0.0, timed[0].started
    for e in timed:
        gap = e.started - latest
        available += 0.0 if gap > STOPPED_S else max(gap, 0.0)
        available += max(e.ended - max(latest, e.started), 0.0)
        latest = max(latest, e.ended)
    return busy / (available * workers)
