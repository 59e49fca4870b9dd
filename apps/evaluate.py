"""Evaluate one network on a worker."""

from __future__ import annotations

import os
import socket
import time
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from apps.limits import TimeLimitError, memory_limit, memory_share, time_limit
from apps.weights import kept_weights
from data_prep.errors import InputError
from data_prep.staging import stage
from search.evaluation import Evaluation, Request, Status
from search.tuning_folder import TuningFolder
from search.verdict import checked, failed


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
    tuning: Path | None = None


def evaluate(request: Request, settings: EvaluationSettings) -> tuple[Any, ...]:
    """Train the network of a request and measure it. Returns the record as a message, always.

    A set of hyperparameters that the request does not have is drawn first.
    """
    started = time.time()
    facts: dict[str, Any] = {}
    try:
        with time_limit(settings.limit_s):
            staged = stage(settings.tiles, settings.node_local, settings.digest)
            warnings = [staged.warning]
            if not request.genome and settings.tuning is not None:
                request, facts["draws"], warning = TuningFolder(settings.tuning).draw(request)
                warnings.append(warning)
            facts["warning"] = "; ".join(filter(None, warnings))
            with _memory():
                outcome = _train(request, settings, staged.path)
        facts |= outcome
        facts["warning"] = "; ".join(filter(None, (*warnings, outcome.get("warning"))))
        status, reason = facts.pop("status"), facts.pop("reason")
    except TimeLimitError as error:
        status, reason = Status.TIMED_OUT, str(error)
    except (Exception, SystemExit) as error:  # one bad network must not end a run
        verdict = failed(error, request)
        status, reason = verdict.status, verdict.reason
    evaluation = Evaluation(
        request,
        status,
        reason,
        host=socket.gethostname(),
        worker=os.environ.get("PARSL_WORKER_RANK", "0"),
        started=started,
        ended=time.time(),
        **facts,
    )
    return checked(evaluation, request).to_message()  # what cannot be sent back must not leave the worker


def _memory() -> AbstractContextManager[None]:
    """A limit on memory where there is no GPU, whose driver reserves more addresses than there is memory."""
    from networks.train import default_device

    return memory_limit(memory_share()) if default_device().type == "cpu" else nullcontext()


def _train(request: Request, settings: EvaluationSettings, tiles: Path) -> dict[str, Any]:
    import torch

    from networks.cost import forget_peak_memory, peak_memory_bytes, training_flops, weights
    from networks.genome import decode
    from networks.inherit import save_weights
    from networks.space import Limits
    from networks.train import Checks, default_device, tiles_on_device, train

    torch.set_num_threads(1)  # a worker has one core; more threads get in each other's way
    device = default_device()
    data = tiles_on_device(tiles, device)
    forget_peak_memory(device)
    spec = decode(request.genome, Limits())
    kept = settings.weights
    parents = () if kept is None else [kept_weights(kept, index) for index in request.parents]
    least = {max(1, round(share * settings.iterations)): score for share, score in request.thresholds}
    checks = Checks(settings.fitness, least)
    trained = train(spec, data, settings.iterations, settings.seconds, request.seed, parents, checks)
    warning = ""
    if kept is not None and not trained.diverged:
        try:
            save_weights(trained.model, request.genome, kept_weights(kept, request.index))
        except (OSError, InputError):  # a full disk; the same words for all networks, to be said once
            warning = f"weights for children could not be kept in {kept}"
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
        "warning": warning,
    }
