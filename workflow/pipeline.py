"""The stages of a run, top to bottom."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from analysis.summary import score_rows
from analysis.target import Target
from apps.detect import collect, detect_frames, draw_figures
from apps.evaluate import EvaluationSettings
from apps.finish import Finalist, keep_best, train_finalist
from apps.parsl_apps import Engine, log_folder, start_engine, value_of
from apps.prepare import Source, label_frame, make_tiles, stage_tiles, tune_baseline
from data_prep.files import whole_file
from data_prep.labels import load_labels
from data_prep.staging import node_root, unstage
from search.campaign import Strategy, run_campaign, utilisation
from search.evaluation import Evaluation, Evaluator
from search.evolution import Evolution
from search.hyperparameters import SvmTuning
from search.journal import Journal
from site_configs.local import count_workers, local
from workflow.config import RunConfig
from workflow.progress import Progress
from workflow.run_folder import RunFolder

FRAMES_PER_PART = 4
# An evaluation is given up when it takes this many times its cap on training, and a bit to begin.
LIMIT_FACTOR, START_S = 4.0, 60.0

Pending = Path | Future[dict[str, Any]]


def run_pipeline(
    config: RunConfig, folder: RunFolder, source: Source, targets: tuple[Target, ...], progress: Progress
) -> None:
    """Run the stages that are not done yet; each leaves a file in the run folder."""
    workers = count_workers(config.site.workers)
    with progress.waiting("starting workers"):
        engine_context = start_engine(local(log_folder(folder.path), config.site.workers))
        engine = engine_context.__enter__()
    try:
        _stages(config, folder, source, targets, engine, workers, progress)
    finally:
        engine_context.__exit__(None, None, None)


def _stages(
    config: RunConfig,
    folder: RunFolder,
    source: Source,
    targets: tuple[Target, ...],
    engine: Engine,
    workers: int,
    progress: Progress,
) -> None:
    stage = _Stages(engine)
    truth = next((t.truth for t in targets if t.movie == source.movie), None)
    labels = stage(folder.labels, label_frame, source, folder.labels)
    tiles = stage(folder.tiles, make_tiles, source, labels, folder.tiles)
    staged = engine.submit(stage_tiles, tiles, config.site.node_local)
    fourier = stage(folder.fourier, tune_baseline, source, labels, truth, folder.fourier)
    with progress.waiting("labelling and cutting tiles"):
        digest = value_of(staged)
    labelled, frame, period = load_labels(folder.labels)
    progress.say(
        f"frame {frame} labelled: {len(labelled.objects)} defects ({', '.join(labelled.class_names)}) "
        f"by {labelled.made_by}; lattice planes {period:.2f} px apart"
    )

    settings = EvaluationSettings(
        folder.tiles, digest, config.site.node_local, config.search.iterations, config.search.seconds,
        LIMIT_FACTOR * config.search.seconds + START_S,
    )  # fmt: skip
    journal = Journal(folder.journal)
    try:
        finalists = _search(config, engine.evaluator(settings), journal, workers, progress)
        evaluations = journal.evaluations()
    finally:
        journal.close()

    detector: Pending = folder.detector
    if not folder.detector.exists():
        trained = [
            engine.submit(
                train_finalist, finalist, folder.tiles, labels, config.training.iterations, config.training.seconds,
                folder.finalists / f"network_{finalist.evaluation}.safetensors",
            )  # fmt: skip
            for finalist in finalists
        ]
        detector = engine.submit(keep_best, folder.detector, *trained)
    parts = []
    for target in targets:
        for start in range(0, len(target.frames), FRAMES_PER_PART):
            frames = target.frames[start : start + FRAMES_PER_PART]
            chunk = Target(**{**vars(target), "frames": frames})
            part = folder.parts / f"{target.name}_{frames[0]:06d}.h5"
            parts.append(stage(part, detect_frames, chunk, detector, fourier, part))
    maps = stage(folder.maps, collect, folder.path, targets, *parts)
    figures = engine.submit(draw_figures, folder.path, targets, config.search.population, workers, maps)
    with progress.waiting(f"training the best {len(finalists)} networks in full"):
        if isinstance(detector, Future):
            value_of(detector)
    progress.say(f"detector trained: {folder.detector.relative_to(folder.path.parent)}")
    with progress.waiting("finding defects in the other frames, drawing figures"):
        drawn = value_of(figures)
    unstage(folder.tiles, node_root(config.site.node_local), digest)
    shutil.rmtree(folder.parts, ignore_errors=True)
    shutil.rmtree(folder.finalists, ignore_errors=True)
    _summarise(folder, evaluations, workers, drawn)


class _Stages:
    """Submits a stage unless its file is there already."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def __call__(self, out: Path, function: Callable[..., Path], *arguments: Any) -> Pending:
        return out if out.exists() else self._engine.submit(function, *arguments)


def _search(
    config: RunConfig, evaluator: Evaluator, journal: Journal, workers: int, progress: Progress
) -> list[Finalist]:
    """Evolve, then tune the best topology; returns the best networks of both, best first."""
    evolution = Evolution(config.search.population, config.seed)
    _campaign("evolution", evolution, config.search.evaluations, evaluator, journal, workers, progress)
    best = max(journal.evaluations(evolution.stage), key=lambda e: e.fitness)
    tuning = SvmTuning(best.request.genome, config.tuning.random_sets, config.seed)
    tuning.replayed(len(journal.evaluations(tuning.stage)))
    _campaign("SVM tuning", tuning, config.tuning.evaluations, evaluator, journal, workers, progress)
    ranked = sorted(journal.evaluations(), key=lambda e: -e.fitness)[: config.training.finalists]
    return [Finalist(e.request.genome, e.request.seed, e.request.index) for e in ranked]


def _campaign(
    name: str, strategy: Strategy, budget: int, evaluator: Evaluator, journal: Journal, workers: int, progress: Progress
) -> None:
    """One campaign, going on from what the journal holds of it."""
    before = journal.evaluations(strategy.stage)
    for evaluation in before:
        strategy.tell(evaluation)
    with progress.campaign(name, budget, workers, before) as view:
        run_campaign(strategy, evaluator, journal, budget, workers, view.result)


def _summarise(folder: RunFolder, evaluations: list[Evaluation], workers: int, figures: list[Path]) -> None:
    """Write the summary: its presence says that the run is finished."""
    of_search = [e for e in evaluations if e.request.stage == Evolution.stage]
    summary = {
        "evaluations": {s: sum(e.request.stage == s for e in evaluations) for s in (Evolution.stage, SvmTuning.stage)},
        "failed": sum(e.status != "ok" for e in evaluations),
        "best_validation_error": 1 - max((e.fitness for e in evaluations), default=0.0),
        "workers": workers,
        "worker_utilisation": utilisation(of_search, workers),
        "training_flops": sum(e.flops_per_iteration * e.iterations for e in evaluations),
        "scored_frames": sum(row.frame != "all" for row in score_rows(folder.maps)),
        "figures": [figure.name for figure in figures],
    }
    with whole_file(folder.summary) as temporary:
        temporary.write_text(json.dumps(summary, indent=2) + "\n")
