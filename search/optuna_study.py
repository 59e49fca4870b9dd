"""The journal as Optuna studies, one for each stage, to be looked at with optuna-dashboard.

Akiba et al., "Optuna: a next-generation hyperparameter optimization framework", KDD 2019.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_prep.errors import InputError
from networks import space
from networks.genes import FIELDS, TRAINING, kind_of_layer
from networks.space import NetworkSpec
from search.evaluation import Evaluation, Status
from search.record_table import MEASURED, spec_of
from search.records import Records

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.storages import RDBStorage
    from optuna.trial import FrozenTrial

WIDE = 50.0  # a parameter whose largest value is so many times its least is searched on a logarithmic scale
Table = tuple[Any, ...]
FACTS = ("reason", "warning", *MEASURED)


def export(journal: Records, out: Path, run: str, on_trial: Callable[[int], None]) -> dict[str, int]:
    """Add to the SQLite file `out` what its studies `RUN STAGE` do not have yet; returns how many trials each has.

    A trial's value is the validation error, to be minimised. `on_trial` is told how many were added, after
    each: Optuna needs a tenth of a second for one. Raises InputError if `out` is another file, or has
    studies of that name about another run.
    """
    import optuna
    from sqlalchemy.exc import SQLAlchemyError

    _check(out)
    new = not out.exists()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        storage = optuna.storages.RDBStorage(f"sqlite:///{out}")
        try:
            return _add(journal, storage, out, run, on_trial)
        finally:
            storage.engine.dispose()
    except InputError:
        if new:
            out.unlink()
        raise
    except (OSError, RuntimeError, SQLAlchemyError, optuna.exceptions.StorageInternalError) as error:
        raise InputError(f"{out}: cannot hold the study ({_first_line(error)})") from None


def _check(out: Path) -> None:
    """Raise InputError for a file that is there and holds something else."""
    if not out.exists() or (out.is_file() and not out.stat().st_size):
        return
    try:
        with closing(sqlite3.connect(f"{out.absolute().as_uri()}?mode=ro", uri=True)) as database:
            tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    except sqlite3.DatabaseError:
        tables = set()
    if not {"studies", "trials", "version_info"} <= tables:
        raise InputError(f"{out}: is there already and holds no Optuna study; give another file")


def _first_line(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error.__cause__ or error).split("\n")[0]


def _add(journal: Records, storage: RDBStorage, out: Path, run: str, on_trial: Callable[[int], None]) -> dict[str, int]:
    from optuna.study import StudyDirection

    known = {study.study_name: study._study_id for study in storage.get_all_studies()}  # noqa: SLF001
    there: dict[str, int] = {}
    told: Counter[str] = Counter()
    latest, added = 0.0, 0
    for evaluation in journal.evaluations():
        name = f"{run} {evaluation.request.stage}"
        latest = max(latest, evaluation.ended)
        if name not in known:
            known[name] = storage.create_new_study([StudyDirection.MINIMIZE], name)
        study = known[name]
        if name not in there:
            there[name] = storage.get_n_trials(study)
        told[name] += 1
        if told[name] > there[name]:
            storage.create_new_trial(study, _trial(evaluation, latest))
            added += 1
            on_trial(added)
        elif told[name] == there[name]:
            last = storage.get_trial(storage.get_trial_id_from_study_id_trial_number(study, told[name] - 1))
            if last.user_attrs.get("genome") != evaluation.request.genome.hex():
                raise InputError(f"{out}: its study '{name}' is about another run; give another file")
    return dict(told)


def _trial(evaluation: Evaluation, latest: float) -> FrozenTrial:
    """An evaluation as a finished trial; one without times of its own happened at `latest`."""
    from optuna.trial import TrialState, create_trial

    request = evaluation.request
    spec = spec_of(evaluation) if request.genome else None
    good = evaluation.status is Status.OK
    parameters = [] if spec is None else list(_parameters(spec))
    trial = create_trial(
        state=TrialState.COMPLETE if good else TrialState.FAIL,
        value=1 - evaluation.fitness if good else None,
        params={name: value for name, value, _ in parameters},
        distributions={name: _distribution(table) for name, _, table in parameters},
        user_attrs={
            "evaluation": request.index,
            "network": "" if spec is None else str(spec),
            "status": evaluation.status.value,
            "generation": request.generation,
            "origin": request.origin,
            "parents": list(request.parents),
            **{name: getattr(evaluation, name) for name in FACTS},
            **evaluation.scores,
            "genome": request.genome.hex(),
        },
    )
    trial.datetime_start = _local(evaluation.started or latest)
    trial.datetime_complete = _local(evaluation.ended or latest)
    return trial


def _local(time: float) -> datetime:
    """Optuna's times are local and do not say so."""
    return datetime.fromtimestamp(time, UTC).astimezone().replace(tzinfo=None)


def _parameters(spec: NetworkSpec) -> Iterator[tuple[str, Any, Table]]:
    """Name, value and table of all that varies in a network: its training, its depth, and its layers' numbers."""
    for name, table, _ in TRAINING:
        yield name, getattr(spec.training, name), table
    yield "layers", len(spec.layers), tuple(range(1, space.SLOTS + 1))
    for number, layer in enumerate(spec.layers, 1):
        kind = kind_of_layer(layer)
        yield f"layer{number}_kind", kind, space.KINDS
        for name, (_, table) in FIELDS[kind].items():
            yield f"layer{number}_{name}", getattr(layer, name), table


def _distribution(table: Table) -> BaseDistribution:
    """Where a parameter with such a table of values lies."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if isinstance(table[0], (str, bool)):
        return CategoricalDistribution(tuple(dict.fromkeys(table)))
    least, most = min(table), max(table)
    if isinstance(table[0], int):
        return IntDistribution(least, most)
    return FloatDistribution(least, most, log=least > 0 and most / least >= WIDE)
