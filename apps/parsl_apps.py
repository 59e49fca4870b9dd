"""The one module that knows Parsl: it turns plain functions into apps and starts the workers."""

from __future__ import annotations

import importlib
import math
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, Future
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from apps.evaluate import EvaluationSettings, evaluate, evaluate_group
from apps.groups import Groups
from data_prep.errors import InputError
from search.evaluation import Evaluation, Evaluator, Request, WorkerLostError
from search.verdict import said

if TYPE_CHECKING:
    from parsl.config import Config
    from parsl.executors import HighThroughputExecutor

Outcome = dict[str, Any]
COUNT_EVERY_S, WATCH_S = 2.0, 1.0


class StageError(RuntimeError):
    """A stage failed on a worker for a reason that is not the user's."""


def run_task(module: str, name: str, *arguments: Any) -> Outcome:
    """Run a function of an installed module on a worker and return what came of it as plain data.

    It never raises: Parsl's result thread dies of exceptions that cannot be unpickled, and with
    it the run. Arguments that are outcomes of earlier tasks are unwrapped; a failed one is
    passed on.
    """
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
    """Workers, as started by a site's Parsl configuration. `executors` are Parsl's; `planned` workers are to come."""

    def __init__(
        self,
        app: Callable[..., Future[Outcome]],
        executors: Sequence[HighThroughputExecutor] = (),
        planned: int = 0,
    ) -> None:
        self._app = app
        self._executors = executors
        self._count, self._counted = planned, -math.inf
        self._came = False  # whether any worker did

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Future[Outcome]:
        """Run a module-level function on a worker; futures among the arguments are waited for."""
        return self._app(function.__module__, function.__name__, *arguments)

    def workers(self) -> int:
        """How many workers are connected, as of `COUNT_EVERY_S` ago; as planned until there is the first."""
        if time.monotonic() - self._counted >= COUNT_EVERY_S:
            connected = sum(map(_connected, self._executors))
            self._came = self._came or connected > 0
            if self._came:
                self._count = connected
            self._counted = time.monotonic()
        return self._count

    def evaluator(self, settings: EvaluationSettings, together: int = 1) -> Evaluator:
        """An evaluator for campaigns, which gives a worker so many networks `together`, to be trained as one.

        It raises BrokenExecutor once no worker will ever come again.
        """

        def submit(requests: Sequence[Request]) -> list[Future[Evaluation]]:
            records: list[Future[Evaluation]] = [Future() for _ in requests]
            task = (evaluate_group, requests) if len(requests) > 1 else (evaluate, requests[0])
            outcome = self.submit(*task, settings)
            outcome.add_done_callback(lambda done: self._hand_over(done, requests, records))
            return records

        take = Groups(submit, together, self.workers) if together > 1 else lambda request: submit([request])[0]

        def evaluator(request: Request) -> Future[Evaluation]:
            broken = self._broken()
            if broken:
                raise BrokenExecutor(broken)
            return take(request)

        return evaluator

    def _broken(self) -> str:
        """Why no worker will ever come again; "" as long as one may."""
        broken = [executor for executor in self._executors if executor.bad_state_is_set]
        return str(broken[0].executor_exception) if broken and len(broken) == len(self._executors) else ""

    def _hand_over(
        self, done: Future[Outcome], requests: Sequence[Request], records: Sequence[Future[Evaluation]]
    ) -> None:
        """Set the records of evaluations to what came of their task."""
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
            broken = self._broken()
            error = BrokenExecutor(broken) if broken else other
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


def _connected(executor: HighThroughputExecutor) -> int:
    """How many workers of an executor are there to work."""
    if executor.bad_state_is_set:
        return 0
    try:
        managers = executor.connected_managers()  # 0.1 ms
    except Exception:  # its interchange has just died
        return 0
    return sum(m["worker_count"] for m in managers if m["active"] and not m["draining"])


def _give_up_dead(executors: Sequence[HighThroughputExecutor]) -> None:
    """Fail what executors have to do whose interchange has died: Parsl would wait for it for ever, at the end too."""
    for executor in executors:
        interchange = executor.interchange_proc
        if interchange is None or interchange.poll() is None or executor.bad_state_is_set:
            continue
        dead = RuntimeError(f"Parsl's interchange ended with status {interchange.returncode}")
        executor.set_bad_state_and_fail_all(dead)
        executor.command_client.ok = False
        for pipe in (executor.command_client, executor.outgoing_q):  # lets those go who wait for it
            pipe.zmq_socket.linger = 0
            pipe.close = pipe.zmq_socket.close  # type: ignore[method-assign]  # only one may end the context
            threading.Thread(target=pipe.zmq_context.term, daemon=True).start()


@contextmanager
def _watching(executors: Sequence[HighThroughputExecutor]) -> Iterator[None]:
    """Look after executors' interchanges during the block."""
    done = threading.Event()

    def watch() -> None:
        while not done.wait(WATCH_S):
            _give_up_dead(executors)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()
        _give_up_dead(executors)


@contextmanager
def start_engine(config: Config) -> Iterator[Engine]:
    """Start Parsl for the length of the block."""
    import parsl
    from parsl.executors import HighThroughputExecutor

    executors = [executor for executor in config.executors if isinstance(executor, HighThroughputExecutor)]
    with parsl.load(config), _watching(executors):
        yield Engine(parsl.python_app(run_task), executors, sum(map(_planned, executors)))


def _planned(executor: HighThroughputExecutor) -> int:
    """How many workers an executor has when all its nodes are there."""
    provider = executor.provider
    return int(executor.max_workers_per_node * provider.max_blocks * provider.nodes_per_block) if provider else 0
