"""How fast frames go through inference, detection, linking and the library, and in how much memory.

    python -m benchmarks.analysis_rate RUN [--frames 100] [--workers 2]

RUN is a run folder with a detector for simulated WS2, such as runs/demo. A movie of 512 x 512 px is simulated, its
frames are divided among processes as in a run, then library, histories and tables are made. What a run does besides is
left out: the Fourier filter to compare with, scores, surroundings, figures. Prints frames per second of each part and
of both, and the most memory that a process had; for half the frames before, so that it shows whether memory grows with
a movie.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

import analysis.surroundings
import apps.detect
from analysis.results import merge_results
from analysis.run_results import save_targets
from analysis.target import Target
from apps.analyse import analyse
from apps.prepare import Source
from data_prep.fourier.labeller import FourierFilter
from data_prep.objects import Objects
from data_prep.simulate import MovieSettings, simulate_movie

FRAMES_PER_PART = 4  # as in a run
SIZE_PX = (512, 512)


def detect(target: Target, run: Path, out: Path) -> Path:
    """Detect as a worker of a run does, without the Fourier filter."""
    nothing = Objects(np.zeros((0, 2)), np.zeros(0), np.zeros(SIZE_PX, np.int32))
    apps.detect._fourier = lambda *_: nothing  # noqa: SLF001 (what it is compared with is not measured)
    return apps.detect.detect_frames(target, run / "detector.safetensors", out.parent / "fourier.json", out)


def peak_mb() -> float:
    """The most memory that this process has had, in MB."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def analysed(folder: Path, source: Source) -> tuple[float, float]:
    """Seconds of library, histories and tables, and the most memory, in MB."""
    analysis.surroundings.surroundings = lambda *_: pd.DataFrame(columns=list(analysis.surroundings.COLUMNS))
    began = time.perf_counter()
    for reason in analyse(folder, source, folder / "maps.h5"):
        raise SystemExit(reason)
    return time.perf_counter() - began, peak_mb()


def measure(run: Path, frames: int, workers: int, folder: Path) -> None:
    """Simulate, detect and analyse, and print how long it took."""
    movie, truth = folder / "movie.tif", folder / "truth.csv"
    simulate_movie(movie, truth, MovieSettings(frames=frames, size_px=SIZE_PX, seed=17))
    (folder / "fourier.json").write_text(json.dumps(vars(FourierFilter())))
    (folder / "labels.h5").write_bytes((run / "labels.h5").read_bytes())
    target = Target("movie", movie, tuple(range(frames)), None, (), None, None)
    save_targets([target], folder / "targets.json")
    chunks = [replace(target, frames=target.frames[k : k + FRAMES_PER_PART]) for k in range(0, frames, FRAMES_PER_PART)]
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context) as pool:
        # Each has imported what it needs, and knows the movie's cell, before the clock starts.
        first = [replace(target, frames=(0,))] * workers
        list(pool.map(detect, first, [run] * workers, [folder / f"first_{k}.h5" for k in range(workers)]))
        began = time.perf_counter()
        parts = list(pool.map(detect, chunks, [run] * len(chunks), [folder / f"{c.frames[0]:06d}.h5" for c in chunks]))
        detecting = time.perf_counter() - began
        memory = max(pool.map(_peak, range(4 * workers)))
    began = time.perf_counter()
    merge_results(parts, folder / "maps.h5")
    merging = time.perf_counter() - began
    source = Source(movie, (0,), None, (), None, None)
    with ProcessPoolExecutor(1, context) as pool:
        pool.submit(_import).result()
        analysing, most = pool.submit(analysed, folder, source).result()
    together = detecting + merging + analysing
    print(
        f"{frames} frames: inference and detection {frames / detecting:.1f}/s on {workers} workers "
        f"({memory:.0f} MB each), "
        f"linking, library and tables {frames / (merging + analysing):.1f}/s ({most:.0f} MB), "
        f"all {frames / together:.2f} frames/s"
    )


def _peak(_number: int) -> float:
    time.sleep(0.05)  # so that each worker is asked
    return peak_mb()


def _import() -> None:
    """Import what the analysis needs, before the clock starts."""
    import trackpy  # noqa: F401


def main() -> None:
    """Measure with half the frames, then with all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--frames", type=int, default=100)
    parser.add_argument("--workers", type=int, default=2)
    asked = parser.parse_args()
    for frames in (asked.frames // 2, asked.frames):
        with tempfile.TemporaryDirectory() as folder:
            measure(asked.run.absolute(), frames, asked.workers, Path(folder))


if __name__ == "__main__":
    main()
