"""What was found in each frame, as it is stored: one HDF5 group per movie and frame."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from analysis.columns import Columns, UnitCell
from analysis.detections import Detections
from analysis.scores import Score, load_score, store_score
from analysis.views import Views
from data_prep.errors import InputError
from data_prep.files import whole_file
from data_prep.fourier.lattice import Lattice
from data_prep.objects import Objects

METHODS = ("fourier", "network")
MADE_ANEW = "remove maps.h5, summary.json and parts from the run's folder and give the command again that made it"
SMALL = {"compression": "gzip", "compression_opts": 1, "shuffle": True}  # levels above take twice as long for a tenth


@dataclass(frozen=True)
class MovieFacts:
    """What all frames of a movie share; `cell` is None where no frame shows a lattice."""

    pixel_size_nm: float | None
    frame_interval_s: float | None
    cell: UnitCell | None


@dataclass(frozen=True)
class FrameResult:
    """One frame: `probability` (y, x) of any defect, what both methods found, scores where truth is known.

    `period_px` is the lattice spacing that distances were measured by. `columns` are all columns of atoms, None where
    no lattice is seen; `views` what was looked at of the defects, that is of the `network`'s finds and of the columns
    that it passed over and that stand out. A frame that could not be read has its reason in `error` and nothing else.
    """

    movie: str
    frame: int
    period_px: float = 0.0
    probability: NDArray[np.float32] | None = None
    network: Detections | None = None
    fourier: Objects | None = None
    scores: dict[str, Score] = field(default_factory=dict)
    error: str = ""
    columns: Columns | None = None
    views: Views | None = None


def save_results(
    results: Iterator[FrameResult],
    attributes: dict[str, object],
    path: Path,
    movies: dict[str, MovieFacts] | None = None,
) -> None:
    """Write results as HDF5; probabilities as percent in uint8, columns and cut-outs in single and half precision."""
    with whole_file(path) as temporary, h5py.File(temporary, "w") as out:
        out.attrs.update({name: json.dumps(value) for name, value in attributes.items()})
        for result in results:
            group = out.create_group(f"{result.movie}/{result.frame:06d}")
            group.attrs.update(error=result.error, period_px=result.period_px)
            if result.probability is None or result.network is None or result.fourier is None:
                continue
            percent = np.round(100 * result.probability).astype(np.uint8)
            group.create_dataset("probability_percent", data=percent, **SMALL)
            for name in ("kinds", "areas_px", "mean_probability"):
                group[name] = getattr(result.network, name)
            for name, objects in (("network", result.network.objects), ("fourier", result.fourier)):
                part = group.create_group(name)
                part["positions_yx_px"] = objects.positions
                part["scores"] = objects.scores
                least = np.min_scalar_type(int(objects.regions.max(initial=0)))
                part.create_dataset("regions", data=objects.regions.astype(least), **SMALL)
            for name, score in result.scores.items():
                store_score(score, group.create_group(f"scores/{name}"))
            _save_arrays(result.columns, group, "columns", np.float32)
            _save_arrays(result.views, group, "views", np.float16)
        for movie, facts in (movies or {}).items():
            _save_facts(facts, out.require_group(movie))


def _save_arrays(holder: Columns | Views | None, group: h5py.Group, name: str, floats: type) -> None:
    if holder is not None:
        for field_name, values in vars(holder).items():
            kept = np.int32 if values.dtype.kind == "i" else floats
            group[f"{name}/{field_name}"] = values.astype(kept)


def _load_arrays(group: h5py.Group, name: str, empty: Sequence[str] = ()) -> dict[str, NDArray[Any]] | None:
    """Arrays in the precision in which they are worked with; those that shall be `empty` are not read."""
    if name not in group:
        return None
    wide = {"i4": np.int64, "f4": np.float64, "f2": np.float32}
    return {
        key: (part[:0] if key in empty else part[:]).astype(wide[part.dtype.str[1:]])
        for key, part in group[name].items()
    }


def _save_facts(facts: MovieFacts, group: h5py.Group) -> None:
    cell = None
    if facts.cell is not None:
        cell = {key: np.asarray(value).tolist() for key, value in vars(facts.cell).items() if key != "lattice"}
        cell["lattice"] = {key: np.asarray(value).tolist() for key, value in vars(facts.cell.lattice).items()}
    group.attrs["facts"] = json.dumps({**vars(facts), "cell": cell})


def load_facts(path: Path) -> dict[str, MovieFacts]:
    """What is known of each movie in a file of results. Raises InputError if an earlier version wrote it."""
    found = {}
    with h5py.File(path, "r") as stored:
        for movie, group in stored.items():
            if "facts" not in group.attrs:
                raise InputError(f"{path}: is from an earlier evostem; {MADE_ANEW}")
            facts = json.loads(group.attrs["facts"])
            if facts["cell"] is not None:
                lattice = facts["cell"].pop("lattice")
                basis, reflections = np.array(lattice["basis"]), np.array(lattice["reflections"], np.int64)
                arrays: dict[str, Any] = {
                    key: np.array(v) if isinstance(v, list) else v for key, v in facts["cell"].items()
                }
                facts["cell"] = UnitCell(Lattice(basis, reflections, lattice["foreign"]), **arrays)
            found[movie] = MovieFacts(**facts)
    return found


def load_results(
    path: Path,
    movie: str | None = None,
    numbers: Collection[int] | None = None,
    *,
    maps: bool = True,
    pictures: bool = True,
) -> Iterator[FrameResult]:
    """Read results one frame at a time, in order of movie and frame; of all movies or of one, all frames or `numbers`.

    Without `maps` the probability, what the Fourier filter found and the scores are left out; without `pictures` the
    views have no `images`. Either is quicker.
    """
    with h5py.File(path, "r") as stored:
        for name, frames in stored.items():
            if movie in (None, name):
                for number in frames:
                    if numbers is None or int(number) in numbers:
                        yield _load_frame(name, int(number), frames[number], maps=maps, pictures=pictures)


def load_scores(path: Path) -> Iterator[tuple[str, int, dict[str, Score]]]:
    """Read movie, number and scores of the frames whose truth is known, in order, and nothing else of them."""
    with h5py.File(path, "r") as stored:
        for movie, frames in stored.items():
            for number, group in frames.items():
                if "scores" in group:
                    yield movie, int(number), _load_scores(group)


def _load_scores(group: h5py.Group) -> dict[str, Score]:
    return {name: load_score(score) for name, score in group.get("scores", {}).items()}


def _load_frame(movie: str, number: int, group: h5py.Group, *, maps: bool, pictures: bool) -> FrameResult:
    if group.attrs["error"]:
        return FrameResult(movie, number, error=str(group.attrs["error"]))
    parts = [name for name in METHODS if maps or name == "network"]
    found = {
        name: Objects(part["positions_yx_px"][:], part["scores"][:], part["regions"][:].astype(np.int32))
        for name, part in ((name, group[name]) for name in parts)
    }
    columns = _load_arrays(group, "columns")
    views = _load_arrays(group, "views", () if pictures else ("images", "reference_images"))
    return FrameResult(
        movie,
        number,
        float(group.attrs["period_px"]),
        group["probability_percent"][:].astype(np.float32) / 100 if maps else None,
        Detections(found["network"], group["kinds"][:], group["areas_px"][:], group["mean_probability"][:]),
        found.get("fourier"),
        _load_scores(group) if maps else {},
        columns=None if columns is None else Columns(**columns),
        views=None if views is None else Views(**views),
    )


def merge_results(parts: list[Path], path: Path) -> None:
    """Put the parts that workers wrote into one file."""
    with whole_file(path) as temporary, h5py.File(temporary, "w") as out:
        for part in parts:
            with h5py.File(part, "r") as stored:
                out.attrs.update(stored.attrs)
                for movie, frames in stored.items():
                    group = out.require_group(movie)
                    group.attrs.update(frames.attrs)
                    for number in frames:
                        stored.copy(frames[number], group, number)
