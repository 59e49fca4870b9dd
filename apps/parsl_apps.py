"""The one module that knows Parsl: it turns plain functions into apps and starts the workers."""

from __future__ import annotations

import importlib
import itertools
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, Future
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from apps.blocks import Blocks
from apps.evaluate import STAGING_S, EvaluationSettings, evaluate, evaluate_group
from apps.groups import Groups
from apps.interchange import watched
from apps.limits import GRACE_S
from apps.placement import busy, place
from data_prep.errors import InputError
from search.evaluation import Evaluation, Evaluator, Request, WorkerLostError
from search.verdict import said

if TYPE_CHECKING:
    from parsl.config import Config
    from parsl.executors import HighThroughputExecutor

Outcome = dict[str, Any]
STAGE_S = 6 * 3600.0  # longer than any stage but the search takes
App = Callable[..., "Future[Outcome]"]


class StageError(RuntimeError):
    """A stage failed on a worker for a reason that is not the user's."""


def run_task(module: str, name: str, *arguments: Any) -> Outcome:
    """Run a function of an installed module on a worker and return what came of it as plain data.

    It never raises: Parsl's result thread dies of exceptions that cannot be unpickled, and with
    it the run. Arguments that are outcomes of earlier tasks are unwrapped; a failed one is
    passed on. The outcome says which pool of workers it is from.
    """
    with busy():
        place()
        return {**_outcome(module, name, *arguments), "pool": os.environ.get("PARSL_WORKER_POOL_ID", "")}


def _outcome(module: str, name: str, *arguments: Any) -> Outcome:
    values = []
    for argument in arguments:
        if isinstance(argument, dict) and "evostem_outcome" in argument:
            if argument["evostem_outcome"] != "value":
                return argument
            argument = argument["value"]  # noqa: PLW2901 (the name stays, what is inside comes out)
        values.append(argument)
    try:
        value = getattr(importlib.import_module(module), name)(*values)
    except InputError as error:
        return {"evostem_outcome": "input error", "message": str(error)}
    except BaseException as error:  # whatever it is, the driver shall hear of it
        import traceback

        message = f"{name}: {said(error)}"
        return {"evostem_outcome": "failure", "message": message, "traceback": traceback.format_exc()}
    return {"evostem_outcome": "value", "value": value}


def value_of(future: Future[Outcome]) -> Any:
    """Wait for a task and give its value. Raises InputError or StageError with the worker's message."""
    outcome = future.result()
    if outcome["evostem_outcome"] == "value":
        return outcome["value"]
    if outcome["evostem_outcome"] == "input error":
        raise InputError(outcome["message"])
    raise StageError(f"{outcome['message']}\n{outcome['traceback']}")


class Engine:
    """Workers, as started by a site's Parsl configuration: tasks go to whichever executor has workers free."""

    def __init__(self, shards: Sequence[tuple[App, Blocks]]) -> None:
        """`shards` are executors: an app that runs on one, and its blocks."""
        self._shards = shards
        self._tasks = itertools.count()

    def submit(self, function: Callable[..., Any], *arguments: Any, limit_s: float = STAGE_S) -> Future[Outcome]:
        """Run a module-level function on a worker; futures among the arguments are waited for.

        It takes no longer than `limit_s`: where nothing is heard for longer, the node is given up.
        """
        return self._send(function, *arguments, limit_s=limit_s)[0]

    def _send(
        self, function: Callable[..., Any], *arguments: Any, limit_s: float
    ) -> tuple[Future[Outcome], HighThroughputExecutor]:
        """What comes of a function, and the executor that it went to."""
        living = [shard for shard in self._shards if shard[1].executor.executor_exception is None]
        app, blocks = max(living or self._shards, key=lambda shard: shard[1].workers - shard[1].outstanding)
        task = next(self._tasks)
        blocks.took(task, limit_s)
        try:
            future = app(function.__module__, function.__name__, *arguments)
        except BaseException:
            blocks.gave(task, "")
            raise
        future.add_done_callback(lambda done: blocks.gave(task, _pool_of(done)))
        return future, blocks.executor

    def workers(self) -> int:
        """How many workers are connected; until there is the first, as many as the site always has."""
        if not any(blocks.connected.is_set() for _, blocks in self._shards):
            return sum(_promised(blocks.executor) for _, blocks in self._shards)
        return sum(blocks.workers for _, blocks in self._shards)

    @contextmanager
    def all_blocks(self) -> Iterator[None]:
        """Ask for all blocks that the site allows, for the length of the block of code."""
        for _, blocks in self._shards:
            blocks.wanted = True
        try:
            yield
        finally:
            for _, blocks in self._shards:
                blocks.wanted = False

    def evaluator(self, settings: EvaluationSettings, together: int = 1) -> Evaluator:
        """An evaluator for campaigns, which gives a worker so many networks `together`, to be trained as one.

        It raises BrokenExecutor once no worker will ever come again.
        """

        def submit(requests: Sequence[Request]) -> list[Future[Evaluation]]:
            records: list[Future[Evaluation]] = [Future() for _ in requests]
            task = (evaluate_group, requests) if len(requests) > 1 else (evaluate, requests[0])
            outcome, executor = self._send(
                *task, settings, limit_s=settings.limit_s * len(requests) + STAGING_S + GRACE_S
            )
            outcome.add_done_callback(lambda done: self._hand_over(done, executor, requests, records))
            return records

        take = Groups(submit, together, self.workers) if together > 1 else lambda request: submit([request])[0]

        def evaluator(request: Request) -> Future[Evaluation]:
            broken = self.broken()
            if broken:
                raise BrokenExecutor(str(broken))
            return take(request)

        return evaluator

    def broken(self) -> Exception | None:
        """Why no worker will ever come again; None as long as one may."""
        reasons = [blocks.executor.executor_exception for _, blocks in self._shards]
        return reasons[0] if reasons and None not in reasons else None

    def _hand_over(
        self,
        done: Future[Outcome],
        executor: HighThroughputExecutor,
        requests: Sequence[Request],
        records: Sequence[Future[Evaluation]],
    ) -> None:
        """Set the records of evaluations to what came of their task, which was sent to an executor."""
        from parsl.executors.high_throughput.errors import ManagerLost, WorkerLost

        error: Exception
        try:
            answer = value_of(done)
        except WorkerLost as lost:
            error = WorkerLostError(f"worker {lost.worker_id} on {lost.hostname} went away")
        except ManagerLost as lost:
            error = WorkerLostError(f"the workers on {lost.hostname} went away")
        except StageError as failure:
            error = StageError(str(failure).split("\n")[0])
        except Exception as other:  # it could not even begin
            error = other
            if executor.executor_exception is not None:  # no network is to blame for that
                broken = self.broken()
                error = BrokenExecutor(str(broken)) if broken else WorkerLostError(f"no more workers: {said(other)}")
        else:
            messages = answer if isinstance(answer, list) and len(answer) == len(requests) else [answer] * len(requests)
            for request, record, message in zip(requests, records, messages, strict=True):
                _read(message, request, record)
            return
        for record in records:
            record.set_exception(error)


def _read(message: object, request: Request, record: Future[Evaluation]) -> None:
    """Set a record to what a message says; of what is none, the campaign has to complain."""
    try:
        record.set_result(Evaluation.from_message(message, request) if isinstance(message, tuple) else message)  # type: ignore[arg-type]
    except Exception as error:
        record.set_exception(error)


def _pool_of(done: Future[Outcome]) -> str:
    """Which pool of workers gave an outcome; "" if none did."""
    if done.cancelled() or done.exception() is not None:
        return ""
    outcome = done.result()
    return str(outcome.get("pool", "")) if isinstance(outcome, dict) else ""


def _promised(executor: HighThroughputExecutor) -> int:
    """How many workers an executor always has, once they are there."""
    provider = executor.provider
    return int(executor.workers_per_node * provider.min_blocks * provider.nodes_per_block) if provider else 0


@contextmanager
def start_engine(config: Config, say: Callable[[str], None] = lambda _: None) -> Iterator[Engine]:
    """Start Parsl for the length of the block; what is amiss with its blocks is said."""
    import parsl
    from parsl.executors import HighThroughputExecutor

    executors = [executor for executor in config.executors if isinstance(executor, HighThroughputExecutor)]
    blocks = [Blocks(executor, say) for executor in executors]
    with parsl.load(config), watched(executors, say):
        yield Engine([(parsl.python_app(run_task, executors=[one.executor.label]), one) for one in blocks])
