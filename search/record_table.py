"""The journal as a table, for spreadsheets and pandas."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from datetime import UTC, datetime
from itertools import islice
from typing import TextIO

from data_prep.errors import InputError
from networks.genome import decode
from networks.space import Limits, NetworkSpec
from search.evaluation import Evaluation
from search.records import Records

FIRST_COLUMNS = ("evaluation", "stage", "generation", "origin", "parents", "status", "reason", "warning", "fitness")
SCORE = "score_"  # before the names of scores
MEASURED = (
    "iterations",
    "iterations_per_s",
    "flops_per_iteration",
    "weights",
    "peak_memory_bytes",
    "inference_s_per_megapixel",
    "inherited",
    "draws",
    "rejected",
    "host",
    "worker",
    "gpu",
    "device",
)
LAST_COLUMNS = ("started", "seconds", "seed", "predictor", "genome", "network")


def write_table(journal: Records, out: TextIO) -> int:
    """Write each evaluation as a line of CSV, in order of arrival; returns how many.

    `parents` are separated by blanks, `started` is in UTC (ISO 8601), `genome` hexadecimal, and `network` as it is
    built and trained; both are empty for a set that was lost with the worker that drew it. A score that an evaluation
    does not have is empty, and so are times that nobody knows.
    """
    scores, count = _scores(journal.evaluations())
    names = [*FIRST_COLUMNS, *(SCORE + name for name in scores), *MEASURED, *LAST_COLUMNS]
    writer = csv.DictWriter(out, names, restval="", lineterminator="\n")
    writer.writeheader()
    for evaluation in islice(journal.evaluations(), count):  # what came since may have other scores
        writer.writerow(_row(evaluation))
    return count


def spec_of(evaluation: Evaluation) -> NetworkSpec:
    """The network that was evaluated. Raises InputError for a genome that this version does not know."""
    try:
        return decode(evaluation.request.genome, Limits())
    except ValueError as error:
        raise InputError(
            f"network {evaluation.request.index}: was written by another version of evostem ({error})"
        ) from None


def _scores(evaluations: Iterable[Evaluation]) -> tuple[list[str], int]:
    """Names of all scores, and the number of evaluations."""
    names: dict[str, None] = {}
    count = 0
    for evaluation in evaluations:
        names |= dict.fromkeys(evaluation.scores)
        count += 1
    return list(names), count


def _row(evaluation: Evaluation) -> dict[str, object]:
    request = evaluation.request
    timed = evaluation.started > 0
    return {
        "evaluation": request.index,
        "stage": request.stage,
        "generation": request.generation,
        "origin": request.origin,
        "parents": " ".join(map(str, request.parents)),
        "status": evaluation.status.value,
        "reason": evaluation.reason,
        "warning": evaluation.warning,
        "fitness": evaluation.fitness,
        **{SCORE + name: value for name, value in evaluation.scores.items()},
        **{name: getattr(evaluation, name) for name in MEASURED},
        "started": datetime.fromtimestamp(evaluation.started, UTC).isoformat(timespec="milliseconds") if timed else "",
        "seconds": round(evaluation.ended - evaluation.started, 3) if timed else "",
        "seed": request.seed,
        "predictor": request.predictor,
        "genome": request.genome.hex(),
        "network": str(spec_of(evaluation)) if request.genome else "",
    }
