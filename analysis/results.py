"""What was found in each frame, as it is stored: one HDF5 group per movie and frame."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from analysis.detections import Detections
from data_prep.files import whole_file
from data_prep.objects import Objects

METHODS = ("fourier", "network")


@dataclass(frozen=True)
class Score:
    """How a method did on a frame; `counts` are true positives, false positives, false negatives."""

    counts: tuple[int, int, int]
    pixel_accuracy: float


@dataclass(frozen=True)
class FrameResult:
    """One frame: `probability` (y, x) of any defect, what both methods found, scores where truth is known.

    `period_px` is the lattice spacing that distances were measured by. A frame that could not be
    read has its reason in `error` and nothing else.
    """

    movie: str
    frame: int
    period_px: float = 0.0
    probability: NDArray[np.float32] | None = None
    network: Detections | None = None
    fourier: Objects | None = None
    scores: dict[str, Score] = field(default_factory=dict)
    error: str = ""


def save_results(results: Iterator[FrameResult], attributes: dict[str, object], path: Path) -> None:
    """Write results as HDF5; probabilities as percent in uint8."""
    with whole_file(path) as temporary, h5py.File(temporary, "w") as out:
        out.attrs.update({name: json.dumps(value) for name, value in attributes.items()})
        for result in results:
            group = out.create_group(f"{result.movie}/{result.frame:06d}")
            group.attrs.update(error=result.error, period_px=result.period_px)
            if result.probability is None or result.network is None or result.fourier is None:
                continue
            percent = np.round(100 * result.probability).astype(np.uint8)
            group.create_dataset("probability_percent", data=percent, compression="gzip")
            group["kinds"] = result.network.kinds
            for name, objects in (("network", result.network.objects), ("fourier", result.fourier)):
                part = group.create_group(name)
                part["positions_yx_px"] = objects.positions
                part["scores"] = objects.scores
                part.create_dataset("regions", data=objects.regions, compression="gzip")
            group.attrs["scores"] = json.dumps({name: asdict(score) for name, score in result.scores.items()})


def load_results(path: Path) -> Iterator[FrameResult]:
    """Read results one frame at a time, in order of movie and frame."""
    with h5py.File(path, "r") as stored:
        for movie, frames in stored.items():
            for number, group in frames.items():
                if group.attrs["error"]:
                    yield FrameResult(movie, int(number), error=str(group.attrs["error"]))
                    continue
                found = {
                    name: Objects(part["positions_yx_px"][:], part["scores"][:], part["regions"][:])
                    for name, part in ((name, group[name]) for name in METHODS)
                }
                scores = {
                    name: Score(tuple(score["counts"]), score["pixel_accuracy"])
                    for name, score in json.loads(group.attrs["scores"]).items()
                }
                yield FrameResult(
                    movie,
                    int(number),
                    float(group.attrs["period_px"]),
                    group["probability_percent"][:].astype(np.float32) / 100,
                    Detections(found["network"], group["kinds"][:]),
                    found["fourier"],
                    scores,
                )


def merge_results(parts: list[Path], path: Path) -> None:
    """Put the parts that workers wrote into one file."""
    with whole_file(path) as temporary, h5py.File(temporary, "w") as out:
        for part in parts:
            with h5py.File(part, "r") as stored:
                out.attrs.update(stored.attrs)
                for movie, frames in stored.items():
                    group = out.require_group(movie)
                    for number in frames:
                        stored.copy(frames[number], group, number)


DEFECT_COLUMNS = (
    "movie",
    "frame",
    "time_s",
    "y_px",
    "x_px",
    "y_nm",
    "x_nm",
    "class",
    "probability",
    "extended_area_px",
)


def write_defects(
    results: Path, class_names: tuple[str, ...], scales: dict[str, tuple[float | None, float | None]], path: Path
) -> None:
    """Write the network's defects as CSV, a row each.

    `scales` has the pixel size (nm) and the frame interval (s) of each movie; where one is unknown,
    the columns in its unit are empty.
    """
    with whole_file(path) as temporary, temporary.open("w", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(DEFECT_COLUMNS)
        for result in load_results(results):
            if result.network is None:
                continue
            size, interval = scales.get(result.movie, (None, None))
            time = "" if interval is None else f"{result.frame * interval:g}"
            objects = result.network.objects
            areas = np.bincount(objects.regions.ravel(), minlength=len(objects) + 1)[1:]
            for (y, x), score, kind, area in zip(
                objects.positions, objects.scores, result.network.kinds, areas, strict=True
            ):
                scaled = ["", ""] if size is None else [f"{y * size:.4f}", f"{x * size:.4f}"]
                name = class_names[kind - 1]
                place = [result.movie, result.frame, time, f"{y:.2f}", f"{x:.2f}", *scaled]
                row = [*place, name, f"{score:.3f}", area or ""]
                writer.writerow(row)
