"""How long the Fourier method takes for one frame of 1024 x 1024 px on one core, step by step.

    python -m benchmarks.fourier_labels [DM4 CSV DM4 CSV]

With two real images and their labelled columns it also tunes the filter on the first and prints the detection
F1 on both, for each of the two references.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from threadpoolctl import threadpool_limits

from analysis.baseline import tune_fourier
from analysis.scores import match, matching_f1
from data_prep.fourier.filters import filter_frame
from data_prep.fourier.labeller import FourierFilter, fourier_objects, from_fourier, objects_of
from data_prep.fourier.lattice import find_lattice, lattice_period
from data_prep.label_files.label_file import choose_defects
from data_prep.label_files.reading import read_labels
from data_prep.movie import open_movie
from data_prep.simulate import MovieSettings, simulate_movie

REPEATS = 9


def seconds(action: Callable[[], object]) -> float:
    """Median processor time of an action, after one that warms up: other work on the machine does not count."""
    action()
    times = []
    for _ in range(REPEATS):
        started = time.process_time()
        action()
        times.append(time.process_time() - started)
    return statistics.median(times)


def time_steps() -> None:
    """Print the time of each step on a simulated frame with contamination and a hole."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "frame.tif"
        settings = MovieSettings(frames=1, size_px=(1024, 1024), field_nm=30.0, hole_from_frame=0)
        simulate_movie(path, path.with_suffix(".csv"), settings)
        with open_movie(path) as movie:
            frame = movie.frame(0)
    lattice, filters = find_lattice(frame), FourierFilter()
    steps = filter_frame(frame, lattice=lattice)
    rows = {
        "find the lattice": seconds(lambda: find_lattice(frame)),
        "filter": seconds(lambda: filter_frame(frame, lattice=lattice)),
        "find objects": seconds(lambda: objects_of(steps.residual, filters, lattice.period_px)),
        "labels, all in all": seconds(lambda: from_fourier(frame, filters)),
    }
    for name, value in rows.items():
        print(f"{name:20s} {1e3 * value:6.0f} ms")


def score(first: tuple[Path, Path], second: tuple[Path, Path]) -> None:
    """Print the detection F1 of the filter tuned on the first image, there and on the second."""
    for reference in ("lattice", "lowpass"):
        tuned = None
        for image, atoms in (first, second):
            with open_movie(image) as movie:
                frame, size = movie.frame(0), movie.pixel_size_nm
            period = lattice_period(frame)
            file = read_labels(atoms, (), size)
            labels = file.label(0, choose_defects(file, (), frame.shape, period), frame.shape, period)
            tuned = tuned or tune_fourier([(frame, labels)], reference)
            f1 = matching_f1(match(fourier_objects(frame, tuned), labels, period))
            print(f"{reference:8s} {image.name}: F1 {f1:.3f} ({tuned})")


if __name__ == "__main__":
    with threadpool_limits(1):
        time_steps()
        if len(sys.argv) == 5:
            paths = [Path(word) for word in sys.argv[1:]]
            score((paths[0], paths[1]), (paths[2], paths[3]))
