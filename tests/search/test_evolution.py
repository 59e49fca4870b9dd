"""The evolution finds what random search does not."""

import numpy as np

from networks.genes import GENES, SIZES, unpack
from search.evaluation import Evaluation, Status
from search.evolution import Evolution


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
