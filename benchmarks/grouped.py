"""Networks trained in groups beside the same ones trained one by one: iterations of a network per second.

    python -m benchmarks.grouped TILES [--groups 1,2,4,8] [--iterations 20] [--rounds 3]

TILES is the `tiles.h5` of a run. Two shapes of networks, a LeNet-like one and one of the prior; those of a group
differ in learning rate, momentum, weight decay, weight of defects and dropout. On a CPU with one thread, or on the GPU
if there is one. Rates are medians over the rounds, in which both ways take turns; building and validation are left out.
*Calls* are operations that PyTorch is asked for in an iteration of a network, views left out: with small networks a GPU
waits for these. They are counted with the optimiser as it is on a GPU, which updates all tensors in one call.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from networks.grouped import Stack, train_group
from networks.space import (
    DEFECT_WEIGHTS,
    DROPOUTS,
    LEARNING_RATES,
    MOMENTA,
    WEIGHT_DECAYS,
    Convolution,
    FullyConnected,
    NetworkSpec,
    Pool,
    Training,
    one_of,
    sample,
)
from networks.train import Learner, TileTensors, Trained, default_device, draw, tiles_on_device, train

DRAWS = 30
LENET = NetworkSpec(
    (
        Convolution(8, 5, 5, 1, 1, "zeros", "relu", "none", 0.0, skip=False),
        Pool("max", 2, 2),
        Convolution(16, 5, 5, 1, 1, "zeros", "relu", "none", 0.0, skip=False),
        Pool("max", 2, 2),
        FullyConnected(32, "relu", 0.0),
    ),
    Training("adamw", 0.005, 1e-4, 0.9, 8, "cross_entropy", 2.0, 1.0),
)


def varied(spec: NetworkSpec, rng: np.random.Generator) -> NetworkSpec:
    """A network of the same shape with other values."""
    training = replace(
        spec.training,
        learning_rate=one_of(rng, LEARNING_RATES[8:18]),
        momentum=one_of(rng, MOMENTA),
        weight_decay=one_of(rng, WEIGHT_DECAYS),
        defect_weight=one_of(rng, DEFECT_WEIGHTS),
    )
    layers = [
        replace(layer, dropout=one_of(rng, DROPOUTS)) if isinstance(layer, Convolution | FullyConnected) else layer
        for layer in spec.layers
    ]
    return NetworkSpec(tuple(layers), training)


def rate(trained: Sequence[Trained]) -> float:
    """Iterations of a network per second of training."""
    return sum(one.iterations for one in trained) / sum(one.seconds for one in trained)


class Calls(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the operations that do something; those of `foreach` count once."""

    count: int = 0

    def __torch_dispatch__(self, operation: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += not (operation.is_view or "empty" in str(operation) or "detach" in str(operation))
        return operation(*args, **(kwargs or {}))


def calls(specs: Sequence[NetworkSpec], data: TileTensors) -> float:
    """Operations in an iteration of each network of a group."""
    learners = [Learner(spec, data, 3, 0, ()) for spec in specs]
    for learner in learners:
        learner.optimiser.param_groups[0]["foreach"] = True
    stack = Stack(learners)
    stack.step(stack.losses())  # the first step makes the optimiser's state
    counted: Calls
    with Calls() as counted:  # type: ignore[no-untyped-call]
        stack.step(stack.losses())
    return counted.count / len(specs)


def seconds_per_draw(spec: NetworkSpec, data: TileTensors) -> float:
    """What drawing and augmenting a batch takes."""
    learner = Learner(spec, data, 1, 0, ())
    started = 0.0
    for number in range(DRAWS + 1):
        if number == 1:  # the first is slow
            started = time.perf_counter()
        float(draw([learner])[0].sum())  # waits for a GPU
    return (time.perf_counter() - started) / DRAWS


def main() -> None:
    """Measure both shapes in groups of each size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tiles", type=Path)
    parser.add_argument("--groups", default="1,2,4,8")
    parser.add_argument("--iterations", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    data = tiles_on_device(asked.tiles, default_device())
    for name, shape in (("LeNet-like", LENET), ("prior", sample(np.random.default_rng(4)))):
        print(f"{name}: {shape}; a batch is drawn in {1e3 * seconds_per_draw(shape, data):.1f} ms")
        print(f"{'networks':>8s} {'alone, /s':>10s} {'grouped, /s':>11s} {'ratio':>6s} {'calls':>6s}")
        for size in map(int, asked.groups.split(",")):
            rng = np.random.default_rng(size)
            specs, seeds = [varied(shape, rng) for _ in range(size)], range(size)
            train_group(specs, data, 2, 600.0, seeds)  # the first use of a shape is slow
            rates = []
            for _ in range(asked.rounds):
                each = [
                    train(spec, data, asked.iterations, 600.0, seed) for spec, seed in zip(specs, seeds, strict=True)
                ]
                rates.append((rate(each), rate(train_group(specs, data, asked.iterations, 600.0, seeds))))
            alone, grouped = np.median(rates, axis=0)
            ratio = np.median([second / first for first, second in rates])
            print(f"{size:8d} {alone:10.1f} {grouped:11.1f} {ratio:6.2f} {calls(specs, data):6.0f}", flush=True)


if __name__ == "__main__":
    main()
