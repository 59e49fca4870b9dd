"""The SVM finds the good corner of a space, and steps aside where there is nothing to learn."""

import numpy as np
import pytest

from networks.genes import GENES, SIZES, kind_of, numeric_genes, unpack
from networks.genome import encode
from networks.space import SLOTS, sample
from search.evaluation import Evaluation, Request, Status
from search.tuning import SvmTuning

START = encode(sample(np.random.default_rng(8)))


def tell_all(tuning, count, fitness_of, first=0):
    origins = []
    for index in range(first, first + count):
        request = tuning.ask(index)
        origins.append(request.origin)
        tuning.tell(Evaluation(request, Status.OK, fitness=fitness_of(request.genome)))
    return origins


def half_is_good(genome):
    """Sets are good where two of the training genes are high: an eighth or so of the space."""
    genes = unpack(genome) / (SIZES - 1)
    return min(genes[0], genes[1])


def test_accepted_sets_are_good_more_often_than_random_ones():
    shares = {"random": [], "svm": []}
    for seed in range(3):
        tuning = SvmTuning(START, 60, seed)
        for index in range(90):
            request = tuning.ask(index)
            value = half_is_good(request.genome)
            shares[request.origin].append(value > 0.5)
            tuning.tell(Evaluation(request, Status.OK, fitness=value))
    assert len(shares["svm"]) == 90
    assert np.mean(shares["svm"]) > 1.5 * np.mean(shares["random"])


def test_only_numbers_vary():
    tuning = SvmTuning(START, 10, seed=1)
    start = unpack(START)
    fixed = np.setdiff1d(np.arange(GENES), numeric_genes(start))
    for index in range(10):
        genes = unpack(tuning.ask(index).genome)
        assert all(genes[i] == start[i] for i in fixed)
        assert [kind_of(genes, s) for s in range(SLOTS)] == [kind_of(start, s) for s in range(SLOTS)]
        assert (genes != start).any()


@pytest.mark.parametrize("random_sets", [0, 1, 4])
def test_too_little_to_learn_from_falls_back_to_random(random_sets):
    assert tell_all(SvmTuning(START, random_sets, 0), random_sets + 2, half_is_good)[-2:] == ["random", "random"]


def test_equal_scores_fall_back_to_random():
    assert set(tell_all(SvmTuning(START, 20, 0), 25, lambda _: 0.0)) == {"random"}


def test_after_a_resume_the_second_phase_goes_on():
    tuning = SvmTuning(START, 20, 4)
    requests = []
    for index in range(24):
        request = tuning.ask(index)
        requests.append(Evaluation(request, Status.OK, fitness=half_is_good(request.genome)))
        tuning.tell(requests[-1])
    resumed = SvmTuning(START, 20, 4)
    for evaluation in requests:
        resumed.tell(evaluation)
    assert resumed.ask(24) == tuning.ask(24)
    assert isinstance(resumed.ask(25), Request)
