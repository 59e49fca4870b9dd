from itertools import pairwise, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.histories.decode import HOLE, PERFECT, UNSEEN, _viterbi, decode

from .conftest import DOPANT, PAIR_VACANCY, VACANCY, library_of, watched

KINDS = library_of().kinds


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 6), st.integers(1, 3))
def test_the_path_is_the_likeliest_of_all(seed: int, length: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    evidence = rng.normal(0, 2, (length, 2, count))
    start, steps = rng.normal(0, 1, count), rng.normal(0, 2, (count, count))

    def score(path, column) -> float:
        seen = sum(evidence[t, column, state] for t, state in enumerate(path))
        return start[path[0]] + seen + sum(steps[a, b] for a, b in pairwise(path))

    found = _viterbi(evidence, start, steps)
    for column in range(2):
        best = max(product(range(count), repeat=length), key=lambda path: score(path, column))
        assert found[:, column].tolist() == list(best)


def test_a_missed_frame_is_followed_and_a_lone_outlier_is_no_defect() -> None:
    noise = np.random.default_rng(0).normal(0, 0.05, (30, 40))
    ratio = 1 + noise
    ratio[:, 0] = 0.4 + noise[:, 0]
    ratio[10:, 1] = 0.4 + noise[10:, 1]
    found = ratio < 0.7
    found[[5, 6, 17], 0] = False  # the network missed it
    ratio[12, 2] = 0.55  # an outlier that the network did not find
    found[20, 3] = True  # the network found what is none
    found[12, 2] = False
    states = decode(watched(ratio, found), KINDS)
    assert (states[:, 0] == VACANCY).all()
    assert (states[:10, 1] == PERFECT).all()
    assert (states[10:, 1] == VACANCY).all()
    assert (states[:, 2:] == PERFECT).all()


def test_kinds_are_told_by_their_ratios_each_on_its_sublattice() -> None:
    ratio = np.full((20, 43), 1.0)
    ratio[:, 0] = 0.45
    ratio[:8, 1], ratio[8:, 1] = 0.4, -0.05
    ratio[:, 2] = 0.45
    states = decode(watched(ratio, sublattice=[0, *[1] * 42]), KINDS)
    assert (states[:, 0] == DOPANT).all()
    assert states[:, 1].tolist() == [VACANCY] * 8 + [PAIR_VACANCY] * 12
    assert (states[:, 2] == VACANCY).all()


@pytest.mark.parametrize("seed", range(3))
def test_most_states_of_a_noisy_movie_are_right(seed: int) -> None:
    """Vacancies come and go, three deviations less intense: far better told than by each intensity alone."""
    rng = np.random.default_rng(seed)
    truth = np.zeros((60, 80), int)
    for t in range(1, 60):
        flips = rng.random(80) < np.where(truth[t - 1], 0.04, 0.02)
        truth[t] = np.where(flips, VACANCY - truth[t - 1], truth[t - 1])
    ratio = np.where(truth > 0, 0.4, 1.0) + rng.normal(0, 0.2, truth.shape)
    found = rng.random(truth.shape) < np.where(truth > 0, 0.9, 0.003)
    states = decode(watched(ratio, found, noise=0.2), library_of(spread=0.2).kinds[:2])
    wrong = (states != truth).mean()
    assert wrong < 0.02
    assert wrong < 0.3 * ((ratio < 0.7) != (truth > 0)).mean()
    starts, true = ((np.diff((part > 0).astype(int), axis=0) > 0).sum() for part in (states, truth))
    assert starts == pytest.approx(true, rel=0.15)


def test_near_a_hole_intensities_tell_nothing_and_in_it_there_is_no_column() -> None:
    ratio = np.full((20, 30), 1.0)
    ratio[:6, 0] = 0.4
    rim, hole = np.zeros(ratio.shape, bool), np.zeros(ratio.shape, bool)
    ratio[10:, 1], rim[10:, 1] = 0.2, True
    rim[6:, 0], hole[12:, 0] = True, True
    states = decode(watched(ratio, rim=rim, hole=hole), KINDS)
    assert (states[:, 1] == PERFECT).all()
    assert (states[:12, 0] == VACANCY).all()
    assert (states[12:, 0] == HOLE).all()


def test_out_of_view_there_is_no_state() -> None:
    ratio = np.full((20, 30), 1.0)
    ratio[:, 0] = 0.4
    ratio[:5, 0] = ratio[15:, 1] = ratio[8:10, 2] = np.nan
    states = decode(watched(ratio, np.nan_to_num(ratio, nan=1.0) < 0.7), KINDS)
    assert (states[:5, 0] == UNSEEN).all()
    assert (states[5:, 0] == VACANCY).all()
    assert (states[15:, 1] == UNSEEN).all()
    assert states[7:11, 2].tolist() == [PERFECT, UNSEEN, UNSEEN, PERFECT]


def test_a_kind_that_looks_perfect_is_no_defect() -> None:
    vacancy = KINDS[1]
    perfect = type(vacancy)(**{**vars(vacancy), "number": 9, "ratio": 0.97, "perfect": True})
    ratio = np.full((10, 5), 0.97)
    assert (decode(watched(ratio, np.ones(ratio.shape, bool)), [vacancy, perfect]) == PERFECT).all()


@pytest.mark.parametrize("shape", [(1, 4), (6, 0), (1, 0)])
def test_one_frame_or_no_column(shape: tuple[int, int]) -> None:
    states = decode(watched(np.full(shape, 0.4)), KINDS)
    assert states.shape == shape
    assert (states == VACANCY).all()


def test_a_sublattice_without_kinds_is_perfect() -> None:
    states = decode(watched(np.full((5, 3), 0.4), sublattice=[0, 0, 1]), [KINDS[1]])
    assert (states[:, :2] == PERFECT).all()
    assert (states[:, 2] == VACANCY).all()
