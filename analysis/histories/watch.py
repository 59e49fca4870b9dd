"""The columns that are watched over a movie: those with a defect in some frame, and their neighbours."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from analysis.columns import UnitCell
from analysis.deviation import robust_deviation
from analysis.histories.alignment import Aligner
from analysis.margins import EDGE, RIM, from_edge, from_holes
from analysis.results import FrameResult

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]
Frames = Callable[[], Iterator[FrameResult]]
NEIGHBOURS = 1.1  # in shortest lattice vectors: how far a defect may go from frame to frame
SIDE = 1 << 20  # more cells than a movie has along a side


@dataclass(frozen=True)
class Watched:
    """Columns over the frames of a movie.

    `frames` (t,): numbers of the frames; `drift` (t, 2) in px since the first. Of each watched column `places` (n,
    2) in px of the first frame, if the lattice were straight, and `sublattice` (n,). Of each in each frame (t, n):
    `positions` (t, n, 2) in px of that frame and `ratio` of its intensity, both NaN out of view; `found`: the
    number of what was found there, -1 for none; `by_network`: by the network; `hole`: it is gone into one; `rim`:
    one is near; `inner`: all columns that a defect may come from or go to from frame to frame are in view, and not
    at a rim. `others` (t - 1, s): how many other columns of each sublattice are so from each frame to the next, and
    never have a defect; `noise` (s,): standard deviation of their ratio.
    """

    frames: IntArray
    drift: FloatArray
    places: FloatArray
    sublattice: IntArray
    positions: FloatArray
    ratio: FloatArray
    found: IntArray
    by_network: BoolArray
    hole: BoolArray
    rim: BoolArray
    inner: BoolArray
    others: IntArray
    noise: FloatArray


@dataclass(frozen=True)
class _Seen:
    """The columns (n,) of a frame that are not at its edge, by their keys in rising order."""

    keys: IntArray
    positions: FloatArray
    ratio: FloatArray
    found: IntArray
    by_network: BoolArray
    hole: BoolArray
    rim: BoolArray
    inner: BoolArray


@dataclass
class _Survey:
    """What a first look at all frames tells: how they lie, and where defects are."""

    numbers: list[int] = field(default_factory=list)
    shifts: list[IntArray] = field(default_factory=list)
    drifts: list[FloatArray] = field(default_factory=list)
    with_defect: set[int] = field(default_factory=set)
    deviations: list[FloatArray] = field(default_factory=list)


def watch(frames: Frames, cell: UnitCell) -> Watched | None:
    """Watch the columns of a movie's frames, which are read twice; None if no frame shows the lattice.

    At first it is seen how the frames lie and which columns ever have a defect, then their intensities are taken, so
    that memory grows with these alone.
    """
    aligner = Aligner(cell)
    survey = _look_through(frames, cell, aligner)
    if not survey.numbers:
        return None
    keys, places = _chosen(survey.with_defect, cell, aligner)
    count, kinds = len(survey.numbers), len(cell.columns)
    ratio, positions = np.full((count, len(keys)), np.nan), np.full((count, len(keys), 2), np.nan)
    found = np.full(ratio.shape, -1)
    tables = {"ratio": ratio, "positions": positions, "found": found}
    tables |= {name: np.zeros(ratio.shape, bool) for name in ("by_network", "hole", "rim", "inner")}
    others = np.zeros((count - 1, kinds), np.int64)
    before = np.zeros(0, np.int64)
    for t, result in enumerate(_with_lattice(frames)):
        seen = _seen(result, cell, survey.shifts[t])
        _, mine, here = np.intersect1d(keys, seen.keys, assume_unique=True, return_indices=True)
        for name, table in tables.items():
            table[t, mine] = getattr(seen, name)[here]
        rest = np.setdiff1d(seen.keys[seen.inner], keys, assume_unique=True)
        if t:
            others[t - 1] = np.bincount(np.intersect1d(before, rest, assume_unique=True) % kinds, minlength=kinds)
        before = rest
    noise = np.median(survey.deviations, axis=0)
    return Watched(
        np.array(survey.numbers), np.array(survey.drifts), places, keys % kinds, **tables, others=others, noise=noise
    )


def _with_lattice(frames: Frames) -> Iterator[FrameResult]:
    return (result for result in frames() if result.columns is not None)


def _look_through(frames: Frames, cell: UnitCell, aligner: Aligner) -> _Survey:
    survey = _Survey()
    for result in _with_lattice(frames):
        columns = result.columns
        assert columns is not None  # noqa: S101 (these have a lattice)
        cells, drift = aligner.align(columns)
        survey.numbers.append(result.frame)
        survey.shifts.append(cells[0] - columns.index[0])
        survey.drifts.append(drift)
        seen = _seen(result, cell, survey.shifts[-1])
        survey.with_defect.update(seen.keys[(seen.found >= 0) & ~seen.hole].tolist())
        ratios = [columns.ratio[columns.sublattice == number] for number in range(len(cell.columns))]
        survey.deviations.append(np.array([robust_deviation(ratio) for ratio in ratios]))
    return survey


def _seen(result: FrameResult, cell: UnitCell, shift: IntArray) -> _Seen:
    """The columns of a frame by their keys, `shift` from its cells to those of the movie."""
    columns, network, views = result.columns, result.network, result.views
    assert columns is not None  # noqa: S101 (these have a lattice)
    assert network is not None  # noqa: S101
    assert views is not None  # noqa: S101
    period = cell.lattice.period_px
    regions = network.objects.regions
    step = NEIGHBOURS * float(np.linalg.norm(cell.lattice.vectors, axis=1).min())
    inside = from_edge(columns.positions, regions.shape) - EDGE * period
    from_hole = from_holes(columns.positions, regions)
    from_rim = from_hole - RIM * period
    found = np.full(len(columns), -1)
    on_column = np.flatnonzero(views.column >= 0)
    found[views.column[on_column]] = on_column
    by_network = np.isin(found, np.flatnonzero(network.by_network))
    cells = columns.index + shift + SIDE // 2
    keys = (cells[:, 0] * SIDE + cells[:, 1]) * len(cell.columns) + columns.sublattice
    central = np.flatnonzero(inside >= 0)
    order = central[np.argsort(keys[central])]
    inner = (inside > step) & (from_rim > step)
    return _Seen(
        keys[order], columns.positions[order], columns.ratio[order], found[order], by_network[order],
        (from_hole == 0)[order], (from_rim <= 0)[order], inner[order],
    )  # fmt: skip


def _chosen(with_defect: set[int], cell: UnitCell, aligner: Aligner) -> tuple[IntArray, FloatArray]:
    """Keys (n,) and places (n, 2) of the columns with a defect in some frame and of those around them."""
    kinds = len(cell.columns)
    own = np.array(sorted(with_defect), np.int64)
    reach = NEIGHBOURS * np.linalg.norm(cell.lattice.vectors, axis=1).min()
    steps = np.stack(np.meshgrid(np.arange(-2, 3), np.arange(-2, 3), indexing="ij"), -1).reshape(-1, 2)
    around = ((own // kinds)[:, None] + steps[:, 0] * SIDE + steps[:, 1]).ravel()
    keys = np.unique(np.concatenate([around * kinds + number for number in range(kinds)]))
    places = _places(keys, cell, aligner)
    if len(own):
        distance, _ = cKDTree(_places(own, cell, aligner)).query(places)
        keys, places = keys[distance <= reach], places[distance <= reach]
    return keys, places


def _places(keys: IntArray, cell: UnitCell, aligner: Aligner) -> FloatArray:
    cells = np.stack([keys // len(cell.columns) // SIDE, keys // len(cell.columns) % SIDE], axis=1) - SIDE // 2
    return aligner.place(cells, keys % len(cell.columns))
