"""What the evolution may do beyond the published method, against truths that are known by hand."""

import numpy as np
import pytest

from networks.genes import unpack
from networks.genome import decode, encode
from networks.space import Limits, sample
from search.evaluation import Evaluation, Request, Status
from search.evolution import Evolution
from search.halving import FEWEST, KEEP, SHARES, Halving
from search.predictors import CHOOSERS, Svm, Trees
from search.screening import Candidate, Screening


def evaluation(index=0, fitness=0.5, **facts):
    return Evaluation(Request(index, "evolution", 0, b"", 0), Status.OK, fitness=fitness, **facts)


def candidate(rng):
    return Candidate(decode(encode(sample(rng)), Limits()))


def learning_rate(one):
    return float(np.log10(one.spec.training.learning_rate))


every_chooser = pytest.mark.parametrize("chooser", CHOOSERS.values(), ids=CHOOSERS.keys())


@every_chooser
def test_screening_learns_what_makes_networks_fit(chooser):
    """The share of the gain that the best of twelve would bring; the SVM takes the first that is good."""
    rng = np.random.default_rng(0)
    screening = Screening(chooser)
    for _ in range(150):
        one = candidate(rng)
        screening.tell(one, learning_rate(one) + rng.normal(0, 0.1))
    gains, most = [], []
    for _ in range(60):
        some = [candidate(rng) for _ in range(12)]
        rates = [learning_rate(one) for one in some]
        gains.append(rates[screening.choose(some)] - np.mean(rates))
        most.append(max(rates) - np.mean(rates))
    assert np.mean(gains) > {Trees: 0.6, Svm: 0.4}[chooser] * np.mean(most)


@every_chooser
def test_screening_takes_the_first_while_it_knows_too_little(chooser):
    rng = np.random.default_rng(1)
    screening = Screening(chooser)
    some = [candidate(rng) for _ in range(12)]
    some.sort(key=learning_rate)
    assert screening.choose(some) == 0
    for _ in range(19):
        one = candidate(rng)
        screening.tell(one, learning_rate(one))
    assert screening.choose(some) == 0
    one = candidate(rng)
    screening.tell(one, learning_rate(one))
    assert screening.choose(some) > 0


@pytest.mark.parametrize(
    ("chooser", "fitness"),
    [(Trees, [0.5] * 40), (Svm, [0.5] * 40), (Svm, [0.0] * 38 + [0.4, 0.3]), (Svm, [0.5] * 39 + [0.0])],
)
def test_screening_takes_the_first_where_nothing_can_be_learnt(chooser, fitness):
    rng = np.random.default_rng(4)
    screening = Screening(chooser)
    for value in fitness:
        screening.tell(candidate(rng), value)
        assert screening.choose([candidate(rng) for _ in range(12)]) == 0


@every_chooser
def test_after_a_resume_the_same_model_chooses(chooser):
    rng = np.random.default_rng(2)
    told = [(candidate(rng), float(rng.random())) for _ in range(57)]
    screening, resumed = Screening(chooser), Screening(chooser)
    for number, (one, value) in enumerate(told):
        screening.tell(one, value)
        screening.choose([one] if number % 3 else [one, one])  # it learns as it goes
    for one, value in told:
        resumed.tell(one, value)
    for _ in range(20):
        some = [candidate(rng) for _ in range(12)]
        assert screening.choose(some) == resumed.choose(some)


def test_after_a_resume_nothing_is_remembered_that_cannot_be_learnt_again(monkeypatch):
    """What was learnt from networks that are forgotten by now is not known after a resume either."""
    monkeypatch.setattr("search.screening.REMEMBERED", 30)
    rng = np.random.default_rng(6)
    screening = Screening()
    for value in [*rng.random(30), *[0.5] * 60]:
        screening.tell(candidate(rng), value)
        chosen = screening.choose([candidate(rng) for _ in range(12)])
    assert chosen == 0


def test_halving_lets_the_better_half_go_on():
    halving = Halving()
    assert halving.thresholds() == tuple((share, 0.0) for share in SHARES)
    scores = np.random.default_rng(0).permutation(41) / 41
    for number, score in enumerate(scores):
        if number == FEWEST - 1:
            assert halving.thresholds()[0] == (SHARES[0], 0.0)
        # Every second network was stopped at the first look.
        halving.tell(evaluation(number, on_the_way=(score,) if number % 2 else (score, score + 1)))
    first, second = (least for _, least in halving.thresholds())
    assert first == pytest.approx(np.quantile(scores, 1 - KEEP))
    assert second == pytest.approx(np.quantile(scores[::2] + 1, 1 - KEEP))


def grown(evolution, budget, fitness_of):
    told = []
    for index in range(budget):
        request = evolution.ask(index)
        one = Evaluation(
            request,
            Status.OK if index % 7 else Status.CRASHED,
            fitness=fitness_of(request.genome) if index % 7 else 0.0,
            flops_per_iteration=10**9 * (1 + index % 5),
            inherited=(index % 4) / 4,
            on_the_way=tuple(fitness_of(request.genome) * share for share, _ in request.thresholds),
        )
        evolution.tell(one)
        told.append(one)
    return told


def made(chooser):
    return Evolution(6, 3, lifetime=25, inherit=True, screening=Screening(chooser), halving=Halving())


@every_chooser
def test_with_every_option_a_replayed_evolution_asks_the_same(chooser):
    evolution, replayed = made(chooser), made(chooser)
    for one in grown(evolution, 60, lambda genome: unpack(genome)[0] / 31):
        replayed.tell(one)
    for index in range(60, 63):
        assert replayed.ask(index) == evolution.ask(index)
