"""The record of one evaluation: always returned, never an exception."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from typing import Any

import numpy as np


class Status(StrEnum):
    """How an evaluation ended."""

    OK = "ok"
    DIVERGED = "diverged"
    OUT_OF_MEMORY = "out_of_memory"
    TIMED_OUT = "timed_out"
    CRASHED = "crashed"
    LOST = "lost"


@dataclass(frozen=True)
class Request:
    """One network to be evaluated.

    `genome` is empty where the worker draws it itself: by the `predictor` of that name, or, without, at random.
    `index` counts the evaluations of a run, over all stages; `parents` are indices too. `origin` names the
    operators that made it, joined by "+"; `to_beat` is the fitness of its better parent, `shared` the
    share of its weights that it may inherit. `thresholds` are pairs:
    after this share of the iterations, training is stopped if the score is below that.
    """

    index: int
    stage: str
    generation: int
    genome: bytes
    seed: int
    parents: tuple[int, ...] = ()
    origin: str = ""
    to_beat: float = 0.0
    shared: float = 0.0
    thresholds: tuple[tuple[float, float], ...] = ()
    predictor: str = ""

    @property
    def key(self) -> bytes:
        """What is the same if the network is asked for once more."""
        return self.genome or f"{self.stage} {self.index}".encode()

    def is_answered_by(self, answer: Request) -> bool:
        """Whether a record's request is this one, but for what the worker drew."""
        if self.genome:
            return answer == self
        return replace(answer, genome=self.genome, origin=self.origin) == self

    @property
    def made_by(self) -> tuple[str, ...]:
        """Names of the operators that made the genome."""
        return tuple(self.origin.split("+"))


@dataclass(frozen=True)
class Evaluation:
    """What came of a request.

    `fitness` is 0 where nothing was learnt, 1 at best; `scores` its parts; `draws` is how many sets of hyperparameters
    the worker looked at to choose this one, 0 where it did not choose, and `rejected` is 1 if none of them was
    accepted. It ran on node `host`, as the batch system calls it, with the GPU of number `gpu` there, "" if it was
    given none; times are the worker's own clock, in seconds since the epoch. `warning` is what the worker could go on
    without, `inherited` the share of the weights that were a parent's; `on_the_way` has the scores at the request's
    thresholds.
    """

    request: Request
    status: Status
    reason: str = ""
    warning: str = ""
    fitness: float = 0.0
    scores: dict[str, float] = field(default_factory=dict)
    iterations: int = 0
    iterations_per_s: float = 0.0
    flops_per_iteration: int = 0
    weights: int = 0
    peak_memory_bytes: int = 0
    inference_s_per_megapixel: float = 0.0
    inherited: float = 0.0
    on_the_way: tuple[float, ...] = ()
    draws: int = 0
    rejected: int = 0
    host: str = ""
    worker: str = ""
    gpu: str = ""
    device: str = ""
    started: float = 0.0
    ended: float = 0.0

    def to_plain(self) -> dict[str, Any]:
        """As plain data that any process can read."""
        # Not dataclasses.asdict: it copies deeply, and takes as long as the rest of a search's step.
        request = {**vars(self.request), "genome": self.request.genome.hex()}
        return {**vars(self), "request": request, "status": self.status.value}

    @staticmethod
    def from_plain(plain: dict[str, Any]) -> Evaluation:
        """Back from plain data."""
        request = dict(plain["request"])
        request["genome"] = bytes.fromhex(request["genome"])
        request["parents"] = tuple(request["parents"])
        request["thresholds"] = tuple((share, score) for share, score in request.get("thresholds", ()))
        plain = {**plain, "on_the_way": tuple(plain.get("on_the_way", ()))}
        rest = {name: value for name, value in plain.items() if name not in ("request", "status")}
        return Evaluation(Request(**request), Status(plain["status"]), **rest)

    def to_message(self) -> tuple[Any, ...]:
        """As short plain data, to be sent to whoever has the request: without it, but for what was drawn."""
        values = vars(self)
        request = values["request"]
        return (request.genome, request.origin, self.status.value, *(values[name] for name in _SENT))

    @staticmethod
    def from_message(message: tuple[Any, ...], request: Request) -> Evaluation:
        """Back from a message. Raises ValueError or TypeError for what is none."""
        genome, origin, status, *rest = message
        answer = request if request.genome else replace(request, genome=genome, origin=origin)
        return Evaluation(answer, Status(status), **dict(zip(_SENT, rest, strict=True)))


_SENT = tuple(field.name for field in fields(Evaluation) if field.name not in ("request", "status"))


class WorkerLostError(RuntimeError):
    """A worker went away with the network that it worked on; the message says how it was noticed."""


# Takes a request, gives at once a future of its record. Parsl, threads and simulations are some.
Evaluator = Callable[[Request], "Future[Evaluation]"]


def rng_of(run_seed: int, index: int) -> np.random.Generator:
    """The generator for evaluation `index` of a run; a replay needs no stored state."""
    return np.random.default_rng([run_seed, index])


def training_seed(run_seed: int, index: int) -> int:
    """The seed that the worker trains with."""
    return int(np.random.SeedSequence([run_seed, index, 1]).generate_state(1)[0])
