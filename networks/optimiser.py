"""How weights follow their gradients, and how fast at which time."""

from __future__ import annotations

import math

import torch

from networks.build import PixelNetwork
from networks.space import Training

SGD_FACTOR = 10.0
WARM_UP = 0.05  # share of the iterations in which the learning rate rises


def optimiser_for(model: PixelNetwork, training: Training) -> torch.optim.Optimizer:
    """AdamW (Loshchilov and Hutter, ICLR 2019), or SGD with Nesterov's momentum, at their highest learning rate."""
    rate, decay = training.learning_rate, training.weight_decay
    if training.optimiser == "sgd":
        return torch.optim.SGD(
            model.parameters(),
            lr=SGD_FACTOR * rate,
            momentum=training.momentum,
            weight_decay=decay / SGD_FACTOR,
            nesterov=True,
        )
    return torch.optim.AdamW(model.parameters(), lr=rate, betas=(training.momentum, 0.99), weight_decay=decay)


def schedule_for(optimiser: torch.optim.Optimizer, kind: str, iterations: int) -> torch.optim.lr_scheduler.LRScheduler:
    """How the learning rate goes: one cycle up and down, a cosine down, or constant, the last two after a warm-up."""
    if kind == "one_cycle":
        highest = optimiser.param_groups[0]["lr"]
        return torch.optim.lr_scheduler.OneCycleLR(optimiser, highest, max(iterations, 2), cycle_momentum=False)
    warm = max(1, round(WARM_UP * iterations))

    def share(done: int) -> float:
        if done < warm or kind == "constant":
            return min(1.0, (done + 1) / warm)
        return 0.5 * (1 + math.cos(math.pi * (done - warm) / max(1, iterations - warm)))

    return torch.optim.lr_scheduler.LambdaLR(optimiser, share)
