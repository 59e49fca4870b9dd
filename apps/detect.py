"""Apply the detector to frames, on workers; put together what they found, and draw it."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from analysis.population import Rules
from analysis.results import FrameResult, Score, load_results, merge_results, save_results, write_defects
from analysis.scores import match, pixel_accuracy
from analysis.summary import score_rows, write_scores
from analysis.target import Target, truth_of
from apps.placement import threads
from data_prep.errors import InputError
from data_prep.fourier.labeller import FourierFilter, fourier_objects
from data_prep.movie import Movie, open_movie
from data_prep.objects import Objects

if TYPE_CHECKING:
    from networks.detector import Detector


def detect_frames(target: Target, detector_file: Path, fourier_file: Path, out: Path) -> Path:
    """Find the defects of a target's frames with the network and with the Fourier filter.

    A frame that cannot be read is recorded with its reason.
    """
    import torch

    from networks.detector import load_detector

    torch.set_num_threads(threads())
    detector = load_detector(detector_file)
    settings = FourierFilter(**json.loads(fourier_file.read_text()))
    with open_movie(target.movie, target.pixel_size_nm, target.dataset) as movie:
        results = (_try_frame(target, movie, number, detector, settings) for number in target.frames)
        save_results(results, {"class_names": detector.class_names}, out)
    return out


def _try_frame(target: Target, movie: Movie, number: int, detector: Detector, settings: FourierFilter) -> FrameResult:
    """What is found in a frame, or why nothing could be: one bad frame must not end a run."""
    try:
        return _detect(target, movie, number, detector, settings)
    except InputError as error:
        return FrameResult(target.name, number, error=str(error))
    except Exception as error:
        return FrameResult(
            target.name, number, error=f"{movie.source}: frame {number}: {type(error).__name__}: {error}"
        )


def _detect(target: Target, movie: Movie, number: int, detector: Detector, settings: FourierFilter) -> FrameResult:
    from analysis.detections import find_defects
    from analysis.inference import class_probabilities, scaled_period

    frame = movie.frame(number)
    period = scaled_period(detector, movie.pixel_size_nm)
    maps = class_probabilities(detector, frame, movie.pixel_size_nm)
    network = find_defects(maps, detector.threshold, period)
    fourier = _fourier(frame, settings)
    truth = truth_of(target, movie, number, period)
    scores = {}
    if truth is not None and truth.labelled.any():
        for name, found in (("fourier", fourier), ("network", network.objects)):
            scores[name] = Score(match(found, truth, period).counts, pixel_accuracy(found, truth, period))
    return FrameResult(target.name, number, period, 1 - maps[0], network, fourier, scores)


def _fourier(frame: NDArray[np.float32], settings: FourierFilter) -> Objects:
    """What the Fourier filter finds in a frame (y, x): nothing where it sees no lattice, unlike the network."""
    try:
        return fourier_objects(frame, settings)
    except InputError:
        return Objects(np.zeros((0, 2)), np.zeros(0), np.zeros(frame.shape, np.int32))


def collect(folder: Path, targets: tuple[Target, ...], *parts: Path) -> Path:
    """Put the parts together: `maps.h5`, `defects.csv` and `scores.csv`. Returns the maps' path."""
    import h5py

    maps = folder / "maps.h5"
    merge_results(list(parts), maps)
    with h5py.File(maps, "r") as stored:
        class_names = tuple(json.loads(stored.attrs["class_names"]))
    scales = {}
    for target in targets:
        with open_movie(target.movie, target.pixel_size_nm, target.dataset, target.frame_interval_s) as movie:
            scales[target.name] = (movie.pixel_size_nm, movie.frame_interval_s)
    write_defects(maps, class_names, scales, folder / "defects.csv")
    write_scores(score_rows(maps), folder / "scores.csv")
    return maps


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
        (partial(draw_search_history, networks, rules), "search_history.png"),
        (partial(draw_genealogy, networks, winner, rules.fitness), "genealogy.png"),
        (partial(draw_gene_importance, networks), "gene_importance.png"),
        (partial(draw_pareto_front, networks, shipped, rules.fitness), "pareto_front.png"),
        (partial(draw_predictor_payoff, networks, builds, rules.good_share, rules.fitness), "predictor_payoff.png"),
        (partial(draw_worker_timeline, networks, crews), "worker_timeline.png"),
    ]


def _shown(targets: tuple[Target, ...], maps: Path) -> list[Target]:
    """The targets, each with the three frames that tell its story: the first, middle and last that could be read."""
    readable: dict[str, list[int]] = {}
    for result in load_results(maps):
        if not result.error:
            readable.setdefault(result.movie, []).append(result.frame)
    frames = {movie: sorted({of[i] for i in (0, len(of) // 2, -1)}) for movie, of in readable.items()}
    return [replace(target, frames=tuple(frames[target.name])) for target in targets if target.name in frames]


def _draw_target(target: Target, maps: Path, path: Path) -> Path:
    """Draw a target's frames."""
    from analysis.figures.defect_maps import draw_defect_maps

    results = [r for r in load_results(maps) if r.movie == target.name and r.frame in target.frames]
    with open_movie(target.movie, target.pixel_size_nm, target.dataset) as movie:
        truths = [truth_of(target, movie, r.frame, r.period_px) for r in results]
        return draw_defect_maps(movie, results, truths, path)
