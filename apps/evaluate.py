"""Evaluate one network on a worker."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from apps.limits import TimeLimitError, memory_limit, memory_share, time_limit
from apps.placement import node, place, threads
from apps.weights import kept_weights
from data_prep.errors import InputError
from data_prep.staging import Staged, stage
from search.evaluation import Evaluation, Request, Status
from search.tuning_folder import Drawn, TuningFolder
from search.verdict import checked, failed

if TYPE_CHECKING:
    from networks.space import NetworkSpec
    from networks.train import TileTensors, Trained

Message = tuple[Any, ...]
_too_slow: set[Path] = set()  # of which this worker has no copy
STAGING_S = 120.0  # for a copy of the tiles, or to wait for that of another worker


@dataclass(frozen=True)
class EvaluationSettings:
    """What all evaluations of a campaign share.

    `tiles` is the shared tile set and `digest` its SHA-256; `seconds` the cap on training, after
    which a network is judged as it is; `limit_s` the time after which it is given up; `fitness` the
    score that counts, one of `networks.metrics.SCORES`; `weights` the folder where networks leave their weights for
    their children, if children are to begin with them; `tuning` the folder of what sets of hyperparameters
    are drawn from.
    """

    tiles: Path
    digest: str
    node_local: str | None
    iterations: int
    seconds: float
    limit_s: float
    fitness: str = "f1"
    weights: Path | None = None
    tuning: Path = Path()


def evaluate(request: Request, settings: EvaluationSettings) -> Message:
    """Train the network of a request and measure it. Returns the record as a message, always.

    A set of hyperparameters that the request does not have is drawn first.
    """
    started = time.time()
    facts: dict[str, Any] = {}
    try:
        _load()
        staged = _staged(settings)
        with time_limit(settings.limit_s):
            facts["warning"] = staged.warning
            if not request.genome:
                drawn = TuningFolder(settings.tuning).draw(request)
                request, facts = drawn.request, _joined(facts, _facts_of(drawn))
            with _memory():
                outcome = _train(request, settings, staged.path)
        facts = _joined(facts, outcome)
    except (Exception, SystemExit, TimeLimitError) as error:  # one bad network must not end a run
        facts |= _failure(error, request)
    return _message(request, facts, started, time.time())


def evaluate_group(requests: Sequence[Request], settings: EvaluationSettings) -> list[Message]:
    """Evaluate sets of hyperparameters that are trained as one stacked model; a message for each, as by `evaluate`.

    Each is said to have taken its part of the time, one after the other. Where they cannot be trained as one, for
    want of memory or another reason, the same sets are trained one by one.
    """
    started = time.time()
    group: list[Drawn] = []
    outcomes: list[dict[str, Any]] = []
    try:
        _load()
        staged = _staged(settings)
        with time_limit(settings.limit_s * len(requests)):
            group = TuningFolder(settings.tuning).draw_group(requests)
            with _memory():
                outcomes = _train_group([drawn.request for drawn in group], settings, staged.path)
    except TimeLimitError as error:
        reason = _failure(error, requests[0])
        return [_message(request, reason, started, time.time()) for request in requests]
    except Exception:  # not trained here, where the error holds on to what the group had in memory
        outcomes = []
    if not group:
        return [evaluate(request, settings) for request in requests]
    if not outcomes:
        return [_alone(drawn, settings) for drawn in group]
    part = (time.time() - started) / len(group)
    return [
        _message(
            drawn.request,
            _joined({"warning": staged.warning}, _facts_of(drawn), outcome),
            started + number * part,
            started + (number + 1) * part,
        )
        for number, (drawn, outcome) in enumerate(zip(group, outcomes, strict=True))
    ]


def _load() -> None:
    """Import torch, before there is a limit of time: an import that was interrupted can never be repeated."""
    import networks.train  # noqa: F401


def _staged(settings: EvaluationSettings) -> Staged:
    """The tile set on this node, which has a time of its own: no network is to blame for a slow disk."""
    if settings.tiles not in _too_slow:
        try:
            with time_limit(STAGING_S):
                return stage(settings.tiles, settings.node_local, settings.digest)
        except TimeLimitError:
            _too_slow.add(settings.tiles)
    return Staged(settings.tiles, f"no copy was made within {STAGING_S:.0f} s, the shared file is read")


def _alone(drawn: Drawn, settings: EvaluationSettings) -> Message:
    """Evaluate one of a group, with the set that was drawn for it."""
    record = Evaluation.from_message(evaluate(drawn.request, settings), drawn.request)
    return replace(record, draws=drawn.draws, rejected=int(drawn.rejected)).to_message()


def _facts_of(drawn: Drawn) -> dict[str, Any]:
    return {"draws": drawn.draws, "rejected": int(drawn.rejected), "warning": drawn.warning}


def _joined(*parts: dict[str, Any]) -> dict[str, Any]:
    """Facts in one, with all of their warnings."""
    warning = "; ".join(filter(None, (part.get("warning", "") for part in parts)))
    return {name: value for part in parts for name, value in part.items()} | {"warning": warning}


def _failure(error: BaseException, request: Request) -> dict[str, Any]:
    """What an exception says of a network."""
    if isinstance(error, TimeLimitError):
        return {"status": Status.TIMED_OUT, "reason": str(error)}
    verdict = failed(error, request)
    return {"status": verdict.status, "reason": verdict.reason}


def _message(request: Request, facts: dict[str, Any], started: float, ended: float) -> Message:
    """The record of an evaluation, as a message."""
    evaluation = Evaluation(
        request,
        host=node(),
        worker=os.environ.get("PARSL_WORKER_RANK", "0"),
        gpu=place(),
        started=started,
        ended=ended,
        **facts,
    )
    return checked(evaluation, request).to_message()  # what cannot be sent back must not leave the worker


def _memory() -> AbstractContextManager[None]:
    """A limit on memory where there is no GPU, whose driver reserves more addresses than there is memory."""
    from networks.train import default_device

    return memory_limit(memory_share()) if default_device().type == "cpu" else nullcontext()


def _train(request: Request, settings: EvaluationSettings, tiles: Path) -> dict[str, Any]:
    """Train a network; returns the facts of its record."""
    from networks.train import Checks, train

    data, (spec,) = _prepared([request], tiles)
    least = {max(1, round(share * settings.iterations)): score for share, score in request.thresholds}
    checks = Checks(settings.fitness, least)
    parents = _parents(request, settings)
    trained = train(spec, data, settings.iterations, settings.seconds, request.seed, parents, checks)
    return _facts(request, spec, trained, data, settings)


def _train_group(requests: Sequence[Request], settings: EvaluationSettings, tiles: Path) -> list[dict[str, Any]]:
    """Train networks as one; returns the facts of each one's record."""
    from networks.grouped import train_group

    data, specs = _prepared(requests, tiles)
    seconds = settings.seconds * len(requests)
    seeds, parents = [one.seed for one in requests], [_parents(one, settings) for one in requests]
    group = train_group(specs, data, settings.iterations, seconds, seeds, parents)
    return [
        _facts(request, spec, trained, data, settings)
        for request, spec, trained in zip(requests, specs, group, strict=True)
    ]


def _prepared(requests: Sequence[Request], tiles: Path) -> tuple[TileTensors, list[NetworkSpec]]:
    """The tiles on the device, and the networks of requests."""
    import torch

    from networks.cost import forget_peak_memory
    from networks.genome import decode
    from networks.space import Limits
    from networks.train import default_device, tiles_on_device

    torch.set_num_threads(threads())  # more of them get in each other's way
    device = default_device()
    data = tiles_on_device(tiles, device)
    forget_peak_memory(device)
    return data, [decode(request.genome, Limits()) for request in requests]


def _parents(request: Request, settings: EvaluationSettings) -> list[Path]:
    """Weights that a network may begin with."""
    return [] if settings.weights is None else [kept_weights(settings.weights, index) for index in request.parents]


def _facts(
    request: Request, spec: NetworkSpec, trained: Trained, data: TileTensors, settings: EvaluationSettings
) -> dict[str, Any]:
    """What is recorded of a trained network, whose weights are kept for its children."""
    from networks.cost import peak_memory_bytes, training_flops, weights
    from networks.inherit import save_weights

    device = data.train.device
    warnings = []
    if place() and device.type == "cpu":
        warnings.append("a GPU was given to the worker, but torch finds none: networks are trained on the CPU")
    if settings.weights is not None and not trained.diverged:
        try:
            save_weights(trained.model, request.genome, kept_weights(settings.weights, request.index))
        except (OSError, InputError):  # a full disk; the same words for all networks, to be said once
            warnings.append(f"weights for children could not be kept in {settings.weights}")
    return {
        "status": Status.DIVERGED if trained.diverged else Status.OK,
        "reason": trained.diverged or trained.stopped,
        "fitness": trained.scores.get(settings.fitness, 0.0),
        "scores": trained.scores,
        "iterations": trained.iterations,
        "iterations_per_s": trained.iterations / max(trained.seconds, 1e-9),
        "flops_per_iteration": training_flops(trained.model, spec.training.batch_size, data.tiles.tile_px),
        "weights": weights(trained.model),
        "peak_memory_bytes": peak_memory_bytes(device),
        "inference_s_per_megapixel": trained.inference_s_per_megapixel,
        "inherited": trained.inherited,
        "on_the_way": tuple(trained.on_the_way.values()),
        "device": str(device),
        "warning": "; ".join(warnings),
    }
