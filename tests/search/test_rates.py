"""Rates follow what pays, by the formula of probability matching, and come back when nothing does."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.rates import FIRST_TRIALS, HOPE, LEAST, MEMORY, Rates

SHARES = {"a": 0.1, "b": 0.2, "c": 0.5}
credits_ = st.lists(st.tuples(st.sampled_from(sorted(SHARES)), st.booleans()), max_size=300)


def plainly(trials):
    """The rates anew from all trials: one that is k trials of its operator old counts (1 - 1/MEMORY)^k."""
    quality = {}
    for name, share in SHARES.items():
        paid = [share * FIRST_TRIALS] + [float(p) for n, p in trials if n == name]
        ages = np.arange(len(paid))[::-1]
        weight = (1 - 1 / MEMORY) ** ages
        tried = weight @ [FIRST_TRIALS, *[1] * (len(paid) - 1)]
        quality[name] = (weight @ paid + HOPE) / tried
    total = sum(quality.values())
    return {name: LEAST / 3 + (1 - LEAST) * q / total for name, q in quality.items()}


@given(credits_)
def test_rates_are_the_discounted_shares_of_successes(trials):
    rates = Rates(SHARES)
    for name, paid in trials:
        rates.credit(name, paid=paid)
    assert rates.rates() == pytest.approx(plainly(trials))
    assert sum(rates.rates().values()) == pytest.approx(1)
    assert min(rates.rates().values()) >= LEAST / 3


def test_operators_are_drawn_at_their_rates():
    rates, rng = Rates(SHARES), np.random.default_rng(1)
    drawn = Counter(rates.choose(rng) for _ in range(20000))
    for name, rate in rates.rates().items():
        assert drawn[name] / 20000 == pytest.approx(rate, abs=5 * np.sqrt(rate / 20000))


def test_where_nothing_pays_for_a_million_trials_all_are_used_alike():
    """Discounted a hundred thousand times, a success is 0 in floating point."""
    rates = Rates(SHARES)
    for number in range(300_000):
        rates.credit("abc"[number % 3], paid=False)
    assert rates.rates() == pytest.approx(dict.fromkeys(SHARES, 1 / 3))


def test_one_that_pays_again_is_used_again():
    rates = Rates(SHARES)
    for number in range(3000):
        rates.credit("abc"[number % 3], paid=False)
    for _ in range(20):
        rates.credit("a", paid=True)
    assert rates.rates()["a"] > 0.75
