"""What an evaluator's answer, or its exception, says of a network: a record that can be kept, whatever came."""

from __future__ import annotations

import math
from concurrent.futures import BrokenExecutor, CancelledError
from dataclasses import fields
from numbers import Integral, Real
from typing import Any

from search.evaluation import Evaluation, Request, Status, WorkerLostError

LOST = (WorkerLostError, BrokenExecutor, CancelledError)  # the network's worker went away
NO_MEMORY = ("out of memory", "can't allocate memory", "cannot allocate memory", "bad_alloc")  # torch, the C library
LONGEST = 300  # characters of a reason
# What the evaluator fills in, with values of the right kind.
DEFAULTS = {field.name: field.default for field in fields(Evaluation) if isinstance(field.default, str | int | float)}


def checked(result: object, request: Request) -> Evaluation:
    """An evaluator's answer as a record of `request` in Python's own types.

    A fitness that is not finite counts as diverged, and what failed has none. Anything but a good record becomes
    one that says what is wrong with it.
    """
    try:
        return _checked(result, request)
    except Exception as error:  # from what is not what it says it is, anything may come
        return Evaluation(request, Status.CRASHED, f"the evaluator's record cannot be kept: {said(error)}"[:LONGEST])


def failed(error: BaseException, request: Request) -> Evaluation:
    """The record of a network whose evaluation ended in an exception."""
    if isinstance(error, LOST):
        return Evaluation(request, Status.LOST, said(error))
    if isinstance(error, TimeoutError):
        return Evaluation(request, Status.TIMED_OUT, said(error))
    memory = isinstance(error, MemoryError) or any(sign in said(error).lower() for sign in NO_MEMORY)
    return Evaluation(request, Status.OUT_OF_MEMORY if memory else Status.CRASHED, said(error))


def said(error: BaseException) -> str:
    """An exception in one line."""
    try:
        text = " ".join(str(error).split()).encode("utf-8", "replace").decode()
    except Exception:
        text = "(it cannot say what happened)"
    return f"{type(error).__name__}: {text}"[:LONGEST] if text else type(error).__name__


def _checked(result: object, request: Request) -> Evaluation:
    if not isinstance(result, Evaluation) or not isinstance(result.status, Status):
        raise TypeError(f"it is a {type(result).__name__}, no record")
    if not request.is_answered_by(result.request):
        raise ValueError("it is that of another network")
    values = {name: _plain(name, getattr(result, name), default) for name, default in DEFAULTS.items()}
    scores = {str(name): _plain(f"score {name}", value, 0.0) for name, value in result.scores.items()}
    status = result.status
    fitness = values.pop("fitness")
    if status is Status.OK and not math.isfinite(fitness):
        status, scores = Status.DIVERGED, {}
        values["reason"] = f"fitness {fitness}"
    on_the_way = tuple(_plain("score on the way", value, 0.0) for value in result.on_the_way)
    kept = fitness if status is Status.OK else 0.0
    return Evaluation(result.request, status, fitness=kept, scores=scores, on_the_way=on_the_way, **values)


def _plain(name: str, value: object, default: str | float) -> Any:
    """The value of a field in the type of its default. Raises TypeError or ValueError for another kind of thing."""
    if isinstance(default, str):
        if not isinstance(value, str):
            raise TypeError(f"{name} is a {type(value).__name__}, no text")
        return value.encode("utf-8", "replace").decode()
    if not isinstance(value, Real):
        raise TypeError(f"{name} is a {type(value).__name__}, no number")
    number = float(value)
    if name != "fitness" and not math.isfinite(number):
        raise ValueError(f"{name} is {number}")
    if not isinstance(default, int):
        return number
    return int(value) if isinstance(value, Integral) else int(number)
