"""A network in numbers, for models that predict how well it does."""

from __future__ import annotations

from collections import Counter

import numpy as np

from networks import space
from networks.reach import reach
from networks.repair import operations, weights
from networks.space import Convolution, FullyConnected, NetworkSpec, Pool, Upsample

# Features without an order: their number is the place in the table.
CHOICES = {
    "optimiser": space.OPTIMISERS,
    "schedule": space.SCHEDULES,
    "loss": space.LOSSES,
    "commonest activation": space.ACTIVATIONS,
}


def features(spec: NetworkSpec) -> dict[str, float]:
    """What tells networks apart, by name: the training genes, and counts, sums and means over the layers.

    Numbers that are chosen by factors are decimal logarithms.
    """
    training, layers = spec.training, spec.layers
    convolutions = [layer for layer in layers if isinstance(layer, Convolution)]
    active = [layer.activation for layer in layers if isinstance(layer, (Convolution, FullyConnected))]
    ups = [layer for layer in layers if isinstance(layer, Upsample)]
    widths = [layer.kernels for layer in convolutions]
    areas = [layer.kernel_height * layer.kernel_width for layer in convolutions]
    return {
        "learning rate": float(np.log10(training.learning_rate)),
        "weight decay": float(np.log10(training.weight_decay)),
        "momentum": training.momentum,
        "batch size": training.batch_size,
        "weight of defects": training.defect_weight,
        "augmentation": training.augmentation,
        "optimiser": CHOICES["optimiser"].index(training.optimiser),
        "schedule": CHOICES["schedule"].index(training.schedule),
        "loss": CHOICES["loss"].index(training.loss),
        "number of convolutions": len(convolutions),
        "number of pools": sum(isinstance(layer, Pool) for layer in layers),
        "number of fully connected layers": sum(isinstance(layer, FullyConnected) for layer in layers),
        "number of upsamplings": len(ups),
        "number of joins": sum(layer.join for layer in ups),
        "total stride": spec.stride,
        "reach in px": reach(spec),
        "multiply-adds per pixel": float(np.log10(sum(operations(layers)))),
        "number of weights": float(np.log10(sum(weights(layers)))),
        "kernels, first convolution": widths[0],
        "kernels, mean": float(np.mean(widths)),
        "kernels, last convolution": widths[-1],
        "kernel area, first convolution": areas[0],
        "kernel area, mean": float(np.mean(areas)),
        "dilation, mean": float(np.mean([layer.dilation for layer in convolutions])),
        "commonest activation": CHOICES["commonest activation"].index(Counter(active).most_common(1)[0][0]),
        "share of convolutions normalised": float(np.mean([c.normalisation == "batch" for c in convolutions])),
        "share of convolutions padded by replicas": float(np.mean([c.padding == "replicate" for c in convolutions])),
        "number of skip links": sum(c.skip for c in convolutions),
        "dropout, mean": float(np.mean([c.dropout for c in convolutions])),
    }
