"""A network in numbers, for models that predict how well it will do."""

from __future__ import annotations

import math

import numpy as np

from networks.reach import reach
from networks.repair import operations, weights
from networks.space import ACTIVATIONS, LOSSES, SCHEDULES, Convolution, FullyConnected, NetworkSpec, Pool


def features(spec: NetworkSpec) -> dict[str, float]:
    """What tells networks apart, by name: the training genes, and sums and means over the layers.

    Numbers that are chosen by factors are logarithms; choices are 1 for the one and 0 for the others.
    """
    training, layers = spec.training, spec.layers
    convolutions = [layer for layer in layers if isinstance(layer, Convolution)]
    found = {
        "learning rate (log)": math.log(training.learning_rate),
        "weight decay (log)": math.log(training.weight_decay),
        "momentum": training.momentum,
        "batch size": training.batch_size,
        "defect weight": training.defect_weight,
        "augmentation": training.augmentation,
        "optimiser sgd": training.optimiser == "sgd",
        **{f"schedule {name}": training.schedule == name for name in sorted(set(SCHEDULES))},
        **{f"loss {name}": training.loss == name for name in sorted(set(LOSSES))},
        "layers": len(layers),
        "convolutions": len(convolutions),
        "pools": sum(isinstance(layer, Pool) for layer in layers),
        "fully connected": sum(isinstance(layer, FullyConnected) for layer in layers),
        "stride": spec.stride,
        "reach": reach(spec),
        "operations (log)": math.log(sum(operations(layers))),
        "weights (log)": math.log(sum(weights(layers))),
        "kernels, first": convolutions[0].kernels,
        "kernels, mean": float(np.mean([layer.kernels for layer in convolutions])),
        "kernels, last": convolutions[-1].kernels,
        "window, first": convolutions[0].kernel_height * convolutions[0].kernel_width,
        "dilation, mean": float(np.mean([layer.dilation for layer in convolutions])),
        "dropout, mean": float(np.mean([layer.dropout for layer in convolutions])),
        "normalised": float(np.mean([layer.normalisation == "batch" for layer in convolutions])),
        "skip links": sum(layer.skip for layer in convolutions),
        "padding zeros": float(np.mean([layer.padding == "zeros" for layer in convolutions])),
    }
    for name in ACTIVATIONS:
        found[f"activation {name}"] = float(np.mean([layer.activation == name for layer in convolutions]))
    return {name: float(value) for name, value in found.items()}
