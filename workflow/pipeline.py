"""The stages of a run, top to bottom."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from concurrent.futures import Future, wait
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from analysis.population import Rules
from analysis.results import load_results
from analysis.target import Target
from apps.analyse import analyse, collect
from apps.detect import detect_frames
from apps.draw import Drawn, draw_figures, write_report
from apps.finish import Finalist, keep_best, try_finalist
from apps.interchange import InterchangeLostError
from apps.parsl_apps import Engine, start_engine, value_of
from apps.prepare import Source, label_frames, make_tiles, stage_tiles, tune_baseline
from data_prep.balance import balance_lines
from data_prep.files import whole_file
from data_prep.labels import load_labels
from data_prep.staging import unstage
from data_prep.tiles import load_balance
from search.journal import Journal
from search.payoff import PayoffFold
from site_configs.executors import Purpose
from site_configs.reaper import reaping
from site_configs.sites import config_for
from workflow.config import RunConfig
from workflow.progress import Progress
from workflow.run_folder import RunFolder
from workflow.search_stage import SearchStage, longest_of, training_limit_s
from workflow.standing import Standing, budgets_of

FRAMES_PER_PART = 4
LIVES = 20  # times that Parsl's interchange may die in a run

Pending = Path | Future[dict[str, Any]]


@dataclass(frozen=True)
class Run:
    """What all stages share."""

    config: RunConfig
    folder: RunFolder
    source: Source
    targets: tuple[Target, ...]
    engine: Engine
    progress: Progress

    def stage(self, out: Path, function: Callable[..., Path], *arguments: Any) -> Pending:
        """Submit the stage that writes `out`, unless that is there already."""
        return out if out.exists() else self.engine.submit(function, *arguments)


def run_pipeline(
    config: RunConfig, folder: RunFolder, source: Source, targets: tuple[Target, ...], progress: Progress
) -> None:
    """Run the stages that are not done yet; each leaves a file in the run folder.

    Raises InputError for what the user can put right, StageError where a stage failed and
    CampaignError where nearly all networks did. Where Parsl's interchange dies, it starts all workers anew and goes on.
    """
    site = config.site
    purpose = Purpose(folder.parsl, folder.site_name, longest_of(config), folder.jobs)
    try:
        for life in range(LIVES):
            with (
                reaping(folder.jobs, jobs=site.on_cluster),
                start_engine(config_for(site, purpose), progress.say) as engine,
            ):
                run = Run(config, folder, source, targets, engine, progress)
                try:
                    return _stages(run)
                except Exception:
                    broken = engine.broken()
                    if not isinstance(broken, InterchangeLostError) or life == LIVES - 1:
                        raise
            progress.say(f"{broken}; starting workers anew")
    finally:
        # Not before the workers are gone: one that finds its copy missing makes another.
        unstage(folder.tiles, site.node_local)


def _stages(run: Run) -> None:
    labels, fourier, digest = _prepare(run)
    finalists = SearchStage(run.config, run.folder, run.engine, run.progress, digest).finalists()
    _train(run, labels, finalists)
    _summarise(run, _apply(run, fourier))


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


def _train(run: Run, labels: Pending, finalists: list[Finalist]) -> None:
    """Train the finalists in full, side by side, and keep the better as the detector."""
    folder, training = run.folder, run.config.training
    if folder.detector.exists():
        return
    running = []
    for finalist in finalists:
        out = folder.finalists / f"network_{finalist.evaluation}.safetensors"
        arguments = (finalist, folder.tiles, labels, training.iterations, training.seconds, out)
        running.append(run.engine.submit(try_finalist, *arguments, limit_s=training_limit_s(run.config)))
    with run.progress.waiting(f"training the best {len(finalists)} networks in full"):
        # A finalist that took its worker along is out; the others count.
        wait(running)
        trained = [value_of(future) for future in running if future.exception() is None]
        value_of(run.engine.submit(keep_best, folder.detector, *trained))
    run.progress.say(f"detector trained: {folder.detector}")


def _apply(run: Run, fourier: Pending) -> list[Path]:
    """Find defects in all other frames, analyse, draw and report; returns the figures."""
    folder = run.folder
    maps: Pending = folder.maps
    if not folder.maps.exists():
        folder.defects.unlink(missing_ok=True)  # of maps that somebody removed to have them made anew
        parts = []
        for chunk in _chunks(run.targets):
            part = folder.parts / f"{chunk.name}_{chunk.frames[0]:06d}.h5"
            parts.append(run.stage(part, detect_frames, chunk, folder.detector, fourier, part))
        maps = run.engine.submit(collect, folder.path, run.targets, *parts)
    with run.progress.waiting("finding defects in the other frames"):
        maps = value_of(maps) if isinstance(maps, Future) else maps
    if not folder.defects.exists():
        with run.progress.waiting("grouping defects into kinds, following them from frame to frame"):
            for reason in value_of(run.engine.submit(analyse, folder.path, run.source, maps)):
                run.progress.say(f"warning: {reason}")
    search = run.config.search
    rules = Rules(search.population, search.fitness, search.lifetime, run.config.tuning.good_share)
    with run.progress.waiting("drawing figures"):
        drawn: Drawn = value_of(run.engine.submit(draw_figures, folder.path, run.targets, rules, maps))
    for reason in drawn.failed:
        run.progress.say(f"warning: a figure could not be drawn: {reason}")
    with run.progress.waiting("writing the report"):
        for reason in value_of(run.engine.submit(write_report, folder.path)):
            run.progress.say(f"warning: a part of the report could not be made: {reason}")
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


def _summarise(run: Run, figures: list[Path]) -> None:
    """Write the summary: its presence says that the run is finished."""
    standings = {stage: Standing() for stage in budgets_of(run.config)}
    payoff, flops = PayoffFold(), 0
    with closing(Journal(run.folder.journal)) as journal:
        for evaluation in journal.evaluations():
            payoff.add(evaluation)
            standings[evaluation.request.stage].add(evaluation)
            flops += evaluation.flops_per_iteration * evaluation.iterations
        first, standing = next(iter(standings.items()))
        utilisation = standing.time.share(journal.crew(first))
        workers = max((count for stage in standings for _, count in journal.crew(stage)), default=0)
    best = [standing.best.fitness for standing in standings.values() if standing.best is not None]
    results = load_results(run.folder.maps, maps=False, pictures=False)
    found = [(r.error, 0 if r.network is None else int(r.network.by_network.sum())) for r in results]
    summary = {
        "evaluations": {stage: standing.done for stage, standing in standings.items()},
        "failed": sum(standing.failures.total() for standing in standings.values()),
        "best_validation_error": 1 - max(best),
        "workers": workers,
        "worker_utilisation": utilisation,
        "training_flops": flops,
        "predictor": vars(payoff.payoff(run.config.tuning.good_share)),
        "figures": [figure.name for figure in figures],
        "frames": len(found),
        "defects": sum(count for _, count in found),
        "skipped": [error for error, _ in found if error],
    }
    with whole_file(run.folder.summary) as temporary:
        temporary.write_text(json.dumps(summary, indent=2) + "\n")
