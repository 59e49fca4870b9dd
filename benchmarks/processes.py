"""Evaluations on plain worker processes, without Parsl."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from typing import Any

from apps.evaluate import EvaluationSettings, evaluate
from search.evaluation import Evaluation, Evaluator, Request


@contextmanager
def processes(workers: int, settings: EvaluationSettings) -> Iterator[Evaluator]:
    """An evaluator that trains networks on fresh processes, for the length of the block."""
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:

        def evaluator(request: Request) -> Future[Evaluation]:
            record: Future[Evaluation] = Future()

            def finish(done: Future[tuple[Any, ...]]) -> None:
                error = done.exception()
                if error is None:
                    record.set_result(Evaluation.from_message(done.result(), request))
                else:
                    record.set_exception(error)

            pool.submit(evaluate, request, settings).add_done_callback(finish)
            return record

        yield evaluator
