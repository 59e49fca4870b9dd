"""The table of all defects, a row for each in each frame."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from analysis.library.places import place_name, placed
from analysis.results import FrameResult, MovieFacts

if TYPE_CHECKING:
    import pandas as pd

IntArray = NDArray[np.int64]
COLUMNS = (
    "movie", "frame", "time_s", "y_px", "x_px", "y_nm", "x_nm", "class", "probability", "mean_probability", "area_px",
    "area_nm2", "extended", "sublattice", "ratio", "kind", "track", "found_by",
)  # fmt: skip
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

    `kind_of` gives the kind of each of the network's defects; the `tracks` of a movie those by their histories, which
    have the last word, and the defects that the network missed in a frame and that were followed through it by their
    column's intensity: `found_by` tells. The probability of these is that at their place.
    """
    import pandas as pd

    parts = [pd.DataFrame(columns=list(COLUMNS))]
    by_frame = {movie: dict(iter(table.groupby("frame"))) for movie, table in tracks.items()}
    for result in frames:
        if result.network is None:
            continue
        rows = _found(result, class_names, kind_of(result))
        of_frame = by_frame.get(result.movie, {}).get(result.frame)
        if of_frame is not None:
            linked = of_frame[of_frame["found"] >= 0]
            rows.loc[linked["found"], ["kind", "track"]] = linked[["kind", "track"]].to_numpy()
            rows = pd.concat([rows, _followed(of_frame[of_frame["found"] < 0], result)], ignore_index=True)
        facts = movies[result.movie]
        parts.append(_scaled(rows, result, facts))
    table = pd.concat([part for part in parts if len(part)] or parts, ignore_index=True)[list(COLUMNS)]
    floats = dict.fromkeys((*DIGITS, "time_s"), float)
    return table.astype(floats | {"frame": int, "track": int, "extended": bool, "area_px": int}).round(DIGITS)


def _found(result: FrameResult, class_names: Sequence[str], kinds: Sequence[str]) -> pd.DataFrame:
    """Rows of what the network found in a frame."""
    import pandas as pd

    network = result.network
    assert network is not None  # noqa: S101 (the caller has made sure)
    where = placed(result)
    return pd.DataFrame(
        {
            "y_px": network.objects.positions[:, 0],
            "x_px": network.objects.positions[:, 1],
            "class": [class_names[kind - 1] for kind in network.kinds],
            "probability": network.objects.scores,
            "mean_probability": network.mean_probability,
            "area_px": network.areas_px,
            "extended": network.objects.extended(),
            "sublattice": [place_name(place) for place in where.place.tolist()],
            "ratio": where.ratio,
            "kind": list(kinds),
            "track": -1,
            "found_by": "network",
        }
    )


def _followed(rows: pd.DataFrame, result: FrameResult) -> pd.DataFrame:
    """Rows of what the network missed."""
    at = np.round(rows[["y_px", "x_px"]].to_numpy(float)).astype(int).reshape(-1, 2)
    seen = np.zeros(len(rows))
    if result.probability is not None:
        inside = np.clip(at, 0, np.array(result.probability.shape) - 1)
        seen = result.probability[inside[:, 0], inside[:, 1]].astype(float)
    followed = rows[["y_px", "x_px", "ratio", "kind", "track"]].assign(
        probability=seen,
        mean_probability=seen,
        area_px=0,
        extended=False,
        sublattice=[place_name(int(number)) for number in rows["sublattice"]],
        found_by="history",
    )
    followed["class"] = ""
    return followed


def _scaled(rows: pd.DataFrame, result: FrameResult, facts: MovieFacts) -> pd.DataFrame:
    """Rows with their movie, frame, time, and lengths in nm."""
    size = np.nan if facts.pixel_size_nm is None else facts.pixel_size_nm
    interval = np.nan if facts.frame_interval_s is None else facts.frame_interval_s
    return rows.assign(
        movie=result.movie,
        frame=result.frame,
        time_s=result.frame * interval,
        y_nm=rows["y_px"] * size,
        x_nm=rows["x_px"] * size,
        area_nm2=rows["area_px"] * size**2,
    )
