"""The table of all defects, a row for each in each frame."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from analysis.library.places import place_name, placed
from analysis.results import FrameResult, MovieFacts

if TYPE_CHECKING:
    import pandas as pd

Rows = dict[str, NDArray[Any]]
COLUMNS = (
    "movie", "frame", "time_s", "y_px", "x_px", "y_nm", "x_nm", "class", "probability", "mean_probability", "area_px",
    "area_nm2", "extended", "sublattice", "ratio", "kind", "track", "found_by",
)  # fmt: skip
FOLLOWED = ("found", "y_px", "x_px", "ratio", "kind", "track", "sublattice")
DIGITS = {
    "y_px": 2,
    "x_px": 2,
    "y_nm": 4,
    "x_nm": 4,
    "probability": 3,
    "mean_probability": 3,
    "ratio": 3,
    "area_nm2": 4,
}


def defect_table(
    frames: Iterable[FrameResult],
    movies: dict[str, MovieFacts],
    class_names: Sequence[str],
    kind_of: Callable[[FrameResult], Sequence[str]],
    tracks: dict[str, pd.DataFrame],
) -> pd.DataFrame:
    """All defects, a row each: `COLUMNS`. What is in nm or s is NaN where the scale is unknown.

    `kind_of` gives the kind of each defect that was found; the `tracks` of a movie those by their histories, which
    have the last word, and the defects that were missed in a frame and that were followed through it by their
    column's intensity: `found_by` tells. The probability of these is that at their place.
    """
    import pandas as pd

    parts: dict[str, list[Any]] = {name: [] for name in COLUMNS}  # of each column the arrays of all frames
    by_frame = {movie: table.groupby("frame").indices for movie, table in tracks.items()}
    of_movie = {movie: {name: table[name].to_numpy() for name in FOLLOWED} for movie, table in tracks.items()}
    for result in frames:
        if result.network is None:
            continue
        rows = _found(result, class_names, kind_of(result))
        at = by_frame.get(result.movie, {}).get(result.frame)
        if at is not None:
            tracked = {name: values[at] for name, values in of_movie[result.movie].items()}
            linked = tracked["found"] >= 0
            for name in ("kind", "track"):
                rows[name][tracked["found"][linked].astype(int)] = tracked[name][linked]
            missed = _followed({name: values[~linked] for name, values in tracked.items()}, result)
            rows = {name: np.concatenate([values, missed[name]]) for name, values in rows.items()}
        for name, values in _scaled(rows, result, movies[result.movie]).items():
            parts[name].append(values)
    table = pd.DataFrame({name: np.concatenate(of) if of else [] for name, of in parts.items()})
    kinds: dict[str, type] = {**dict.fromkeys(COLUMNS, str), **dict.fromkeys((*DIGITS, "time_s"), float)}
    kinds |= {"frame": int, "track": int, "extended": bool, "area_px": int}
    return table.astype(kinds).round(DIGITS)


def _found(result: FrameResult, class_names: Sequence[str], kinds: Sequence[str]) -> Rows:
    """What was found in a frame."""
    network = result.network
    assert network is not None  # noqa: S101 (the caller has made sure)
    where = placed(result)
    return {
        "y_px": network.objects.positions[:, 0],
        "x_px": network.objects.positions[:, 1],
        "class": np.array(["", *class_names], object)[network.kinds],
        "probability": network.objects.scores,
        "mean_probability": network.mean_probability,
        "area_px": network.areas_px,
        "extended": network.objects.extended(),
        "sublattice": np.array([place_name(place) for place in where.place.tolist()], object),
        "ratio": where.ratio,
        "kind": np.array(kinds, object),
        "track": np.full(len(network), -1),
        "found_by": np.where(network.by_network, "network", "intensity").astype(object),
    }


def _followed(tracked: Rows, result: FrameResult) -> Rows:
    """What the network missed in a frame, of `FOLLOWED` rows."""
    count = len(tracked["track"])
    seen = np.zeros(count)
    if result.probability is not None:
        places = np.stack([tracked["y_px"], tracked["x_px"]], axis=1)
        at = np.clip(np.round(places).astype(int), 0, np.array(result.probability.shape) - 1)
        seen = result.probability[at[:, 0], at[:, 1]].astype(float)
    return {
        **{name: tracked[name] for name in ("y_px", "x_px", "ratio", "kind", "track")},
        "class": np.full(count, "", object),
        "probability": seen,
        "mean_probability": seen,
        "area_px": np.zeros(count, np.int64),
        "extended": np.zeros(count, bool),
        "sublattice": np.array([place_name(int(number)) for number in tracked["sublattice"]], object),
        "found_by": np.full(count, "history", object),
    }


def _scaled(rows: Rows, result: FrameResult, facts: MovieFacts) -> Rows:
    """Rows with their movie, frame, time, and lengths in nm."""
    count = len(rows["track"])
    size = np.nan if facts.pixel_size_nm is None else facts.pixel_size_nm
    interval = np.nan if facts.frame_interval_s is None else facts.frame_interval_s
    return {
        **rows,
        "movie": np.full(count, result.movie, object),
        "frame": np.full(count, result.frame),
        "time_s": np.full(count, result.frame * interval),
        "y_nm": rows["y_px"] * size,
        "x_nm": rows["x_px"] * size,
        "area_nm2": rows["area_px"] * size**2,
    }
