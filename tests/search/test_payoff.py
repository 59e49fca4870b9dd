"""Whether a predictor pays, reckoned by hand."""

import math

import pytest

from search.evaluation import Evaluation, Request, Status
from search.payoff import PayoffFold, interval


def evaluation(fitness, origin, draws=1, status=Status.OK, rejected=0):
    request = Request(0, "tuning", 0, b"x", 0, origin=origin)
    return Evaluation(request, status, fitness=fitness, draws=draws, rejected=rejected)


def payoff(*evaluations, good_share=0.25):
    fold = PayoffFold()
    for one in evaluations:
        fold.add(one)
    return fold.payoff(good_share)


RANDOM = [evaluation(fitness, "random") for fitness in (0.1, 0.2, 0.3, 0.4, 0.5)]


def test_good_is_what_is_as_good_as_the_best_share_of_the_random_sets():
    chosen = [evaluation(0.4, "svm", 3), evaluation(0.39, "svm", 7), evaluation(0.9, "svm", 10)]
    told = payoff(*RANDOM, *chosen)
    assert told.threshold == pytest.approx(0.4)  # the upper quarter of five values begins at the fourth
    assert told.base_rate == pytest.approx(2 / 5)
    assert told.precision == pytest.approx(2 / 3)
    assert told.acceptance == pytest.approx(3 / 20)
    assert (told.random_sets, told.chosen_sets) == (5, 3)


def test_what_the_svm_rejected_is_chosen_and_not_accepted():
    told = payoff(*RANDOM, evaluation(0.5, "svm", 8), evaluation(0.1, "svm", 2000, rejected=1))
    assert (told.precision, told.accepted_precision, told.rejected) == (0.5, 1.0, 1)
    assert told.acceptance == pytest.approx(1 / 2008)


def test_only_an_svm_accepts_or_rejects():
    told = payoff(*RANDOM, evaluation(0.5, "trees", 200), evaluation(0.1, "trees", 200))
    assert (told.precision, told.acceptance, told.rejected, told.accepted_precision) == (0.5, None, 0, None)


def test_what_is_as_bad_as_the_worst_is_no_good_one_however_many_there_are():
    random = [evaluation(0.1, "random") for _ in range(9)] + [evaluation(0.2, "random")]
    told = payoff(*random, evaluation(0.1, "svm"), evaluation(0.15, "svm"), evaluation(0.2, "svm"))
    assert (told.threshold, told.base_rate, told.precision) == (0.2, 0.1, pytest.approx(1 / 3))
    assert payoff(*random[:9]).base_rate == 0.0  # all the same: none did well


def test_a_chosen_set_that_failed_is_no_good_one():
    told = payoff(*RANDOM, evaluation(0.0, "svm", 2, Status.DIVERGED), evaluation(0.5, "svm", 2))
    assert told.precision == pytest.approx(1 / 2)


def test_what_was_lost_and_what_the_evolution_made_is_left_out():
    lost = evaluation(0.0, "", 0, Status.LOST)
    bred = evaluation(0.9, "one_point", 0)
    assert payoff(*RANDOM, lost, bred) == payoff(*RANDOM)


def test_without_sets_nothing_is_said():
    told = payoff()
    assert (told.threshold, told.base_rate, told.precision, told.acceptance) == (None, None, None, None)
    assert payoff(evaluation(0.3, "svm")).precision is None  # no random ones to compare with


@pytest.mark.parametrize("count", [1, 7, 60])
@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_the_interval_holds_what_a_share_may_come_from(share, count):
    """Wilson's interval has the p with |share - p| <= 1.96 standard deviations of a share of p."""
    low, high = interval(share, count)
    for p in (low, high):
        if 1e-9 < p < 1 - 1e-9:
            assert abs(share - p) == pytest.approx(1.96 * math.sqrt(p * (1 - p) / count), abs=1e-6)
    assert low <= share + 1e-12
    assert share <= high + 1e-12
