"""The histories of a movie's defects, in tables."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.histories import dwell, motion
from analysis.histories.complexes import find_complexes
from analysis.histories.decode import HOLE, decode
from analysis.histories.tracks import MEMORY, joined, off_columns, on_columns
from analysis.histories.transitions import COLUMNS as TRANSITION_COLUMNS
from analysis.histories.transitions import column_transitions, complex_transitions
from analysis.histories.watch import Watched, watch
from analysis.library.build import Library
from analysis.results import FrameResult, MovieFacts

IntArray = NDArray[np.int64]
Frames = Callable[[], Iterator[FrameResult]]
BOUND = ", bound"  # what a defect beside the centre of a complex is called
TABLES = ("drift", "counts", "transitions", "dwell_times", "stays", "diffusion", "displacements")


def empty_table(name: str) -> pd.DataFrame:
    """A table of histories without rows."""
    columns = {
        "drift": ("frame", "dy_px", "dx_px"),
        "counts": ("frame", "kind", "count", "area_px", "time_s", "area_nm2"),
        "transitions": TRANSITION_COLUMNS,
        "dwell_times": dwell.COLUMNS,
        "stays": ("label", "frames", "censored"),
        "diffusion": motion.COLUMNS,
        "displacements": motion.CURVE_COLUMNS,
    }
    return pd.DataFrame(columns=list(columns[name]))


@dataclass(frozen=True)
class Histories:
    """Tables of one movie, see docs/analysis.md; `tracks` has a row for each defect that is followed, in each frame."""

    tracks: pd.DataFrame
    drift: pd.DataFrame
    counts: pd.DataFrame
    transitions: pd.DataFrame
    dwell_times: pd.DataFrame
    stays: pd.DataFrame
    diffusion: pd.DataFrame
    displacements: pd.DataFrame


def build_histories(
    frames: Frames, kinds_of: Callable[[FrameResult], IntArray], library: Library, facts: MovieFacts
) -> Histories:
    """Follow the defects of a movie through its frames, which are read several times.

    Defects on columns are told by decoding each column's intensity over time, see `analysis.histories.decode`, others
    by their places.
    """
    names = {kind.number: kind.name for kind in library.kinds}
    watched = None if facts.cell is None else watch(frames, facts.cell)
    tracks, every = off_columns(frames, kinds_of, watched)
    tracks["bound"] = False
    tracks["told"] = _told_off_columns(tracks, len(every))
    transitions = pd.DataFrame(columns=list(TRANSITION_COLUMNS))
    if watched is not None and facts.cell is not None:
        states = decode(watched, library.kinds)
        on = on_columns(watched, states, facts.cell)
        complexes = find_complexes(watched, states, on, facts.cell)
        on["bound"] = complexes.bound(len(watched.places))[on["site"].to_numpy(np.int64)]
        on["told"] = _told_on_columns(on, watched, states)
        parts = (
            column_transitions(watched, states, on, complexes, names),
            complex_transitions(watched, states, complexes, names),
        )
        transitions = pd.concat([part for part in parts if len(part)] or [transitions], ignore_index=True)
        tracks = joined(on, tracks)
    tracks["kind"] = tracks["kind"].map(names).astype(str)
    tracks["label"] = tracks["kind"].where(~tracks["bound"].astype(bool), tracks["kind"] + BOUND)
    of_stays = dwell.stays(tracks)
    hop = np.nan if facts.cell is None else float(np.linalg.norm(facts.cell.lattice.vectors, axis=1).min())
    coefficients, displacements = motion.diffusion(tracks, hop, facts.pixel_size_nm, facts.frame_interval_s)
    seconds, size = facts.frame_interval_s, facts.pixel_size_nm
    return Histories(
        tracks,
        _drift(watched),
        _counts(tracks, every, library.names, np.nan if size is None else size, np.nan if seconds is None else seconds),
        transitions,
        dwell.dwell_times(of_stays, facts.frame_interval_s),
        of_stays,
        coefficients,
        displacements,
    )


def _told_on_columns(tracks: pd.DataFrame, watched: Watched, states: IntArray) -> NDArray[np.bool_]:
    """Of each row (n,), whether the next frame shows what becomes of the defect: if its track ends here, so does it."""
    step, site = tracks["step"].to_numpy(np.int64), tracks["site"].to_numpy(np.int64)
    after = np.minimum(step + 1, len(states) - 1)
    follows = watched.frames[after] == watched.frames[step] + 1
    told = watched.inner[step, site] & (watched.inner[after, site] | (states[after, site] == HOLE))
    return np.asarray(follows & told)


def _told_off_columns(tracks: pd.DataFrame, steps: int) -> NDArray[np.bool_]:
    """The same off the lattice, where a defect may be missed for some frames."""
    goes_on = tracks.duplicated("track", keep="last").to_numpy()
    return np.asarray(goes_on | (tracks["step"].to_numpy() + MEMORY + 1 < steps))


def _drift(watched: Watched | None) -> pd.DataFrame:
    """How far the sample has come since the first frame, in px."""
    if watched is None:
        return pd.DataFrame({"frame": [], "dy_px": [], "dx_px": []})
    return pd.DataFrame({"frame": watched.frames, "dy_px": watched.drift[:, 0], "dx_px": watched.drift[:, 1]})


def _counts(
    tracks: pd.DataFrame, frames: Sequence[int], kinds: Sequence[str], size_nm: float, interval_s: float
) -> pd.DataFrame:
    """How many of each kind there are in each frame, and the area of those that are extended."""
    every = pd.MultiIndex.from_product([frames, kinds], names=["frame", "kind"])
    grouped = tracks.groupby(["frame", "kind"])["area_px"]
    table = pd.DataFrame({"count": grouped.size(), "area_px": grouped.sum()}).reindex(every, fill_value=0)
    table = table.reset_index()
    return table.assign(time_s=table["frame"] * interval_s, area_nm2=table["area_px"] * size_nm**2)
