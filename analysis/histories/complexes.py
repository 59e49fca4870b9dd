"""Complexes: a defect that stays, such as a dopant, with another bound to one of the columns beside it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from analysis.columns import UnitCell
from analysis.histories.decode import PERFECT
from analysis.histories.watch import Watched

IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]
ALONE = 1.2  # in shortest lattice vectors: another one so near makes it another complex
FITS = 0.1  # in lattice periods: how well a watched column lies where an arm should be
SAME = 0.05  # by how much distances of columns that are equally near may differ


@dataclass(frozen=True)
class Complexes:
    """Columns that hold the centre of a complex, and those around it.

    `centres` (c,) and `arms` (c, a): numbers of watched columns; the k-th arm is in the same direction for all.
    """

    centres: IntArray
    arms: IntArray

    def states(self, states: IntArray) -> IntArray:
        """Of each complex in each frame (t, c): 0 alone, k with a defect in the k-th arm, -1 if it is anything else."""
        if not self.arms.size:
            return np.zeros((len(states), 0), np.int64)
        around = states[:, self.arms]
        held = around > 0
        number = np.where(held.any(axis=2), held.argmax(axis=2) + 1, 0)
        told = (states[:, self.centres] > 0) & ((around == PERFECT) | held).all(axis=2) & (held.sum(axis=2) <= 1)
        return np.where(told, number, -1)

    def bound(self, columns: int) -> BoolArray:
        """Which of the watched columns (n,) are arms."""
        flags = np.zeros(columns, bool)
        flags[self.arms.ravel()] = True
        return flags


def find_complexes(watched: Watched, states: IntArray, tracks: pd.DataFrame, cell: UnitCell) -> Complexes:
    """The complexes of a movie: around defects on the sublattice whose defects change least.

    A centre is a column with a defect in most frames in which it is seen, with no other such near; its arms are the
    nearest columns of other sublattices, all of them watched.
    """
    none = Complexes(np.zeros(0, np.int64), np.zeros((0, 0), np.int64))
    steady = _steadiest(tracks)
    if steady is None or len(cell.columns) < 2:
        return none
    seen = states >= PERFECT
    mostly = (states > 0).sum(axis=0) > 0.5 * np.maximum(seen.sum(axis=0), 1)
    centres = np.flatnonzero(mostly & (watched.sublattice == steady))
    if len(centres) > 1:
        apart = np.asarray(cKDTree(watched.places[centres]).query(watched.places[centres], k=2)[0])[:, 1]
        centres = centres[apart > ALONE * np.linalg.norm(cell.lattice.vectors, axis=1).min()]
    steps = _steps_to_arms(cell, steady)
    others = np.flatnonzero(watched.sublattice != steady)
    if not len(centres) or not len(others):
        return none
    wanted = watched.places[centres][:, None] + steps
    distance, nearest = cKDTree(watched.places[others]).query(wanted)
    whole = (np.asarray(distance) < FITS * cell.lattice.period_px).all(axis=1)
    return Complexes(centres[whole], others[np.asarray(nearest)[whole]])


def _steadiest(tracks: pd.DataFrame) -> int | None:
    """The sublattice whose defects move and change least from frame to frame; None if there is none."""
    changes: dict[int, float] = {}
    for sublattice in np.unique(tracks["sublattice"][tracks["site"] >= 0]).tolist():
        rows = tracks[tracks["sublattice"] == sublattice]
        ordered = rows.sort_values(["track", "step"])
        same = ordered["track"].diff() == 0
        if same.any():
            changed = (ordered["site"].diff() != 0) | (ordered["kind"].diff() != 0)
            ends = rows["track"].nunique()
            changes[int(sublattice)] = (int((changed & same).sum()) + ends) / int(same.sum())
    return min(changes, key=lambda number: changes[number]) if len(changes) > 1 else None


def _steps_to_arms(cell: UnitCell, sublattice: int) -> NDArray[np.float64]:
    """Steps (a, 2) in px from a column to the nearest ones of other sublattices, in order of their angle."""
    cells = np.stack(np.meshgrid(np.arange(-2, 3), np.arange(-2, 3), indexing="ij"), -1).reshape(-1, 2)
    others = [column for number, column in enumerate(cell.columns) if number != sublattice]
    steps = np.concatenate([(cells + column - cell.columns[sublattice]) @ cell.lattice.vectors for column in others])
    length = np.linalg.norm(steps, axis=1)
    nearest = steps[length <= (1 + SAME) * length.min()]
    return np.asarray(nearest[np.argsort(np.arctan2(nearest[:, 0], nearest[:, 1]))])
