"""The state of the evolution is a fold over what it was told, whatever came of the networks and in which order."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from networks.genes import expressed, unpack
from networks.genome import LENGTH
from search import evolution as module
from search.evaluation import Evaluation, Status
from search.evolution import PRIOR, Evolution

outcomes = st.tuples(
    st.sampled_from([Status.OK] * 5 + list(Status)),
    st.sampled_from([0.0, 0.2, 0.4, 0.5, 0.6, 0.8, 1.0]),
    st.integers(0, 5),  # which of the networks that are under way comes back
)
runs = st.lists(outcomes, min_size=1, max_size=60)
lifetimes = st.none() | st.integers(5, 20)


def played(evolution, run, ahead=4):
    """Requests and records of a run with some networks under way, in the order of asking and of telling."""
    asked, told, waiting = [], [], []
    for status, fitness, which in run:
        while len(waiting) < ahead:
            asked.append(evolution.ask(len(asked)))
            waiting.append(asked[-1])
        request = waiting.pop(which % len(waiting))
        told.append(Evaluation(request, status, fitness=fitness if status is Status.OK else 0.0))
        evolution.tell(told[-1])
    return asked, told


def state(evolution):
    return evolution.population.members, evolution.crossovers.rates(), evolution.mutations.rates()


@settings(deadline=None, max_examples=60)
@given(runs, lifetimes, st.integers(0, 1000))
def test_a_replayed_evolution_is_the_same_and_asks_the_same(run, lifetime, seed):
    live = Evolution(5, seed, lifetime=lifetime)
    asked, told = played(live, run)
    replayed = Evolution(5, seed, lifetime=lifetime)
    for evaluation in told:
        replayed.tell(evaluation)
    assert state(replayed) == state(live)
    assert [replayed.ask(i) for i in range(len(asked), len(asked) + 5)] == [
        live.ask(i) for i in range(len(asked), len(asked) + 5)
    ]


@settings(deadline=None, max_examples=60)
@given(runs, lifetimes, st.integers(0, 1000))
def test_no_network_is_asked_twice_also_by_a_resumed_run(run, lifetime, seed):
    first = Evolution(5, seed, lifetime=lifetime)
    asked, told = played(first, run)
    resumed = Evolution(5, seed, lifetime=lifetime)
    for evaluation in told:
        resumed.tell(evaluation)
    again = [resumed.ask(len(asked) + more) for more in range(20)]
    for requests in (asked, [e.request for e in told] + again):
        assert len({expressed(unpack(request.genome)).tobytes() for request in requests}) == len(requests)
    assert all(len(request.genome) == LENGTH for request in again)


@settings(deadline=None, max_examples=60)
@given(runs, lifetimes, st.integers(0, 1000))
def test_what_failed_is_no_parent_and_neither_is_what_was_not_told_yet(run, lifetime, seed):
    evolution, known, waiting = Evolution(5, seed, lifetime=lifetime), {}, []
    for index, (status, fitness, which) in enumerate(run):
        request = evolution.ask(index)
        good = {i for i, e in known.items() if e.status is Status.OK}
        assert set(request.parents) <= good
        assert request.to_beat == max((known[i].fitness for i in request.parents), default=0)
        assert (request.origin == PRIOR) == (not request.parents)
        assert bool(request.parents) == (len(good) >= 5)
        waiting.append(Evaluation(request, status, fitness=fitness if status is Status.OK else 0.0))
        if len(waiting) > which:
            known[waiting[0].request.index] = waiting[0]
            evolution.tell(waiting.pop(0))


def test_a_generation_is_as_many_results_as_the_population_has_members():
    evolution = Evolution(5, 1)
    asked, _ = played(evolution, [(Status.OK, 0.5, 0)] * 30, ahead=1)
    assert [request.generation for request in asked] == [index // 5 for index in range(30)]


def test_children_are_what_their_origin_says():
    """Parents of one kind each, in all genes: a child has genes of the parents that it names, or was mutated."""
    evolution = Evolution(5, 3)
    _, told = played(evolution, [(Status.OK, 0.1 * (n % 10), n) for n in range(200)])
    genome = {e.request.index: unpack(e.request.genome) for e in told}
    crossed = [e.request for e in told if e.request.origin in module.CROSSOVERS]
    assert len(crossed) > 5
    for request in crossed:
        first, second = (genome[parent] for parent in request.parents)
        child = unpack(request.genome)
        assert np.all((child == first) | (child == second))


@pytest.mark.parametrize("seed", range(3))
def test_another_seed_is_another_search(seed):
    one, other = Evolution(5, seed), Evolution(5, seed + 1)
    assert one.ask(0) == Evolution(5, seed).ask(0)
    assert one.ask(1).genome != other.ask(1).genome
