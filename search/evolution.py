"""The asynchronous genetic algorithm, as ask and tell.

Steady state, after MENNDL (Young et al., MLHPC 2015 and 2017; Patton et al., SC18): whoever asks
gets a child of the best networks known at that moment. There is no generation to wait for; a
generation is a count, as many births as the population has members.
"""

from __future__ import annotations

import heapq

from networks.genome import encode
from networks.space import sample
from search.evaluation import Evaluation, Request, rng_of, training_seed
from search.operators import crossover, mutate, tournament

STAGE = "evolution"
TOURNAMENT = 3
MUTATION_RATE = 0.08
CROSSOVER_SHARE = 0.8
ATTEMPTS = 50  # to find a genome that was not tried yet


class Evolution:
    """The population is the `size` best distinct networks told so far."""

    stage = STAGE

    def __init__(self, size: int, seed: int) -> None:
        self.size = size
        self.seed = seed
        self._population: list[tuple[float, int, bytes]] = []
        self._seen: set[bytes] = set()
        self._told = 0

    def ask(self, index: int) -> Request:
        """The next network to evaluate; `index` is its number in the run.

        Until as many results are back as the population has members, networks come from the
        prior, so that no worker waits for parents.
        """
        rng = rng_of(self.seed, index)
        parents: tuple[int, ...] = ()
        genome, origin = b"", ""
        for _ in range(ATTEMPTS):
            if len(self._population) < self.size:
                genome, origin = encode(sample(rng)), "prior"
            else:
                fitness = [member[0] for member in self._population]
                first, second = (self._population[tournament(fitness, TOURNAMENT, rng)] for _ in range(2))
                crossed = rng.random() < CROSSOVER_SHARE and first[2] != second[2]
                parents = (-first[1], -second[1]) if crossed else (-first[1],)
                genome = mutate(crossover(first[2], second[2], rng) if crossed else first[2], MUTATION_RATE, rng)
                origin = "crossover" if crossed else "mutation"
            if genome not in self._seen:
                break
        self._seen.add(genome)
        generation = self._told // self.size
        return Request(index, STAGE, generation, genome, training_seed(self.seed, index), parents, origin)

    def tell(self, evaluation: Evaluation) -> None:
        """Take in a result, also one from the journal."""
        self._told += 1
        self._seen.add(evaluation.request.genome)
        # The index breaks ties: of equals the older stays.
        member = (evaluation.fitness, -evaluation.request.index, evaluation.request.genome)
        if len(self._population) < self.size:
            heapq.heappush(self._population, member)
        else:
            heapq.heappushpop(self._population, member)
