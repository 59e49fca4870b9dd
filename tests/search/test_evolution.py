"""Operators keep genomes whole; the evolution finds what random search does not."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from networks.genes import GENES, HEADER, SIZES, SLOT, unpack
from networks.genome import LENGTH
from networks.space import SLOTS
from search.evaluation import Evaluation, Status
from search.evolution import Evolution
from search.operators import crossover, mutate, tournament

genomes = st.binary(min_size=LENGTH, max_size=LENGTH)
seeds = st.integers(0, 2**32)


@settings(deadline=None, max_examples=200)
@given(genomes, genomes, seeds)
def test_crossover_takes_whole_slots_from_either_parent_in_place(first, second, seed):
    child = crossover(first, second, np.random.default_rng(seed))
    assert len(child) == LENGTH
    child, first, second = (unpack(genome).tolist() for genome in (child, first, second))
    assert all(c in (a, b) for c, a, b in zip(child[:HEADER], first[:HEADER], second[:HEADER], strict=True))
    for slot in range(SLOTS):
        part = slice(HEADER + slot * SLOT, HEADER + (slot + 1) * SLOT)
        assert child[part] in (first[part], second[part])


@settings(deadline=None, max_examples=200)
@given(genomes, seeds)
def test_mutation_keeps_the_length_and_is_repeatable(genome, seed):
    child = mutate(genome, 0.05, np.random.default_rng(seed))
    assert len(child) == LENGTH
    assert child == mutate(genome, 0.05, np.random.default_rng(seed))


def test_mutation_changes_little_at_a_low_rate():
    genome = bytes(range(LENGTH))
    changed = [
        int((unpack(genome) != unpack(mutate(genome, 0.02, np.random.default_rng(seed)))).sum()) for seed in range(200)
    ]
    assert np.median(changed) <= 5
    assert np.mean([count > 0 for count in changed]) > 0.95


def test_tournament_prefers_the_fit():
    rng = np.random.default_rng(0)
    chosen = [tournament([0.1, 0.9, 0.5, 0.2], 3, rng) for _ in range(2000)]
    shares = np.bincount(chosen, minlength=4) / 2000
    # The best of four is missed only if none of three draws is it: (3/4)^3.
    assert abs(shares[1] - (1 - 0.75**3)) < 0.04
    assert shares[1] > shares[2] > shares[3] > shares[0]


def similarity(genome, target):
    return 1 - np.abs(unpack(genome) / (SIZES - 1) - target).mean()


def best_of(evolution, target, budget):
    best = 0.0
    for index in range(budget):
        request = evolution.ask(index)
        fitness = similarity(request.genome, target)
        evolution.tell(Evaluation(request, Status.OK, fitness=fitness))
        best = max(best, fitness)
    return best


def test_evolution_beats_drawing_from_the_prior():
    wins = 0
    for seed in range(5):
        target = np.random.default_rng(100 + seed).random(GENES)
        evolved = best_of(Evolution(12, seed), target, 300)
        drawn = best_of(Evolution(301, seed), target, 300)  # a population never full: the prior alone
        wins += evolved > drawn + 0.02
    assert wins == 5


def test_a_replayed_evolution_asks_the_same():
    first, replayed = Evolution(4, seed=3), Evolution(4, seed=3)
    told = []
    for index in range(15):
        request = first.ask(index)
        told.append(Evaluation(request, Status.OK, fitness=request.genome[0] / 255))
        first.tell(told[-1])
    for evaluation in told:
        replayed.tell(evaluation)
    assert replayed.ask(15) == first.ask(15)


def test_parents_are_members_of_the_population():
    evolution = Evolution(4, seed=5)
    fitness = {}
    for index in range(40):
        request = evolution.ask(index)
        if request.origin != "prior":
            best = sorted(fitness, key=lambda i: fitness[i])[-4:]
            assert set(request.parents) <= set(best)
            assert request.generation >= 1
        fitness[index] = (index * 37 % 101) / 101
        evolution.tell(Evaluation(request, Status.OK, fitness=fitness[index]))
