"""Each budget ends where its definition says, and a resumed one at the same point."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.budget import Budget, Tally
from search.evaluation import Evaluation, Request, Status


def of(fitness):
    status = Status.OK if fitness else Status.CRASHED
    return Evaluation(Request(0, "evolution", 0, b"", 0), status, fitness=fitness)


def end_of(budget, values):
    """After how many evaluations the tally says that it has ended, and how."""
    tally = Tally(budget)
    for number, value in enumerate(values, 1):
        tally.add(of(value))
        if tally.ended():
            return number, tally.ended()
    return None, ""


@pytest.mark.parametrize(
    ("budget", "values", "number", "words"),
    [
        (Budget(4), [0.5, 0, 0.25, 0, 0.5], 4, "4 networks are evaluated"),  # failures are evaluations too
        (Budget(4), [0.5, 0, 0.25], None, ""),
        (Budget(9, target=0.5), [0.25, 0.49, 0.5, 0.75], 3, "target of 0.5"),  # reached when equal
        (Budget(9, plateau=3), [0.5, 0.4, 0.5, 0.3, 0.9], 4, "3 networks in a row"),  # as good is no better
        (Budget(9, plateau=3), [0.5, 0.4, 0.5, 0.6, 0.1, 0, 0], 7, "3 networks in a row"),
        (Budget(9, plateau=3), [0, 0, 0, 0], 4, "3 networks in a row"),
        (Budget(3, plateau=2, target=0.5), [0.4, 0.4, 0.5], 3, "target"),  # the best news comes first
        (Budget(3, plateau=2), [0.4, 0.4, 0.3], 3, "3 networks are evaluated"),
    ],
)
def test_hand_made_ends(budget, values, number, words):
    ended, why = end_of(budget, values)
    assert ended == number
    assert words in why


def test_time_ends_it_when_it_has_passed_and_not_before():
    tally = Tally(Budget(10, seconds=60))
    assert tally.ended(61) == ""  # not before there is a network to go on with
    tally.add(of(0.5))
    assert tally.ended(59.9) == ""
    assert tally.ended(60) == "60 s have passed"
    assert tally.ended(1) == ""  # how long it ran is the caller's to say


fitness = st.sampled_from([0.0, 0.1, 0.2, 0.3, 0.5, 0.8, 1.0])


def plainly(budget, values):
    """The first number of evaluations after which one of the definitions holds."""
    for number in range(1, len(values) + 1):
        told = values[:number]
        since = number - 1 - told.index(max(told))
        if number >= budget.evaluations or max(told) >= budget.target or since >= (budget.plateau or math.inf):
            return number
    return None


@given(
    st.builds(
        Budget,
        st.integers(1, 30),
        plateau=st.none() | st.integers(1, 10),
        target=st.sampled_from([math.inf, 0.3, 0.8, 1.0]),
    ),
    st.lists(fitness, max_size=40),
    st.integers(0, 40),
)
def test_it_ends_by_the_definitions_and_stays_ended_for_a_resumed_run(budget, values, killed):
    ended, why = end_of(budget, values)
    assert ended == plainly(budget, values)
    # Networks that ran at the end are recorded too; the driver is started anew and told all of them.
    tally = Tally(budget)
    for number, value in enumerate(values, 1):
        tally.add(of(value))
        assert bool(tally.ended()) == (ended is not None and number >= ended)
    assert tally.ended() == why
    assert tally.completed == len(values)
    resumed = Tally(budget)
    for value in values[:killed]:
        resumed.add(of(value))
    assert bool(resumed.ended()) == (ended is not None and killed >= ended)
