"""Apply the detector to frames, on workers."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from analysis.columns import UnitCell, fitted_cell
from analysis.detections import find_defects
from analysis.outliers import with_outliers
from analysis.results import FrameResult, MovieFacts, save_results
from analysis.scores import score
from analysis.target import Target, truth_of
from analysis.views import columns_seen, look
from apps.placement import few_threads, threads
from data_prep.errors import InputError
from data_prep.fourier.labeller import FourierFilter, fourier_objects
from data_prep.fourier.lattice import find_lattice
from data_prep.movie import Movie, open_movie
from data_prep.normalise import local_contrast
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
    opened = open_movie(target.movie, target.pixel_size_nm, target.dataset, target.frame_interval_s)
    with few_threads(), opened as movie:
        facts = MovieFacts(movie.pixel_size_nm, movie.frame_interval_s, cell_of(movie))
        finder = _Finder(target, movie, detector, settings, facts.cell)
        results = (finder.try_frame(number) for number in target.frames)
        save_results(results, {"class_names": detector.class_names}, out, {target.name: facts})
    return out


def cell_of(movie: Movie) -> UnitCell | None:
    """The unit cell of a movie: that of its first frame that shows a lattice; None if there is none."""
    for number in range(movie.frames):
        try:
            frame = movie.frame(number)
            lattice = find_lattice(frame)
            return fitted_cell(local_contrast(frame, lattice.period_px), lattice)
        except Exception:  # noqa: S112 (one bad frame must not end a run; it is told of where it is looked at)
            continue
    return None


@dataclass(frozen=True)
class _Finder:
    """What finds the defects in the frames of a movie."""

    target: Target
    movie: Movie
    detector: Detector
    fourier: FourierFilter
    cell: UnitCell | None

    def try_frame(self, number: int) -> FrameResult:
        """What is found in a frame, or why nothing could be: one bad frame must not end a run."""
        try:
            return self._frame(number)
        except InputError as error:
            return FrameResult(self.target.name, number, error=str(error))
        except Exception as error:
            said = f"{self.movie.source}: frame {number}: {type(error).__name__}: {' '.join(str(error).split())}"
            return FrameResult(self.target.name, number, error=said)

    def _frame(self, number: int) -> FrameResult:
        from analysis.inference import class_probabilities, scaled_period

        frame = self.movie.frame(number)
        period = scaled_period(self.detector, self.movie.pixel_size_nm)
        levelled = local_contrast(frame, period)
        maps = class_probabilities(self.detector, frame, self.movie.pixel_size_nm, levelled)
        network = find_defects(maps, self.detector.threshold, period)
        fourier = _fourier(frame, self.fourier)
        columns = columns_seen(levelled, self.cell)
        found = with_outliers(network, columns, maps, period)
        views = look(levelled, columns, self.cell, found, period, number)
        scores = {}
        truth = truth_of(self.target, self.movie, number, period)
        if truth is not None and truth.labelled.any():
            classes = [self.detector.class_names[kind - 1] for kind in network.kinds]
            scores["fourier"] = score(fourier, truth, period)
            scores["network"] = score(network.objects, truth, period, classes)
        return FrameResult(
            self.target.name, number, period, 1 - maps[0], found, fourier, scores, columns=columns, views=views
        )


def _fourier(frame: NDArray[np.float32], settings: FourierFilter) -> Objects:
    """What the Fourier filter finds in a frame (y, x): nothing where it sees no lattice, unlike the network."""
    try:
        return fourier_objects(frame, settings)
    except InputError:
        return Objects(np.zeros((0, 2)), np.zeros(0), np.zeros(frame.shape, np.int32))
