"""Train networks of one shape as one stacked model, so that small networks fill a large GPU.

Source: PyTorch's tutorial "Model ensembling" (`torch.func.stack_module_state`, `functional_call`, `vmap`).
"""

from __future__ import annotations

import copy
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.func import functional_call, stack_module_state, vmap

from networks.build import channels_last
from networks.hyperparameters import SHAPELESS
from networks.loss import loss
from networks.space import Convolution, FullyConnected, Layer, NetworkSpec
from networks.train import Learner, TileTensors, Trained, draw, half_precision, looks_at_loss, time_cap

State = dict[str, Tensor]


def common_part(spec: NetworkSpec) -> NetworkSpec:
    """What networks of a group have in common; values that change no tensor's shape are 0 in it.

    These are learning rate, momentum, weight decay, the weight of defects, and dropout.
    """
    zeros: dict[str, Any] = dict.fromkeys(SHAPELESS, 0.0)
    training = replace(spec.training, **zeros)
    return NetworkSpec(tuple(_without_dropout(layer) for layer in spec.layers), training)


def _without_dropout(layer: Layer) -> Layer:
    return replace(layer, dropout=0.0) if isinstance(layer, Convolution | FullyConnected) else layer


def alike(specs: Sequence[NetworkSpec]) -> bool:
    """Whether networks can be trained as a group."""
    return len({common_part(spec) for spec in specs}) == 1


def train_group(
    specs: Sequence[NetworkSpec],
    data: TileTensors,
    iterations: int,
    seconds: float,
    seeds: Sequence[int],
    parents: Sequence[Sequence[Path]] = (),
) -> list[Trained]:
    """Train networks together for `iterations` iterations, or until `seconds` have passed.

    Each becomes what `networks.train.train` makes of it with its seed and its parents, but for rounding. One that
    diverges leaves the group, which goes on. The time is shared: each network is said to have taken its part of it.
    Raises ValueError for networks that are not `alike`.
    """
    if not alike(specs):
        raise ValueError("networks of a group differ in more than rates, momentum, decay, weight of defects, dropout")
    everyone = [
        Learner(spec, data, iterations, seed, files)
        for spec, seed, files in zip(specs, seeds, parents or [()] * len(specs), strict=True)
    ]
    stack, stopped = Stack(everyone), ""
    ends: dict[Learner, Trained] = {}
    started = time.perf_counter()
    done = 0
    for done in range(1, iterations + 1):
        values = stack.losses()
        stack.step(values)
        if looks_at_loss(done, iterations) and not all(finite := values.isfinite().tolist()):
            taken = (time.perf_counter() - started) / len(everyone)
            lost = [learner for learner, good in zip(stack.learners, finite, strict=True) if not good]
            ends |= {learner: learner.diverged(done, taken) for learner in lost}
            if len(ends) == len(everyone):
                break
            stack = Stack([learner for learner in everyone if learner not in ends])
        if time.perf_counter() - started > seconds:
            stopped = time_cap(done)
            break
    taken = (time.perf_counter() - started) / len(everyone)
    for learner in everyone:
        channels_last(learner.model)
    return [ends.get(learner) or learner.finished(done, taken, stopped, {}) for learner in everyone]


class Stack:
    """Networks as one: their weights, statistics and noise are from now on rows of the stack's.

    So each network's own optimiser, which is PyTorch's, changes the stack, and its gradient scaler is its own too: a
    network whose gradients are too large for half precision makes no other skip a step. (With bfloat16 none would be
    needed, but older GPUs have none, and `train` uses half precision.)
    """

    def __init__(self, learners: Sequence[Learner]) -> None:
        self.learners = learners
        models = [learner.model for learner in learners]
        self.shape = copy.deepcopy(models[0]).to("meta")
        for dropout, *others in zip(*(model.dropouts() for model in (self.shape, *models)), strict=True):
            dropout.rate = max(other.rate for other in others)  # where no network has any, there is nothing to do
        self.parameters, self.buffers = stack_module_state(models)
        for name, stacked in {**self.parameters, **self.buffers}.items():
            for model, row in zip(models, stacked.detach(), strict=True):
                _tensor(model, name).data = row
        self.weights = torch.stack([learner.weight for learner in learners])

    def losses(self) -> Tensor:
        """The loss (network,) of each network on a batch of its own."""
        training, hole = self.learners[0].training, self.learners[0].data.hole

        def of_one(parameters: State, buffers: State, images: Tensor, labels: Tensor, weight: Tensor) -> Tensor:
            with half_precision(images.device):
                logits = functional_call(self.shape, (parameters, buffers), (images,))
            return loss(logits.float(), labels, training.loss, weight, hole)

        images, labels = (part.view(len(self.learners), -1, *part.shape[1:]) for part in draw(self.learners))
        values: Tensor = vmap(of_one)(self.parameters, self.buffers, images, labels, self.weights)
        return values

    def step(self, values: Tensor) -> None:
        """One step of each network down the gradients of its own loss."""
        scaled = [learner.scaler.scale(value) for learner, value in zip(self.learners, values, strict=True)]
        gradients = torch.autograd.grad(torch.stack(scaled).sum(), tuple(self.parameters.values()))
        for learner, rows in zip(self.learners, zip(*gradients, strict=True), strict=True):
            for parameter, row in zip(learner.model.parameters(), rows, strict=True):
                parameter.grad = row
            learner.step()


def _tensor(model: torch.nn.Module, name: str) -> Tensor:
    """A parameter or a buffer."""
    module, _, own = name.rpartition(".")
    value: Tensor = getattr(model.get_submodule(module), own)
    return value
