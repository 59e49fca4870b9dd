"""The asynchronous genetic algorithm, as ask and tell.

Steady state, after MENNDL (Young et al., MLHPC 2015 and 2017; Patton et al., SC18): whoever asks
gets a child of the best networks known at that moment. There is no generation to wait for; a
generation is a count, as many births as the population has members.
"""

from __future__ import annotations

import numpy as np

from networks.genes import pack, unpack
from networks.genome import encode
from networks.space import sample
from search.evaluation import Evaluation, Request, Status, rng_of, training_seed
from search.operators import CROSSOVERS, MUTATIONS, Genes
from search.operators.tournament import tournament
from search.population import Member, Population
from search.rates import Rates
from search.seen import Seen

STAGE = "evolution"
TOURNAMENT = 3
PRIOR = "prior"  # origin of what has no parents
COPY = "copy"  # no crossover, or no mutation
ATTEMPTS = 50  # to find a network that was not tried yet


class Evolution:
    """The population is the `size` best distinct networks told so far, or of the last `lifetime`."""

    stage = STAGE

    def __init__(self, size: int, seed: int, lifetime: int | None = None) -> None:
        self.seed = seed
        self.population = Population(size, lifetime)
        self.crossovers = Rates({COPY: 0.2, **dict.fromkeys(CROSSOVERS, 0.2)})
        self.mutations = Rates({COPY: 0.1, **dict.fromkeys(MUTATIONS, 0.1), "change_genes": 0.4})
        self._seen = Seen()
        self._told = 0

    def ask(self, index: int) -> Request:
        """The next network to evaluate; `index` is its number in the run.

        Until as many have been evaluated well as the population has members, networks come from the
        prior, so that no worker waits for parents.
        """
        rng = rng_of(self.seed, index)
        for _ in range(ATTEMPTS):
            parents: tuple[Member, ...] = ()
            if not self.population.full:
                genome, origin = encode(sample(rng)), PRIOR
                genes = unpack(genome)
            else:
                parents, genes, origin = self._child(rng)
                genome = pack(genes)
            if self._seen.add(genes):
                break
        return Request(
            index,
            STAGE,
            self._told // self.population.size,
            genome,
            training_seed(self.seed, index),
            tuple(parent.index for parent in parents),
            origin,
            max((parent.fitness for parent in parents), default=0.0),
        )

    def tell(self, evaluation: Evaluation) -> None:
        """Take in a result, also one from the journal. What failed is no parent."""
        request = evaluation.request
        self._told += 1
        self._seen.add(unpack(request.genome))
        good = evaluation.status is Status.OK
        if request.parents:
            paid = good and evaluation.fitness > request.to_beat
            for rates in (self.crossovers, self.mutations):
                rates.credit(next((name for name in request.made_by if name in rates.names), COPY), paid=paid)
        if good:
            self.population.add(Member(evaluation.fitness, -request.index, request.genome))

    def _child(self, rng: np.random.Generator) -> tuple[tuple[Member, ...], Genes, str]:
        """Parents, genes and origin of a child of the population."""
        members = self.population.members
        fitness = [member.fitness for member in members]
        first, second = (members[tournament(fitness, TOURNAMENT, rng)] for _ in range(2))
        crossover = self.crossovers.choose(rng) if first is not second else COPY
        mutation = self.mutations.choose(rng)
        genes = unpack(first.genome)
        if crossover != COPY:
            genes = CROSSOVERS[crossover](genes, unpack(second.genome), rng)
        if mutation != COPY:
            genes = MUTATIONS[mutation](genes, rng)
        parents = (first, second) if crossover != COPY else (first,)
        return parents, genes, "+".join(name for name in (crossover, mutation) if name != COPY)
