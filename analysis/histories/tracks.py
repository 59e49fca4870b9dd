"""Tracks: which defect of a frame is which of the next."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.columns import UnitCell
from analysis.histories.watch import NEIGHBOURS, Watched
from analysis.library.places import EXTENDED, placed
from analysis.results import FrameResult

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]
FREE_REACH = 0.8  # of defects off the lattice: lattice periods from frame to frame
HOLE_REACH = 4.0  # the same of extended ones
MEMORY = 2  # frames that both may be missed
COLUMNS = {
    "frame": int, "step": int, "track": int, "kind": int, "site": int, "found": int, "y": float, "x": float,
    "y_px": float, "x_px": float, "sublattice": int, "ratio": float, "area_px": float, "extended": bool,
}  # fmt: skip


def on_columns(watched: Watched, states: IntArray, cell: UnitCell) -> pd.DataFrame:
    """Tracks of the defects on columns, a row for each in each frame where it is: `COLUMNS`.

    `step` counts the frames that were read, `site` is the number of the watched column, `found` that of what
    was found there (-1: told by its history alone), `y`, `x` are in px of the first frame if the lattice were straight,
    `y_px`, `x_px` in px of its own. From frame to frame a defect stays or goes to a neighbouring column of its
    sublattice. Linked by trackpy (Allan et al., doi:10.5281/zenodo.4682814) after Crocker and Grier, J. Colloid
    Interface Sci. 179, 298 (1996).
    """
    t, n = np.nonzero(states > 0)
    rows = pd.DataFrame(
        {
            "frame": watched.frames[t],
            "step": t,
            "kind": states[t, n],
            "site": n,
            "found": watched.found[t, n],
            "y": watched.places[n, 0],
            "x": watched.places[n, 1],
            "y_px": watched.positions[t, n, 0],
            "x_px": watched.positions[t, n, 1],
            "sublattice": watched.sublattice[n],
            "ratio": watched.ratio[t, n],
            "area_px": 0.0,
            "extended": False,
        }
    )
    reach = NEIGHBOURS * float(np.linalg.norm(cell.lattice.vectors, axis=1).min())
    return _numbered([_linked(part, reach, 0) for _, part in rows.groupby("sublattice")])


def off_columns(
    frames: Callable[[], Iterator[FrameResult]],
    kinds_of: Callable[[FrameResult], IntArray],
    watched: Watched | None,
) -> tuple[pd.DataFrame, list[int]]:
    """Tracks of the defects that are on no column, extended ones apart from others, and the numbers of all frames."""
    drifts = {} if watched is None else dict(zip(watched.frames.tolist(), watched.drift, strict=True))
    rows: list[dict[str, object]] = []
    every: list[int] = []
    drift, period = np.zeros(2), 1.0
    for result in frames():
        if result.network is None:
            continue
        drift, period = drifts.get(result.frame, drift), result.period_px
        rows += _off_rows(result, kinds_of(result), len(every), drift)
        every.append(result.frame)
    table = pd.DataFrame(rows, columns=[name for name in COLUMNS if name != "track"])
    reach = {False: FREE_REACH * period, True: HOLE_REACH * period}
    parts = [_linked(part, reach[bool(extended)], MEMORY) for extended, part in table.groupby("extended")]
    return _numbered(parts), every


def _off_rows(result: FrameResult, kinds: IntArray, step: int, drift: FloatArray) -> list[dict[str, object]]:
    network = result.network
    assert network is not None  # noqa: S101 (the caller has made sure)
    where = placed(result)
    rows: list[dict[str, object]] = []
    for number in np.flatnonzero(where.place < 0).tolist():
        y, x = network.objects.positions[number]
        rows.append(
            {
                "frame": result.frame, "step": step, "kind": int(kinds[number]), "site": -1, "found": number,
                "y": y - drift[0], "x": x - drift[1], "y_px": y, "x_px": x, "sublattice": -1, "ratio": np.nan,
                "area_px": float(network.areas_px[number]), "extended": bool(where.place[number] == EXTENDED),
            }
        )  # fmt: skip
    return rows


def joined(*parts: pd.DataFrame) -> pd.DataFrame:
    """Tracks of several tables in one, each with a number of its own, in order of frames."""
    return _numbered(parts).sort_values(["frame", "track"], ignore_index=True)


def _linked(rows: pd.DataFrame, reach: float, memory: int) -> pd.DataFrame:
    """Rows with a `track`, by places `y`, `x` in frames `step`."""
    import trackpy

    trackpy.quiet()
    by_step = rows[["step", "y", "x"]].rename(columns={"step": "frame"}).reset_index(drop=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # trackpy's, of pandas
        linked = trackpy.link(
            by_step, reach, pos_columns=["y", "x"], memory=memory, adaptive_stop=reach / 8, adaptive_step=0.9
        )
    # trackpy sorts by frame; its index says which row is which.
    return rows.reset_index(drop=True).assign(track=linked["particle"].sort_index())


def _numbered(parts: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Tables of tracks under one another, no number in two of them."""
    out, first = [], 0
    for part in parts:
        if len(part):
            out.append(part.assign(track=part["track"] + first))
            first = int(out[-1]["track"].max()) + 1
    nothing = parts[0].assign(track=0) if parts else pd.DataFrame(columns=list(COLUMNS))
    table = pd.concat(out, ignore_index=True) if out else nothing
    return table.astype(COLUMNS)
