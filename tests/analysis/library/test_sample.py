"""A sample of a stream against the probability that each of its rows has."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.library.sample import Sample


@given(st.lists(st.integers(0, 30), max_size=12), st.integers(1, 20))
def test_it_holds_as_many_as_it_may_and_rows_stay_together(parts, most):
    sample, added = Sample(most, np.random.default_rng(0)), 0
    for part in parts:
        numbers = np.arange(added, added + part)
        sample.add(numbers, np.stack([numbers, -numbers], axis=1))
        added += part
    if parts:
        numbers, pairs = sample.rows()
        assert len(numbers) == len(set(numbers.tolist())) == min(added, most)
        assert (pairs == np.stack([numbers, -numbers], axis=1)).all()
        assert set(numbers.tolist()) <= set(range(added))


def test_each_row_is_as_likely_as_any_other_however_the_stream_is_cut():
    counts, rng = np.zeros(60), np.random.default_rng(0)
    for _ in range(4000):
        sample = Sample(5, rng)
        for part in np.split(np.arange(60), [1, 2, 12, 50]):
            sample.add(part)
        counts[sample.rows()[0]] += 1
    expected = 4000 * 5 / 60
    # Pearson's statistic; of draws without replacement it is (1 - 5 / 60) times one of 59 degrees of freedom.
    statistic = ((counts - expected) ** 2 / expected).sum()
    assert 25 < statistic < 95


def test_memory_does_not_grow_with_the_stream():
    sample = Sample(10, np.random.default_rng(0))
    for _ in range(200):
        sample.add(np.zeros((7, 3)))
        assert len(sample.keys) <= 27


def test_rows_stay_the_same_while_nothing_is_added():
    sample = Sample(10, np.random.default_rng(0))
    sample.add(np.arange(15))
    first = sample.rows()[0].copy()
    assert sample.rows()[0] == pytest.approx(first)
    sample.add(np.zeros(0, int))
    assert sample.rows()[0] == pytest.approx(first)


def test_nothing_was_added():
    assert Sample(10, np.random.default_rng(0)).rows() == []
