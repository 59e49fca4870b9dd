"""Which operators to use how often: rates that follow what has paid off."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

MEMORY = 100.0  # trials after which one counts 1/e
FIRST_TRIALS = 10.0
HOPE = 0.01  # of a success that each operator always has: where nothing pays any more, all are used alike
LEAST = 0.3  # of an equal share is kept by each operator, however badly it does


class Rates:
    """Probability matching: an operator is used in proportion to the share of its children that beat their parents.

    Source: Goldberg, "Probability matching, the magnitude of reinforcement, and classifier system bidding", Machine
    Learning 5, 407-425, 1990; with a least rate as in Thierens, "An adaptive pursuit strategy for allocating
    operator probabilities", GECCO 2005.
    """

    def __init__(self, expected: Mapping[str, float]) -> None:
        """`expected` is the share of successes to begin with, which counts as `FIRST_TRIALS` of each operator."""
        self.names = tuple(expected)
        self._paid = {name: FIRST_TRIALS * share for name, share in expected.items()}
        self._tried = dict.fromkeys(self.names, FIRST_TRIALS)

    def choose(self, rng: np.random.Generator) -> str:
        """Draw an operator."""
        threshold = rng.random()
        for name, rate in self.rates().items():
            threshold -= rate
            if threshold < 0:
                return name
        return self.names[-1]

    def rates(self) -> dict[str, float]:
        """The present rates; they sum to 1."""
        quality = {name: (self._paid[name] + HOPE) / self._tried[name] for name in self.names}
        total, least = sum(quality.values()), LEAST / len(self.names)
        return {name: least + (1 - LEAST) * q / total for name, q in quality.items()}

    def credit(self, name: str, *, paid: bool) -> None:
        """Take in how a child of an operator did."""
        keep = 1 - 1 / MEMORY
        self._paid[name] = keep * self._paid[name] + paid
        self._tried[name] = keep * self._tried[name] + 1
