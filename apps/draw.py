"""Draw a run's figures from what its folder holds."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from analysis.population import Rules
from analysis.results import load_results
from analysis.run_results import RunResults
from analysis.target import Target, truth_of
from data_prep.errors import InputError
from data_prep.movie import Movie, open_movie

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Drawn:
    """Figures that were drawn, and for each that could not be why."""

    figures: list[Path]
    failed: list[str]


def draw_figures(folder: Path, targets: tuple[Target, ...], rules: Rules, maps: Path) -> Drawn:
    """Draw the run's figures from what its folder holds.

    `rules` are those that the evolution chose by. A figure that cannot be drawn is told
    and left out: all results are written by now, and none shall be lost for a picture. Raises InputError where the
    user can put it right, such as a full disk.
    """
    import matplotlib as mpl

    mpl.use("Agg")
    drawn = Drawn([], [])
    for draw, name in _figures(folder, targets, rules, maps):
        path = folder / "figures" / name
        try:
            draw(path)
        except InputError:
            raise
        except Exception as error:
            drawn.failed.append(f"{name}: {type(error).__name__}: {' '.join(str(error).split())}")
        else:
            drawn.figures.append(path)
    return drawn


def _figures(
    folder: Path, targets: tuple[Target, ...], rules: Rules, maps: Path
) -> list[tuple[Callable[[Path], object], str]]:
    """What draws each figure, given its path, and the name of its file."""
    from analysis.figures.gene_importance import draw_gene_importance
    from analysis.figures.genealogy import draw_genealogy
    from analysis.figures.network_diagram import draw_network
    from analysis.figures.pareto_front import draw_pareto_front
    from analysis.figures.predictor_payoff import draw_predictor_payoff
    from analysis.figures.search_history import draw_search_history
    from analysis.figures.style import STAGES
    from analysis.figures.worker_timeline import draw_worker_timeline
    from analysis.genealogy import main_line, winner_of, write_line
    from networks.detector import load_detector
    from search.journal import Journal

    with closing(Journal(folder / "journal.sqlite")) as journal:
        networks = list(journal.evaluations())
        crews = {stage: journal.crew(stage) for stage in STAGES}
        builds = journal.predictors()
    shipped = None
    figures: list[tuple[Callable[[Path], object], str]] = [
        (partial(_draw_target, target, maps), f"defect_maps_{target.name}.png") for target in _shown(targets, maps)
    ]
    if (folder / "detector.safetensors").exists():
        detector = load_detector(folder / "detector.safetensors")
        shipped = detector.provenance.get("evaluation")
        figures.append((partial(draw_network, detector.spec, detector.class_names), "network.png"))
    winner = winner_of(networks)
    if winner is not None:
        figures.append((lambda path: write_line(main_line(networks, winner), path), "genealogy.csv"))
    return [
        *figures,
        *_of_defects(folder, targets),
        (partial(draw_search_history, networks, rules), "search_history.png"),
        (partial(draw_genealogy, networks, winner, rules.fitness), "genealogy.png"),
        (partial(draw_gene_importance, networks), "gene_importance.png"),
        (partial(draw_pareto_front, networks, shipped, rules.fitness), "pareto_front.png"),
        (partial(draw_predictor_payoff, networks, builds, rules.good_share, rules.fitness), "predictor_payoff.png"),
        (partial(draw_worker_timeline, networks, crews), "worker_timeline.png"),
    ]


def _of_defects(folder: Path, targets: tuple[Target, ...]) -> list[tuple[Callable[[Path], object], str]]:
    """What draws the figures of the library and of the histories of each movie with several frames."""
    from analysis.figures.confusion_matrix import draw_confusion
    from analysis.figures.defect_library import draw_defect_library
    from analysis.figures.surroundings import draw_surroundings

    if not targets:
        return []
    results = RunResults(folder)
    kinds = results.kinds
    names = [kind.name for kind in kinds]
    figures: list[tuple[Callable[[Path], object], str]] = [
        (lambda path: draw_defect_library(kinds, results.table("defects"), path), "defect_library.png"),
        (lambda path: draw_surroundings(results.table("surroundings"), names, path), "surroundings.png"),
    ]
    if any(target.truth is not None for target in targets):
        figures.append((lambda path: draw_confusion(results.table("confusion"), path), "confusion_matrix.png"))
    for target in targets:
        if len(target.frames) > 1:
            figures += _of_histories(results, target, names)
    return figures


def _of_histories(results: RunResults, target: Target, kinds: list[str]) -> list[tuple[Callable[[Path], object], str]]:
    from analysis.figures.counts_over_time import draw_counts_over_time
    from analysis.figures.diffusion import draw_diffusion
    from analysis.figures.dwell_times import draw_dwell_times
    from analysis.figures.pathways import draw_pathways
    from analysis.figures.transition_matrix import draw_transition_matrix
    from analysis.histories.dwell import durations

    def table(name: str) -> pd.DataFrame:
        every = results.table(name)
        return every[every["movie"] == target.name]

    draws: dict[str, Callable[[Path], object]] = {
        "counts_over_time": lambda path: draw_counts_over_time(table("counts"), kinds, path),
        "transition_matrix": lambda path: draw_transition_matrix(table("transitions"), path),
        "pathways": lambda path: draw_pathways(table("transitions"), path),
        "dwell_times": lambda path: draw_dwell_times(durations(table("stays")), table("dwell_times"), kinds, path),
        "diffusion": lambda path: draw_diffusion(table("displacements"), table("diffusion"), kinds, path),
        "drift": lambda path: _draw_drift(target, table("drift"), path),
        "tracks": lambda path: _draw_tracks(target, table("defects"), table("drift"), kinds, path),
    }
    return [(draw, f"{name}_{target.name}.{'mp4' if name == 'tracks' else 'png'}") for name, draw in draws.items()]


def _draw_drift(target: Target, drift: pd.DataFrame, path: Path) -> Path:
    from analysis.figures.drift import draw_drift

    with _opened(target) as movie:
        return draw_drift(drift, movie.pixel_size_nm, path)


def _draw_tracks(target: Target, defects: pd.DataFrame, drift: pd.DataFrame, kinds: list[str], path: Path) -> Path:
    from analysis.figures.track_movie import draw_track_movie

    with _opened(target) as movie:
        return draw_track_movie(movie, target.frames, defects, drift, kinds, path)


def _opened(target: Target) -> AbstractContextManager[Movie]:
    return open_movie(target.movie, target.pixel_size_nm, target.dataset, target.frame_interval_s)


def _shown(targets: tuple[Target, ...], maps: Path) -> list[Target]:
    """The targets, each with the three frames that tell its story: the first, middle and last that could be read."""
    readable: dict[str, list[int]] = {}
    for result in load_results(maps, maps=False, pictures=False):
        if not result.error:
            readable.setdefault(result.movie, []).append(result.frame)
    frames = {movie: sorted({of[i] for i in (0, len(of) // 2, -1)}) for movie, of in readable.items()}
    return [replace(target, frames=tuple(frames[target.name])) for target in targets if target.name in frames]


def _draw_target(target: Target, maps: Path, path: Path) -> Path:
    """Draw a target's frames."""
    from analysis.figures.defect_maps import draw_defect_maps

    results = list(load_results(maps, target.name, target.frames))
    with _opened(target) as movie:
        truths = [truth_of(target, movie, r.frame, r.period_px) for r in results]
        return draw_defect_maps(movie, results, truths, path)


def write_report(folder: Path) -> list[str]:
    """Write `report.html`; returns why parts of it could not be made."""
    from analysis.report.report import make_report

    return make_report(folder, folder / "report.html")
