"""How the lattice gives way around each kind of defect: displacement and bond length of the columns nearby."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from analysis.columns import UnitCell
from analysis.library.cutouts import axes_of
from analysis.library.kinds import Kind
from analysis.library.places import place_name
from analysis.margins import from_edge
from analysis.results import FrameResult, MovieFacts

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
REACH = 2.1  # in shortest lattice vectors: neighbours that are looked at
ALONE = 2.5  # in shortest lattice vectors: with another defect so near, a defect is left out
EDGE = 3.0  # in lattice periods from the frame's edge
GRID = 1000  # parts of a cell in which cell coordinates of neighbours are counted
SAME = 0.08 * GRID  # columns no further apart are one, by symmetry or in another movie: fitted cells differ a little
COLUMNS = (
    "kind", "sublattice", "dy_nm", "dx_nm", "uy_pm", "ux_pm", "error_pm", "count", "bond_change_percent",
)  # fmt: skip

Neighbour = tuple[int, int, int]  # sublattice, and cell coordinates from the defect in parts of `GRID`


@dataclass
class _Sums:
    """Of one neighbour: displacements (2,) in pm, squares of their lengths, how many, and how many different ones."""

    total: FloatArray = field(default_factory=lambda: np.zeros(2))
    squares: float = 0.0
    count: int = 0
    different: int = 0

    def add(self, total: FloatArray, squares: float, count: int, different: int) -> None:
        self.total = self.total + total
        self.squares += squares
        self.count += count
        self.different += different


_Around = dict[Neighbour, _Sums]


@dataclass(frozen=True)
class _Scene:
    """A movie's cell and pixel size, and the same of the first movie, as which it is shown."""

    cell: UnitCell
    size_nm: float
    shown: UnitCell
    shown_nm: float

    def turn(self) -> FloatArray:
        """What takes steps (n, 2) in px to those in px of the movie as which it is shown: they become steps @ turn."""
        return np.asarray(np.linalg.inv(axes_of(self.cell).along) @ axes_of(self.shown).along)


def surroundings(
    frames: Iterable[FrameResult],
    kinds_of: Callable[[FrameResult], IntArray],
    kinds: Sequence[Kind],
    movies: Mapping[str, MovieFacts],
) -> pd.DataFrame:
    """Mean displacement of the columns around each kind of defect that sits on a column, a row each: `COLUMNS`.

    Displacements are from the places of the fitted lattice, see `analysis.columns`, averaged over all defects of a kind
    with no other near, and over the lattice's symmetry; `error_pm` is the standard error of a component, `count` the
    number of defects. `bond_change_percent` is the change of a neighbour's distance to the defect's place. Directions
    are those of the first movie, others are turned to lie as it does; movies of unknown pixel size are left out.
    """
    scenes: dict[str, _Scene] = {}
    sums: dict[str, dict[int, _Around]] = {}
    for result in frames:
        facts = movies[result.movie]
        if result.columns is None or facts.cell is None or facts.pixel_size_nm is None:
            continue
        own = (facts.cell, facts.pixel_size_nm)
        if result.movie not in scenes:
            first = next(iter(scenes.values()), None)
            scenes[result.movie] = _Scene(*own, *(own if first is None else (first.shown, first.shown_nm)))
        _add_frame(sums.setdefault(result.movie, {}), result, kinds_of(result), scenes[result.movie])
    if not scenes:
        return pd.DataFrame(columns=list(COLUMNS))
    scene = next(iter(scenes.values()))
    rows = []
    for kind in kinds:
        together = _together([of_movie.get(kind.number, {}) for of_movie in sums.values()])
        for neighbour, found in sorted(_symmetric(together, scene.shown).items()):
            rows.append((kind.name, *_row(neighbour, found, scene)))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _add_frame(sums: dict[int, _Around], result: FrameResult, kinds: IntArray, scene: _Scene) -> None:
    columns, network, views, cell = result.columns, result.network, result.views, scene.cell
    assert columns is not None  # noqa: S101 (the caller has made sure of all three)
    assert network is not None  # noqa: S101
    assert views is not None  # noqa: S101
    shortest = float(np.linalg.norm(cell.lattice.vectors, axis=1).min())
    places = network.objects.positions
    central = from_edge(places, network.objects.regions.shape) >= EDGE * cell.lattice.period_px
    centres = np.flatnonzero((views.column >= 0) & central)
    if len(places) > 1:
        apart = np.asarray(cKDTree(places).query(places[centres], k=2)[0])[:, 1]
        centres = centres[apart > ALONE * shortest]
    turn = scene.turn()
    to_shown = GRID * cell.lattice.vectors @ turn @ np.linalg.inv(scene.shown.lattice.vectors)
    to_pm = 1000 * scene.size_nm * turn / np.sqrt(np.linalg.det(turn))
    in_hole = network.objects.regions > 0
    tree = cKDTree(columns.positions)
    for number in centres.tolist():
        column = views.column[number]
        near = np.array(tree.query_ball_point(columns.positions[column], REACH * shortest))
        near = near[(near != column) & np.isfinite(columns.displacement[near]).all(axis=1)]
        if not len(near) or in_hole[tuple(np.round(columns.positions[near]).astype(int).T)].any():
            continue
        coordinates = columns.index + cell.columns[columns.sublattice]
        steps = np.round((coordinates[near] - coordinates[column]) @ to_shown).astype(int)
        displaced = (columns.displacement[near] - np.median(columns.displacement[near], axis=0)) @ to_pm
        of_kind = sums.setdefault(int(kinds[number]), {})
        for sublattice, step, moved in zip(columns.sublattice[near].tolist(), steps.tolist(), displaced, strict=True):
            of_kind.setdefault((sublattice, *step), _Sums()).add(moved, float(moved @ moved), 1, 1)


def _together(movies: Sequence[_Around]) -> _Around:
    """Sums over all movies."""
    out: _Around = {}
    for around in movies:
        known = {neighbour: _known(out, *neighbour) or neighbour for neighbour in around}
        for neighbour, found in around.items():
            into = out.setdefault(known[neighbour], _Sums())
            into.add(found.total, found.squares, found.count, found.different)
    return out


def _symmetric(sums: _Around, cell: UnitCell) -> _Around:
    """Sums over all neighbours that symmetry makes alike, each turned to where the neighbour is."""
    out: _Around = {}
    came: set[tuple[Neighbour, Neighbour]] = set()
    for operation, turn in zip(cell.symmetry, cell.turns(), strict=True):
        for neighbour, found in sums.items():
            sublattice, *step = neighbour
            there = _known(sums, sublattice, *np.round(operation @ step).astype(int).tolist())
            if there is None:
                continue
            new = (neighbour, there) not in came
            came.add((neighbour, there))
            out.setdefault(there, _Sums()).add(
                found.total @ turn, found.squares, found.count, found.different if new else 0
            )
    return out


def _known(sums: _Around, sublattice: int, first: int, second: int) -> Neighbour | None:
    """The neighbour at this step, None if there is none."""
    away = {key: max(abs(key[1] - first), abs(key[2] - second)) for key in sums if key[0] == sublattice}
    nearest = min(away, key=lambda key: away[key], default=None)
    return nearest if nearest is not None and away[nearest] <= SAME else None


def _row(neighbour: Neighbour, found: _Sums, scene: _Scene) -> tuple[object, ...]:
    sublattice, *step = neighbour
    away = np.array(step) / GRID @ scene.shown.lattice.vectors * scene.shown_nm
    mean = found.total / found.count
    variance = max((found.squares / found.count - float(mean @ mean)) / 2, 0.0)
    change = 100 * (np.linalg.norm(away + mean / 1000) / np.linalg.norm(away) - 1)
    error = np.sqrt(variance / found.different) if found.different > 1 else np.nan
    defects = max(round(found.count / len(scene.shown.symmetry)), 1)
    return (place_name(sublattice), *away, *mean, error, defects, change)
