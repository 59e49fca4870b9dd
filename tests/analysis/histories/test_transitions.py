from collections import Counter

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest

from analysis.histories.complexes import Complexes
from analysis.histories.decode import HOLE, UNSEEN
from analysis.histories.tracks import on_columns
from analysis.histories.transitions import _table, column_transitions

from .conftest import DOPANT, NAMES, PAIR_VACANCY, VACANCY, honeycomb, watched

NO_COMPLEXES = Complexes(np.zeros(0, int), np.zeros((0, 0), int))
STATES = [0, VACANCY, PAIR_VACANCY]
CHAIN = np.array([[0.97, 0.03, 0.0], [0.05, 0.9, 0.05], [0.0, 0.1, 0.9]])
STEADY = {(4, 12, 0): DOPANT, (0, 9, 0): DOPANT}


def events(table: pd.DataFrame, process: str = "column") -> dict[tuple[str, str], int]:
    rows = table[table["process"] == process]
    return {(a, b): n for a, b, n in rows[["from", "to", "events"]].to_numpy()}


def of_vacancies(table: pd.DataFrame) -> dict[tuple[str, str], int]:
    """Events of the sublattice of vacancies, but for columns that stay perfect."""
    return {
        (a, b): n
        for (a, b), n in events(table).items()
        if "perfect A" not in (a, b) and "dopant" not in (a, b) and (a, b) != ("perfect B", "perfect B")
    }


def test_a_known_chain_is_counted_and_its_probabilities_are_in_their_intervals() -> None:
    rng = np.random.default_rng(2)
    walk = np.zeros((60, 150), int)
    for t in range(1, 60):
        walk[t] = [rng.choice(3, p=CHAIN[state]) for state in walk[t - 1]]
    states = np.array(STATES)[walk]
    seen = watched(np.ones(states.shape))
    table = column_transitions(seen, states, on_columns(seen, states, honeycomb()), NO_COMPLEXES, NAMES)
    names = ["perfect B", "vacancy", "pair vacancy"]
    by_hand = Counter((names[a], names[b]) for a, b in zip(walk[:-1].ravel(), walk[1:].ravel(), strict=True))
    assert events(table) == by_hand
    for row in table.itertuples():
        at_risk = sum(n for (a, _), n in by_hand.items() if a == row[2])
        assert (row.at_risk, row.probability) == (at_risk, pytest.approx(row.events / at_risk))
        assert row.low <= CHAIN[names.index(row[2]), names.index(row.to)] <= row.high


def test_what_leaves_the_view_or_comes_in_has_not_ended_or_begun(crystal, histories_of) -> None:
    """Thirty vacancies stay for ever while the sample drifts by a third of the view and back."""
    rng = np.random.default_rng(0)
    vacancies = {(int(i), int(j), 1): VACANCY for i, j in rng.permutation(np.argwhere(np.ones((30, 30))) - 5)[:60]}
    drifts = [9.0 * min(n, 14 - n) for n in range(15)]
    frames = [crystal.frame(n, STEADY | vacancies, (0.0, drift)) for n, drift in enumerate(drifts)]
    of_view = [{frame.columns.index[frame.views.column].tolist().__len__() for frame in frames}]
    assert len(of_view[0]) > 1  # some did leave
    assert set(of_vacancies(histories_of(frames, crystal.cell).transitions)) == {("vacancy", "vacancy")}


def test_a_vacancy_that_a_hole_takes_is_counted_and_a_perfect_column_is_not() -> None:
    states = np.zeros((6, 5), int)
    states[:, 0] = VACANCY
    states[3:, :2] = HOLE
    states[:, 2] = [VACANCY, VACANCY, UNSEEN, UNSEEN, 0, 0]
    rim = np.zeros(states.shape, bool)
    rim[3:] = True
    seen = watched(np.ones(states.shape))
    seen.inner[rim] = False
    table = column_transitions(seen, states, on_columns(seen, states, honeycomb()), NO_COMPLEXES, NAMES)
    assert events(table) == {
        ("vacancy", "vacancy"): 3, ("vacancy", "hole"): 1, ("perfect B", "perfect B"): 3 * 2 - 2 + 2 - 2 + 2,
    }  # fmt: skip


def test_columns_that_never_have_a_defect_are_perfect_and_counted() -> None:
    states = np.zeros((4, 2), int)
    seen = watched(np.ones(states.shape))
    seen.others[:] = [[10, 20], [11, 21], [12, 22]]
    table = column_transitions(seen, states, on_columns(seen, states, honeycomb()), NO_COMPLEXES, NAMES)
    assert events(table) == {("perfect A", "perfect A"): 33, ("perfect B", "perfect B"): 63 + 3 * 2}


def test_with_95_percent_all_probabilities_are_in_their_intervals_together() -> None:
    rng = np.random.default_rng(5)
    truth = np.array([[0.9, 0.06, 0.04], [0.2, 0.7, 0.1], [0.1, 0.3, 0.6]])
    together, alone = [], []
    for _ in range(500):
        counts = Counter(
            {(str(a), str(b)): int(n) for a in range(3) for b, n in enumerate(rng.multinomial(150, truth[a])) if n}
        )
        table = _table("column", counts)
        true = truth[table["from"].astype(int), table["to"].astype(int)]
        within = (table["low"] <= true) & (true <= table["high"])
        together.append(within.all())
        alone.append(within.mean())
    assert 0.93 <= np.mean(together) <= 0.985
    assert np.mean(alone) < 0.999


@pytest.mark.parametrize("count", [1, 3, 20, 97, 99])
def test_intervals_are_no_wider_than_exact_ones(count: int) -> None:
    """Clopper and Pearson's interval is the widest that one may take; Jeffreys' lies within it."""
    table = _table("column", Counter({("a", "b"): count, ("a", "a"): 100 - count}))
    exact = binomtest(count, 100).proportion_ci(1 - 0.05 / 2, "exact")
    row = table[table["to"] == "b"].iloc[0]
    assert exact.low <= row["low"] < count / 100 < row["high"] <= exact.high
    assert row["high"] - row["low"] > 0.8 * (exact.high - exact.low)


def test_what_always_happens_may_be_certain() -> None:
    table = _table("complex", Counter({("a", "a"): 50}))
    row = table.iloc[0]
    assert (row["probability"], row["high"]) == (1.0, 1.0)
    assert 0.9 < row["low"] < 1.0
