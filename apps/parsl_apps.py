"""The one module that knows Parsl: it turns plain functions into apps and starts the workers."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from apps.evaluate import EvaluationSettings, evaluate
from data_prep.errors import InputError
from search.evaluation import Evaluation, Evaluator, Request

if TYPE_CHECKING:
    from parsl.config import Config

Outcome = dict[str, Any]


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
    except Exception as error:  # whatever it is, the driver shall hear of it
        import traceback

        message = f"{name}: {type(error).__name__}: {' '.join(str(error).split())}"
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
    """Workers, as started by a site's Parsl configuration."""

    def __init__(self, app: Callable[..., Future[Outcome]]) -> None:
        self._app = app

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Future[Outcome]:
        """Run a module-level function on a worker; futures among the arguments are waited for."""
        return self._app(function.__module__, function.__name__, *arguments)

    def evaluator(self, settings: EvaluationSettings) -> Evaluator:
        """An evaluator for campaigns."""

        def submit(request: Request) -> Future[Evaluation]:
            record: Future[Evaluation] = Future()

            def finish(done: Future[Outcome]) -> None:
                try:
                    record.set_result(Evaluation.from_plain(value_of(done)))
                except Exception as error:  # a worker that was lost, or could not even begin
                    record.set_exception(error)

            self.submit(evaluate, request, settings).add_done_callback(finish)
            return record

        return submit


@contextmanager
def start_engine(config: Config) -> Iterator[Engine]:
    """Start Parsl for the length of the block."""
    import parsl

    with parsl.load(config):
        yield Engine(parsl.python_app(run_task))
