"""How often what becomes what: transition probabilities per frame, with intervals."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.histories.complexes import Complexes
from analysis.histories.decode import HOLE, PERFECT, UNSEEN
from analysis.histories.watch import Watched
from analysis.library.places import place_name

IntArray = NDArray[np.int64]
PRIOR = 0.5  # Jeffreys' of each transition
LEVEL = 0.95
COLUMNS = ("process", "from", "to", "events", "at_risk", "probability", "low", "high")


def column_transitions(
    watched: Watched, states: IntArray, tracks: pd.DataFrame, complexes: Complexes, names: Mapping[int, str]
) -> pd.DataFrame:
    """Transitions of columns from each frame to the next, a row for each that was seen: `COLUMNS`.

    A defect that goes to another column remains what it is; one that ends leaves a perfect column, or is gone into a
    hole; one that begins was a perfect column. Not counted: columns that may have a neighbour out of view or near a
    hole, where a defect may have come from or gone to; perfect columns that are gone into a hole; frames that do not
    follow one another; and the arms of complexes, whose histories `complex_transitions` tells.
    """
    counts: Counter[tuple[str, str]] = Counter()
    steps = np.flatnonzero(np.diff(watched.frames) == 1)
    counted = _counted(watched, states, complexes)
    track = np.full(states.shape, -1)
    here = tracks[tracks["site"] >= 0]
    track[here["step"], here["site"]] = here["track"]
    for t in steps:
        now, then = states[t], states[t + 1]
        both = counted[t] & counted[t + 1]
        after = dict(zip(track[t + 1][track[t + 1] >= 0].tolist(), then[track[t + 1] >= 0].tolist(), strict=True))
        before = set(track[t][track[t] >= 0].tolist())
        for number in np.flatnonzero(both & (now > 0)).tolist():
            to = after.get(int(track[t, number]), int(then[number]))
            counts[names[int(now[number])], _name(to, watched.sublattice[number], names)] += 1
        for number in np.flatnonzero(both & (now == PERFECT) & (then != HOLE)).tolist():
            begins = then[number] > 0 and int(track[t + 1, number]) not in before
            to = int(then[number]) if begins else PERFECT
            perfect = _name(PERFECT, watched.sublattice[number], names)
            counts[perfect, _name(to, watched.sublattice[number], names)] += 1
        for sublattice, count in enumerate(watched.others[t].tolist()):
            perfect = _name(PERFECT, sublattice, names)
            counts[perfect, perfect] += count
    return _table("column", +counts)  # without zeros


def _counted(watched: Watched, states: IntArray, complexes: Complexes) -> NDArray[np.bool_]:
    """Which columns tell something in which frame (t, n)."""
    counted: NDArray[np.bool_] = watched.inner & (states != UNSEEN)
    counted[states == HOLE] = True  # what went there a frame ago may have been counted
    counted[:, complexes.bound(states.shape[1])] = False
    return counted


def _name(state: int, sublattice: int, names: Mapping[int, str]) -> str:
    if state == HOLE:
        return "hole"
    return f"perfect {place_name(int(sublattice))}" if state == PERFECT else names[state]


def complex_transitions(
    watched: Watched, states: IntArray, complexes: Complexes, names: Mapping[int, str]
) -> pd.DataFrame:
    """Transitions of complexes from each frame to the next, as `column_transitions` gives them.

    A state is the centre's kind alone, or with the number of the arm in which another defect is bound.
    """
    counts: Counter[tuple[str, str]] = Counter()
    told = complexes.states(states)
    near = watched.rim[:, complexes.centres] | watched.rim[:, complexes.arms].any(axis=2)
    told[near] = -1
    for t in np.flatnonzero(np.diff(watched.frames) == 1):
        for number in np.flatnonzero((told[t] >= 0) & (told[t + 1] >= 0)).tolist():
            centre = complexes.centres[number]
            pair = [
                names[int(states[s, centre])] + (f" + {told[s, number]}" if told[s, number] else "") for s in (t, t + 1)
            ]
            counts[pair[0], pair[1]] += 1
    return _table("complex", counts)


def _table(process: str, counts: Counter[tuple[str, str]]) -> pd.DataFrame:
    """A row for each transition, with its probability and an interval.

    The probabilities of a state's transitions have a Dirichlet distribution, Jeffreys' prior; each by itself has a
    beta distribution (Gelman et al., Bayesian Data Analysis, 3rd edition, section 3.4). With 95 % all transitions of
    the table are within their intervals together (Bonferroni): one that lies outside means something.
    """
    from scipy.stats import beta

    at_risk: Counter[str] = Counter()
    ways: Counter[str] = Counter()
    for (start, _), count in counts.items():
        at_risk[start] += count
        ways[start] += 1
    tail = (1 - LEVEL) / 2 / max(len(counts), 1)
    rows: list[Sequence[object]] = []
    for (start, end), count in sorted(counts.items()):
        others = at_risk[start] - count + PRIOR * max(ways[start] - 1, 1)
        low, high = np.asarray(beta.ppf([tail, 1 - tail], count + PRIOR, others)).tolist()
        always = count == at_risk[start]
        rows.append((process, start, end, count, at_risk[start], count / at_risk[start], low, 1.0 if always else high))
    return pd.DataFrame(rows, columns=list(COLUMNS))
