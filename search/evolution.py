"""The asynchronous genetic algorithm, as ask and tell.

Steady state, after MENNDL (Young et al., MLHPC 2015 and 2017; Patton et al., SC18): whoever asks
gets a child of the best networks known at that moment. There is no generation to wait for; a
generation is a count, as many births as the population has members.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from itertools import count

import numpy as np

from networks.agreement import shared
from networks.genes import pack, unpack
from networks.genome import decode, encode
from networks.space import Limits, NetworkSpec, sample
from search.evaluation import Evaluation, Request, Status, rng_of, training_seed
from search.halving import Halving
from search.operators import CROSSOVERS, MUTATIONS, Genes
from search.operators.tournament import tournament
from search.population import Member, Population
from search.rates import Rates
from search.screening import CANDIDATES, Candidate, Screening
from search.seen import Seen

STAGE = "evolution"
TOURNAMENT = 3
PRIOR = "prior"  # origin of what has no parents
COPY = "copy"  # no crossover, or no mutation
ATTEMPTS = 50  # to find a child that was not tried yet


@dataclass(frozen=True)
class Proposal:
    """A network that could be evaluated, and where it comes from."""

    genes: Genes
    origin: str
    parents: tuple[Member, ...] = ()

    @property
    def to_beat(self) -> float:
        """Fitness of the better parent, 0 if there is none."""
        return max((parent.fitness for parent in self.parents), default=0.0)


class Evolution:
    """The population is the `size` best distinct networks told so far, or of the last `lifetime`.

    Beyond the published method, each switchable: whether evaluations `inherit` weights (the screening reckons with it),
    `screening` of children, and `halving` of trainings that lag behind.
    """

    stage = STAGE

    def __init__(
        self,
        size: int,
        seed: int,
        *,
        lifetime: int | None = None,
        inherit: bool = False,
        screening: Screening | None = None,
        halving: Halving | None = None,
    ) -> None:
        self.seed = seed
        self.population = Population(size, lifetime)
        self.inherit = inherit
        self.screening, self.halving = screening, halving
        self.crossovers = Rates({COPY: 0.2, **dict.fromkeys(CROSSOVERS, 0.2)})
        self.mutations = Rates({COPY: 0.1, **dict.fromkeys(MUTATIONS, 0.1), "change_genes": 0.4})
        self._seen = Seen()
        self._asked: set[int] = set()  # and not told yet
        self._told = 0

    def ask(self, index: int) -> Request:
        """The next network to evaluate; `index` is its number in the run.

        Until as many have been evaluated well as the population has members, networks come from the
        prior, so that no worker waits for parents.
        """
        rng = rng_of(self.seed, index)
        shared_weights = 0.0
        if not self.population.full:
            chosen = self._new(_drawn, rng)
        elif self.screening is None:
            chosen = self._new(self._child, rng)
        else:
            proposals = [self._new(self._child, rng) for _ in range(CANDIDATES)]
            candidates = [self._candidate(proposal) for proposal in proposals]
            number = self.screening.choose(candidates)
            chosen, shared_weights = proposals[number], candidates[number].shared
        self._seen.add(chosen.genes)
        self._asked.add(index)
        return Request(
            index,
            STAGE,
            self._told // self.population.size,
            pack(chosen.genes),
            training_seed(self.seed, index),
            tuple(parent.index for parent in chosen.parents),
            chosen.origin,
            chosen.to_beat,
            shared_weights,
            () if self.halving is None else self.halving.thresholds(),
        )

    def tell(self, evaluation: Evaluation) -> None:
        """Take in a result, also one from the journal. What failed is no parent."""
        request = evaluation.request
        self._told += 1
        if request.index in self._asked:
            self._asked.remove(request.index)
        else:  # from the journal
            self._seen.add(unpack(request.genome))
        good = evaluation.status is Status.OK
        if request.parents:
            paid = good and evaluation.fitness > request.to_beat
            for rates in (self.crossovers, self.mutations):
                rates.credit(next((name for name in request.made_by if name in rates.names), COPY), paid=paid)
        if self.screening is not None:
            candidate = Candidate(_spec(request.genome), request.to_beat, request.shared)
            self.screening.tell(candidate, evaluation.fitness)
        if self.halving is not None:
            self.halving.tell(evaluation)
        if good:
            self.population.add(Member(evaluation.fitness, -request.index, request.genome))

    def parents(self) -> set[int]:
        """Numbers of the evaluations whose networks may have children now."""
        return {member.index for member in self.population.members}

    def _new(self, propose: Callable[[np.random.Generator], Proposal], rng: np.random.Generator) -> Proposal:
        """A proposal that was not tried yet; if none is found for long, one of the prior."""
        for attempt in count():
            proposal = propose(rng) if attempt < ATTEMPTS else _drawn(rng)
            if proposal.genes not in self._seen:
                break
        return proposal

    def _candidate(self, proposal: Proposal) -> Candidate:
        spec = _spec(pack(proposal.genes))
        parents = (_spec(parent.genome) for parent in proposal.parents)
        inherited = max((shared(spec, parent) for parent in parents), default=0.0) if self.inherit else 0.0
        return Candidate(spec, proposal.to_beat, inherited)

    def _child(self, rng: np.random.Generator) -> Proposal:
        """A child of the population."""
        members = self.population.members
        first, second = (members[tournament(len(members), TOURNAMENT, rng)] for _ in range(2))
        crossover = self.crossovers.choose(rng) if first is not second else COPY
        mutation = self.mutations.choose(rng)
        genes = unpack(first.genome)
        if crossover != COPY:
            genes = CROSSOVERS[crossover](genes, unpack(second.genome), rng)
        if mutation != COPY:
            genes = MUTATIONS[mutation](genes, rng)
        parents = (first, second) if crossover != COPY else (first,)
        return Proposal(genes, "+".join(name for name in (crossover, mutation) if name != COPY), parents)


def _drawn(rng: np.random.Generator) -> Proposal:
    """A network of the prior."""
    return Proposal(unpack(encode(sample(rng))), PRIOR)


@lru_cache(maxsize=4096)
def _spec(genome: bytes) -> NetworkSpec:
    """The network of a genome; parents come again and again."""
    return decode(genome, Limits())
