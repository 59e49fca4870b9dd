"""Accuracy against cost: which networks are worth their price."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from networks.genome import decode
from networks.repair import operations
from networks.space import Limits


def on_front(cost: NDArray[np.float64], score: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which of the points (n,) lie on the Pareto front: none is as cheap and as good, and better in one of the two.

    Equal points are all on it, or none.
    """
    # Sorted by cost, of equals the best first: a point is on the front if it is better than all before it.
    points, number = np.unique(np.column_stack([cost, -score]), axis=0, return_inverse=True)
    before = np.concatenate([[np.inf], np.minimum.accumulate(points[:, 1])[:-1]])[: len(points)]
    return np.asarray(points[:, 1] < before)[number.ravel()]


def inference_flops_per_pixel(genome: bytes) -> float:
    """Floating-point operations of a network per pixel of a frame that it is applied to, without those of its head.

    A multiply-add counts as two. FLOPs per iteration, as the journal has them, grow with the batch too.
    """
    return 2 * sum(operations(decode(genome, Limits()).layers))
