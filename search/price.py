"""Fitness with a price on what a network costs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from search.evaluation import Evaluation

Cost = Literal["flops", "inference"]


TYPICAL: dict[Cost, float] = {"flops": 1e10, "inference": 1.0}


def cost(evaluation: Evaluation, of: Cost) -> float:
    """FLOPs of a training iteration, or seconds that the network takes for a megapixel."""
    return float(evaluation.flops_per_iteration) if of == "flops" else evaluation.inference_s_per_megapixel


@dataclass(frozen=True)
class Price:
    """Fitness that a network loses, or gains, for each factor of ten that it is dearer, or cheaper, than usual."""

    per_tenfold: float
    of: Cost

    def value(self, evaluation: Evaluation) -> float:
        """Fitness less the price. Where the cost was not measured it counts as the usual one."""
        usual = TYPICAL[self.of]
        return evaluation.fitness - self.per_tenfold * math.log10((cost(evaluation, self.of) or usual) / usual)
