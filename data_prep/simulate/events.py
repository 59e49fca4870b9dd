"""What happens between two frames: vacancies made, filled and hopping, dopants changing state."""

from __future__ import annotations

import numpy as np

from data_prep.simulate.crystal import Crystal
from data_prep.simulate.settings import (
    PAIR,
    PAIR_VACANCY,
    VACANCY,
    MovieSettings,
    dopant_transitions,
    vacancy_transitions,
)


def age(crystal: Crystal, settings: MovieSettings, rng: np.random.Generator) -> None:
    """Take the crystal to the next frame. All that may happen is in `vacancy_transitions` and `dopant_transitions`."""
    hopping = _make_and_fill(crystal, settings, rng)
    _hop(crystal, hopping, rng)
    _switch(crystal, settings, rng)


def _make_and_fill(crystal: Crystal, settings: MovieSettings, rng: np.random.Generator) -> list[int]:
    """Remove and fill in atoms; the columns whose vacancy sets out to hop instead."""
    before = crystal.site.copy()
    free, draw = crystal.ordinary, rng.random(len(before))
    kinds = (PAIR, VACANCY, PAIR_VACANCY)
    hopping: list[int] = []
    for missing, row in enumerate(vacancy_transitions(settings)):
        here = free & (before == kinds[missing])
        low = 0.0
        for now in range(3):
            if now != missing:
                crystal.site[here & (low <= draw) & (draw < low + row[now])] = kinds[now]
                low += row[now]
        if kinds[missing] == VACANCY:
            hopping = np.flatnonzero(here & (low <= draw) & (draw < low + settings.hopping)).tolist()
    crystal.identity[(before == VACANCY) & (crystal.site == PAIR)] = 0
    made = np.flatnonzero((before == PAIR) & (crystal.site == VACANCY))
    crystal.identity[made] = crystal.new_identities(len(made))
    return hopping


def _hop(crystal: Crystal, hopping: list[int], rng: np.random.Generator) -> None:
    """Let vacancies hop one after the other, each to a neighbouring column that is full and belongs to no dopant."""
    free = crystal.ordinary
    for start in hopping:
        end = crystal.neighbours[start, rng.integers(6)]
        if end >= 0 and free[end] and crystal.site[end] == PAIR:
            _move(crystal, start, end)


def _switch(crystal: Crystal, settings: MovieSettings, rng: np.random.Generator) -> None:
    """Let dopants change state."""
    reached = np.cumsum(dopant_transitions(settings), axis=1)[crystal.state, :3]
    after = (rng.random(len(crystal.state))[:, None] >= reached).sum(axis=1)
    for arms, old, new in zip(crystal.arms, crystal.state, after, strict=True):
        if old == new:
            continue
        if old and new:
            _move(crystal, arms[old - 1], arms[new - 1])
        elif new:
            crystal.site[arms[new - 1]] = VACANCY
            crystal.identity[arms[new - 1]] = crystal.new_identities(1)[0]
        else:
            crystal.site[arms[old - 1]] = PAIR
            crystal.identity[arms[old - 1]] = 0
    crystal.state = after


def _move(crystal: Crystal, start: int, end: int) -> None:
    crystal.site[start], crystal.site[end] = PAIR, VACANCY
    crystal.identity[start], crystal.identity[end] = 0, crystal.identity[start]
