"""How the lattice gives way around each kind of defect: displacement and bond length of the columns nearby."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from analysis.columns import UnitCell
from analysis.library.kinds import Kind
from analysis.library.places import place_name
from analysis.results import FrameResult, MovieFacts

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
REACH = 2.1  # in shortest lattice vectors: neighbours that are looked at
ALONE = 2.5  # in shortest lattice vectors: with another defect so near, a defect is left out
EDGE = 3.0  # in lattice periods from the frame's edge
GRID = 100  # cell coordinates of neighbours are told apart by this part of a cell
COLUMNS = (
    "kind", "sublattice", "dy_nm", "dx_nm", "uy_pm", "ux_pm", "error_pm", "count", "bond_change_percent",
)  # fmt: skip

Neighbour = tuple[int, int, int]  # sublattice, and cell coordinates from the defect in parts of `GRID`


@dataclass
class _Sums:
    """Of one neighbour: displacements (2,) in pm, their squares, how many."""

    total: FloatArray = field(default_factory=lambda: np.zeros(2))
    squares: FloatArray = field(default_factory=lambda: np.zeros(2))
    count: int = 0

    def add(self, displacements: FloatArray) -> None:
        self.total = self.total + displacements.sum(axis=0)
        self.squares = self.squares + (displacements**2).sum(axis=0)
        self.count += len(displacements)


def surroundings(
    frames: Iterable[FrameResult],
    kinds_of: Callable[[FrameResult], IntArray],
    kinds: Sequence[Kind],
    movies: Mapping[str, MovieFacts],
) -> pd.DataFrame:
    """Mean displacement of the columns around each kind of defect that sits on a column, a row each: `COLUMNS`.

    Displacements are from the places of the fitted lattice, see `analysis.columns`, averaged over all defects of a kind
    with no other near, and over the lattice's symmetry; `error_pm` is the standard error of a component.
    `bond_change_percent` is the change of a neighbour's distance to the defect's place. Movies of unknown pixel
    size are left out.
    """
    sums: dict[int, dict[Neighbour, _Sums]] = {}
    cell: UnitCell | None = None
    size_nm = 0.0
    for result in frames:
        facts = movies[result.movie]
        if result.columns is None or facts.cell is None or facts.pixel_size_nm is None:
            continue
        if cell is None:
            cell, size_nm = facts.cell, facts.pixel_size_nm
        _add_frame(sums, result, kinds_of(result), facts.cell, facts.pixel_size_nm)
    if cell is None:
        return pd.DataFrame(columns=list(COLUMNS))
    rows = []
    for kind in kinds:
        for neighbour, found in sorted(_symmetric(sums.get(kind.number, {}), cell).items()):
            rows.append((kind.name, *_row(neighbour, found, cell, size_nm)))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _add_frame(
    sums: dict[int, dict[Neighbour, _Sums]], result: FrameResult, kinds: IntArray, cell: UnitCell, size_nm: float
) -> None:
    columns, network, views = result.columns, result.network, result.views
    assert columns is not None  # noqa: S101 (the caller has made sure of all three)
    assert network is not None  # noqa: S101
    assert views is not None  # noqa: S101
    shortest = float(np.linalg.norm(cell.lattice.vectors, axis=1).min())
    edge, shape = EDGE * cell.lattice.period_px, np.array(network.objects.regions.shape)
    places = network.objects.positions
    centres = np.flatnonzero((views.column >= 0) & ((places >= edge) & (places <= shape - 1 - edge)).all(axis=1))
    if len(places) > 1:
        apart = np.asarray(cKDTree(places).query(places[centres], k=2)[0])[:, 1]
        centres = centres[apart > ALONE * shortest]
    in_hole = network.objects.regions > 0
    tree = cKDTree(columns.positions)
    for number in centres.tolist():
        column = views.column[number]
        near = np.array(tree.query_ball_point(columns.positions[column], REACH * shortest))
        near = near[(near != column) & np.isfinite(columns.displacement[near]).all(axis=1)]
        if in_hole[tuple(np.round(columns.positions[near]).astype(int).T)].any():
            continue
        coordinates = columns.index + cell.columns[columns.sublattice]
        steps = np.round((coordinates[near] - coordinates[column]) * GRID).astype(int)
        displaced = 1000 * size_nm * (columns.displacement[near] - np.median(columns.displacement[near], axis=0))
        of_kind = sums.setdefault(int(kinds[number]), {})
        for sublattice, step, moved in zip(columns.sublattice[near].tolist(), steps.tolist(), displaced, strict=True):
            of_kind.setdefault((sublattice, *step), _Sums()).add(moved[None])


def _symmetric(sums: Mapping[Neighbour, _Sums], cell: UnitCell) -> dict[Neighbour, _Sums]:
    """Sums over all neighbours that symmetry makes alike, each turned to where the neighbour is."""
    out: dict[Neighbour, _Sums] = {}
    for operation, turn in zip(cell.symmetry, cell.turns(), strict=True):
        for (sublattice, *step), found in sums.items():
            there = np.round(operation @ step).astype(int).tolist()
            nearest = _known(sums, sublattice, there)
            if nearest is None:
                continue
            into = out.setdefault(nearest, _Sums())
            into.total = into.total + found.total @ turn
            into.squares = into.squares + found.squares.sum() / 2
            into.count += found.count
    return out


def _known(sums: Mapping[Neighbour, _Sums], sublattice: int, step: Sequence[int]) -> Neighbour | None:
    """The neighbour at this step, which fitted cells give to a few parts of the grid."""
    near = [key for key in sums if key[0] == sublattice and max(abs(key[1] - step[0]), abs(key[2] - step[1])) <= 8]
    return min(near, key=lambda key: abs(key[1] - step[0]) + abs(key[2] - step[1]), default=None)


def _row(neighbour: Neighbour, found: _Sums, cell: UnitCell, size_nm: float) -> tuple[object, ...]:
    sublattice, *step = neighbour
    away = np.array(step) / GRID @ cell.lattice.vectors * size_nm
    mean = found.total / found.count
    independent = max(found.count / len(cell.symmetry), 1)
    variance = max(float((found.squares / found.count - mean**2).mean()), 0.0)
    change = 100 * (np.linalg.norm(away + mean / 1000) / np.linalg.norm(away) - 1)
    error = np.sqrt(variance / independent) if independent > 1 else np.nan
    return (place_name(sublattice), *away, *mean, error, round(independent), change)
