"""The stages of a run, top to bottom."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from concurrent.futures import Future, wait
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from analysis.results import load_results
from analysis.target import Target
from apps.detect import Drawn, collect, detect_frames, draw_figures
from apps.evaluate import EvaluationSettings
from apps.finish import Finalist, keep_best, try_finalist
from apps.parsl_apps import Engine, start_engine, value_of
from apps.prepare import Source, label_frames, make_tiles, stage_tiles, tune_baseline
from apps.weights import WeightsFolder
from data_prep.balance import balance_lines
from data_prep.files import whole_file
from data_prep.labels import load_labels
from data_prep.staging import unstage
from data_prep.tiles import load_balance
from networks.genome import decode
from networks.space import Limits
from search.budget import Budget
from search.campaign import Crew, Strategy, run_campaign
from search.evaluation import Evaluation, Evaluator, Status
from search.evolution import Evolution
from search.halving import Halving
from search.hyperparameters import SvmTuning
from search.journal import Journal
from search.price import Price
from search.screening import Screening
from search.utilisation import Utilisation
from site_configs.local import count_workers, local
from workflow.config import RunConfig, SearchConfig
from workflow.progress import Progress
from workflow.run_folder import RunFolder
from workflow.stopping import first_ctrl_c

FRAMES_PER_PART = 4
# An evaluation is given up when it takes this many times its cap on training, and a bit to begin.
LIMIT_FACTOR, START_S = 4.0, 60.0

PATIENCE = 3.0  # times that limit: so long may nothing be heard of a network, which may have to wait for its worker

Pending = Path | Future[dict[str, Any]]


@dataclass(frozen=True)
class Run:
    """What all stages share."""

    config: RunConfig
    folder: RunFolder
    source: Source
    targets: tuple[Target, ...]
    engine: Engine
    workers: int
    progress: Progress

    def stage(self, out: Path, function: Callable[..., Path], *arguments: Any) -> Pending:
        """Submit the stage that writes `out`, unless that is there already."""
        return out if out.exists() else self.engine.submit(function, *arguments)


def run_pipeline(
    config: RunConfig, folder: RunFolder, source: Source, targets: tuple[Target, ...], progress: Progress
) -> None:
    """Run the stages that are not done yet; each leaves a file in the run folder.

    Raises InputError for what the user can put right, StageError where a stage failed and
    CampaignError where nearly all networks did.
    """
    workers = count_workers(config.site.workers)
    try:
        with start_engine(local(folder.parsl, config.site.workers)) as engine:
            run = Run(config, folder, source, targets, engine, workers, progress)
            labels, fourier, digest = _prepare(run)
            finalists = _search(run, digest)
            _train(run, labels, finalists)
            _summarise(run, _apply(run, fourier))
    finally:
        # Not before the workers are gone: one that finds its copy missing makes another.
        unstage(folder.tiles, config.site.node_local)


def _prepare(run: Run) -> tuple[Pending, Pending, str]:
    """Label the frames, cut and stage the tiles, tune the filter to compare with."""
    folder, source = run.folder, run.source
    own = next((target for target in run.targets if target.movie == source.movie), None)
    labels = run.stage(folder.labels, label_frames, source, folder.labels)
    tiles = run.stage(folder.tiles, make_tiles, source, labels, folder.tiles)
    staged = run.engine.submit(stage_tiles, tiles, run.config.site.node_local)
    fourier = run.stage(folder.fourier, tune_baseline, source, labels, own, folder.fourier)
    with run.progress.waiting("starting workers, labelling, cutting tiles"):
        digest = str(value_of(staged))
    labelled, period = load_labels(folder.labels)
    first = next(iter(labelled.values()))
    defects = sum(len(frame.objects) for frame in labelled.values())
    numbers = ", ".join(str(number) for number in labelled)
    run.progress.say(
        f"{'frames' if len(labelled) > 1 else 'frame'} {numbers} labelled: {defects} defects "
        f"({', '.join(first.class_names)}) by {first.made_by}; lattice planes {period:.2f} px apart"
    )
    for line in balance_lines(load_balance(folder.tiles)):
        run.progress.say(line)
    return labels, fourier, digest


def _search(run: Run, digest: str) -> list[Finalist]:
    """Evolve, then tune the best topology; returns the best networks of both, best first."""
    config = run.config
    settings = EvaluationSettings(
        tiles=run.folder.tiles,
        digest=digest,
        node_local=config.site.node_local,
        iterations=config.search.iterations,
        seconds=config.search.seconds,
        fitness=config.search.fitness,
        limit_s=_limit_s(config),
        weights=run.folder.weights if config.search.inherit else None,
    )
    evaluator = run.engine.evaluator(settings)
    with closing(Journal(run.folder.journal, run.progress.say)) as journal:
        evolution = _evolution(config)
        _campaign(run, "evolution", evolution, _budget(config.search), evaluator, journal)
        best = journal.best(1, evolution.stage)[0]
        parents = (best.request.index,) if config.search.inherit else ()
        tuning = SvmTuning(best.request.genome, config.tuning.random_sets, config.seed, parents)
        _campaign(run, "SVM tuning", tuning, Budget(config.tuning.most_evaluations), evaluator, journal)
        _repeat_warnings(run, journal)
        ranked = journal.best(config.training.finalists)
    run.progress.say(f"best network: {decode(ranked[0].request.genome, Limits())}")
    return [Finalist(e.request.genome, e.request.seed, e.request.index) for e in ranked]


def _evolution(config: RunConfig) -> Evolution:
    """The evolution with the options that are switched on."""
    search = config.search
    return Evolution(
        search.population,
        config.seed,
        lifetime=search.lifetime,
        inherit=search.inherit,
        screening=Screening() if search.screening else None,
        halving=Halving() if search.halving else None,
        price=Price(search.price, search.price_on) if search.price else None,
    )


def _budget(search: SearchConfig) -> Budget:
    """When the evolution ends."""
    return Budget(
        search.most_evaluations,
        seconds=math.inf if search.minutes is None else 60 * search.minutes,
        plateau=search.plateau,
        target=math.inf if search.target_error is None else 1 - search.target_error,
    )


def _repeat_warnings(run: Run, journal: Journal) -> None:
    """Say what workers warned of, each warning once."""
    hosts: dict[str, set[str]] = {}
    for evaluation in journal.evaluations():
        if evaluation.warning:
            hosts.setdefault(evaluation.warning, set()).add(evaluation.host)
    for warning, names in hosts.items():
        run.progress.say(f"warning from {min(names) if len(names) == 1 else f'{len(names)} nodes'}: {warning}")


def _train(run: Run, labels: Pending, finalists: list[Finalist]) -> None:
    """Train the finalists in full, side by side, and keep the better as the detector."""
    folder, training = run.folder, run.config.training
    if folder.detector.exists():
        return
    running = []
    for finalist in finalists:
        out = folder.finalists / f"network_{finalist.evaluation}.safetensors"
        arguments = (finalist, folder.tiles, labels, training.iterations, training.seconds, out)
        running.append(run.engine.submit(try_finalist, *arguments))
    with run.progress.waiting(f"training the best {len(finalists)} networks in full"):
        # A finalist that took its worker along is out; the others count.
        wait(running)
        trained = [value_of(future) for future in running if future.exception() is None]
        value_of(run.engine.submit(keep_best, folder.detector, *trained))
    run.progress.say(f"detector trained: {folder.detector}")


def _apply(run: Run, fourier: Pending) -> list[Path]:
    """Find defects in all other frames and draw; returns the figures."""
    folder = run.folder
    maps: Pending = folder.maps
    if not folder.maps.exists():
        parts = []
        for chunk in _chunks(run.targets):
            part = folder.parts / f"{chunk.name}_{chunk.frames[0]:06d}.h5"
            parts.append(run.stage(part, detect_frames, chunk, folder.detector, fourier, part))
        maps = run.engine.submit(collect, folder.path, run.targets, *parts)
    search = run.config.search
    figures = run.engine.submit(draw_figures, folder.path, run.targets, search.population, search.fitness, maps)
    with run.progress.waiting("finding defects in the other frames, drawing figures"):
        drawn: Drawn = value_of(figures)
    for reason in drawn.failed:
        run.progress.say(f"warning: a figure could not be drawn: {reason}")
    for temporary in (folder.parts, folder.finalists, folder.weights):
        shutil.rmtree(temporary, ignore_errors=True)
    return drawn.figures


def _chunks(targets: tuple[Target, ...]) -> list[Target]:
    """The targets in pieces of a few frames, one task each."""
    return [
        replace(target, frames=target.frames[start : start + FRAMES_PER_PART])
        for target in targets
        for start in range(0, len(target.frames), FRAMES_PER_PART)
    ]


def _campaign(run: Run, name: str, strategy: Strategy, budget: Budget, evaluator: Evaluator, journal: Journal) -> None:
    """One campaign, going on from what the journal holds of it. Raises KeyboardInterrupt when it was stopped."""
    crew = Crew(run.engine.workers, patience_s=_limit_s(run.config) * PATIENCE)
    with (
        run.progress.campaign(name, strategy.stage, budget.evaluations, journal) as view,
        first_ctrl_c(run.progress.say) as stopping,
    ):
        weights = WeightsFolder(run.folder.weights, run.config.training.finalists, journal.evaluations())

        def take(evaluation: Evaluation) -> None:
            weights.told(evaluation, strategy.parents())
            view.result(evaluation)

        run_campaign(strategy, stopping.watching(evaluator), journal, budget, crew, take, stopping)
    if stopping.asked:
        raise KeyboardInterrupt  # what was running is done: the run ends as if interrupted now


def _limit_s(config: RunConfig) -> float:
    """Seconds after which an evaluation is given up."""
    return LIMIT_FACTOR * config.search.seconds + START_S


def _summarise(run: Run, figures: list[Path]) -> None:
    """Write the summary: its presence says that the run is finished."""
    with closing(Journal(run.folder.journal)) as journal:
        evaluations = list(journal.evaluations())
        of_search = journal.count(Evolution.stage)
        busy = Utilisation()
        for evaluation in journal.evaluations(Evolution.stage):
            busy.add(evaluation)
        utilisation = busy.share(journal.crew(Evolution.stage))
    found = [(r.error, 0 if r.network is None else len(r.network.objects)) for r in load_results(run.folder.maps)]
    summary = {
        "evaluations": {"evolution": of_search, "tuning": len(evaluations) - of_search},
        "failed": sum(e.status is not Status.OK for e in evaluations),
        "best_validation_error": 1 - max(e.fitness for e in evaluations),
        "workers": run.workers,
        "worker_utilisation": utilisation,
        "training_flops": sum(e.flops_per_iteration * e.iterations for e in evaluations),
        "figures": [figure.name for figure in figures],
        "frames": len(found),
        "defects": sum(count for _, count in found),
        "skipped": [error for error, _ in found if error],
    }
    with whole_file(run.folder.summary) as temporary:
        temporary.write_text(json.dumps(summary, indent=2) + "\n")
