"""Fitness with a price on what a network costs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from search.evaluation import Evaluation

Cost = Literal["flops", "inference"]


def cost(evaluation: Evaluation, of: Cost) -> float:
    """FLOPs of a training iteration, or seconds that the network takes for a megapixel."""
    return float(evaluation.flops_per_iteration) if of == "flops" else evaluation.inference_s_per_megapixel


@dataclass(frozen=True)
class Price:
    """Fitness points that a network loses for each factor of ten in cost, beyond one unit of it."""

    per_tenfold: float
    of: Cost

    def value(self, evaluation: Evaluation) -> float:
        """Fitness less the price; may be negative."""
        return evaluation.fitness - self.per_tenfold * math.log10(max(cost(evaluation, self.of), 1e-12))
