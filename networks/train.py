"""Train one network on a tile set and measure it on the validation tiles."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from data_prep.labels import HOLE, IGNORE
from data_prep.tiles import TileSet, load_tiles
from networks.augment import Holes, Noise, augment, paint_holes
from networks.build import PixelNetwork, build
from networks.inherit import inherit
from networks.loss import loss
from networks.metrics import class_scores, pixel_scores
from networks.optimiser import optimiser_for, schedule_for
from networks.space import NetworkSpec

HOLE_WEIGHT = 0.2
VALIDATION_BATCH = 16
CHECK_EVERY = 10  # iterations
GPUS = ("cuda", "xpu")  # torch calls AMD's "cuda" as well


@dataclass(frozen=True)
class TileTensors:
    """A tile set on a training device."""

    train: Tensor
    train_labels: Tensor
    validation: Tensor
    validation_labels: Tensor
    tiles: TileSet

    @property
    def classes(self) -> int:
        """Number of classes, background included."""
        return len(self.tiles.class_names) + 1

    @property
    def hole(self) -> int:
        """Number of the class of holes, -1 where there is none."""
        names = self.tiles.class_names
        return names.index(HOLE) + 1 if HOLE in names else -1

    def class_weights(self, of_defects: float) -> Tensor:
        """Weight (class,) of each class in the loss. In sets of plain images all weigh the same."""
        weight = torch.ones(self.classes, device=self.train.device)
        if not self.tiles.per_tile:
            weight[1:] = of_defects
            # Painted holes are large and easy: at full weight they would drown the single columns.
            weight[self.hole] = HOLE_WEIGHT
        return weight


@dataclass(frozen=True)
class Trained:
    """A network after training.

    `diverged` says why it is of no use, `stopped` why it is not trained in full, "" if it is;
    `inherited` is the share of its first weights that were another's, `on_the_way` the scores at checks.
    """

    model: PixelNetwork
    iterations: int
    seconds: float
    scores: dict[str, float] = field(default_factory=dict)
    diverged: str = ""
    stopped: str = ""
    inference_s_per_megapixel: float = 0.0
    inherited: float = 0.0
    on_the_way: dict[int, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Checks:
    """The least `score`, by its name, that a network must have after some iterations for training to go on."""

    score: str
    least: Mapping[int, float]


def default_device() -> torch.device:
    """The GPU this worker was given, NVIDIA's, AMD's or Intel's, or the CPU."""
    found = torch.accelerator.current_accelerator(check_available=True)
    return found if found is not None and found.type in GPUS else torch.device("cpu")


@lru_cache(maxsize=2)
def tiles_on_device(path: Path, device: torch.device) -> TileTensors:
    """A tile set on a device; a worker's later evaluations find it there."""
    tiles = load_tiles(path)
    return TileTensors(
        torch.from_numpy(tiles.train)[:, None].to(device),
        torch.from_numpy(tiles.train_labels).to(device),
        torch.from_numpy(tiles.validation)[:, None].to(device),
        torch.from_numpy(tiles.validation_labels).to(device),
        tiles,
    )


def train(
    spec: NetworkSpec,
    data: TileTensors,
    iterations: int,
    seconds: float,
    seed: int,
    parents: Sequence[Path] = (),
    checks: Checks | None = None,
) -> Trained:
    """Train a network for `iterations` iterations, or until `seconds` have passed.

    It begins with the weights of one of `parents`, see `networks.inherit`, where layers agree, else with fresh ones.
    It ends at the first of the `checks` that the network does not meet.
    The learning rate follows one cycle (Smith and Topin, arXiv:1708.07120), a cosine (Loshchilov and Hutter,
    ICLR 2017) or is constant. The same seed on the same CPU with one thread gives the same network, bit for bit.
    """
    learner = Learner(spec, data, iterations, seed, parents)
    started = time.perf_counter()
    done = 0
    stopped, on_the_way = "", dict[int, float]()
    for done in range(1, iterations + 1):
        value = learner.loss()
        if looks_at_loss(done, iterations) and not math.isfinite(value.item()):
            return learner.diverged(done, time.perf_counter() - started)
        learner.optimiser.zero_grad(set_to_none=True)
        learner.scaler.scale(value).backward()  # type: ignore[no-untyped-call]
        learner.step()
        if checks is not None and done in checks.least:
            on_the_way[done] = _scores(class_probability(learner.model, data.validation), data)[checks.score]
            learner.model.train()
            if on_the_way[done] < checks.least[done]:
                stopped = (
                    f"{checks.score} {on_the_way[done]:.3f} after {done} iterations, wanted {checks.least[done]:.3f}"
                )
                break
        if time.perf_counter() - started > seconds:
            stopped = time_cap(done)
            break
    return learner.finished(done, time.perf_counter() - started, stopped, on_the_way)


class Learner:
    """A network in training, with all that is its own: its random numbers, optimiser and learning rate."""

    def __init__(
        self, spec: NetworkSpec, data: TileTensors, iterations: int, seed: int, parents: Sequence[Path]
    ) -> None:
        device = data.train.device
        torch.manual_seed(seed)
        self.data, self.training = data, spec.training
        self.model = build(spec, data.classes, per_tile=data.tiles.per_tile).to(device)
        self.inherited = inherit(self.model, spec, parents)
        self.generator = torch.Generator(device=device).manual_seed(seed)
        self.optimiser = optimiser_for(self.model, spec.training)
        self.schedule = schedule_for(self.optimiser, spec.training.schedule, iterations)
        self.scaler = torch.amp.GradScaler(device.type, enabled=device.type == "cuda")
        self.weight = data.class_weights(spec.training.defect_weight)
        self.model.train()

    def loss(self) -> Tensor:
        """The loss on a batch."""
        images, labels = draw([self])
        with half_precision(images.device):
            logits = self.model(images.contiguous(memory_format=torch.channels_last))
        return loss(logits.float(), labels, self.training.loss, self.weight, self.data.hole)

    def step(self) -> None:
        """One step down the gradients."""
        self.scaler.step(self.optimiser)
        self.scaler.update()
        self.schedule.step()

    def diverged(self, done: int, seconds: float) -> Trained:
        """The end of a network whose loss is no number after `done` iterations."""
        return Trained(self.model, done, seconds, {}, f"loss not finite at iteration {done}")

    def finished(self, done: int, seconds: float, stopped: str, on_the_way: dict[int, float]) -> Trained:
        """Measure the network after `done` iterations, which took `seconds`."""
        started = time.perf_counter()
        probability = class_probability(self.model, self.data.validation)
        inference = (time.perf_counter() - started) / self.data.validation.numel() * 1e6
        if not np.isfinite(probability).all():
            return Trained(self.model, done, seconds, {}, "outputs not finite after training")
        scores = _scores(probability, self.data)
        return Trained(self.model, done, seconds, scores, "", stopped, inference, self.inherited, on_the_way)


def draw(learners: Sequence[Learner]) -> tuple[Tensor, Tensor]:
    """Images (image, 1, y, x) and labels (image, y, x) or (image,) of random training tiles, augmented.

    A batch for each network, one after the other; what its layers drop is drawn with it. All is drawn from the
    network's own random numbers, so that it gets the same in any company; the networks share data and batch size.
    """
    data, training = learners[0].data, learners[0].training
    generators = [learner.generator for learner in learners]
    among, size = len(data.train), (training.batch_size,)
    chosen = torch.cat([torch.randint(among, size, generator=one, device=one.device) for one in generators])
    images, labels, noise = data.train[chosen], data.train_labels[chosen], Noise(*generators)
    strength, dark_level = training.augmentation, data.tiles.dark_level
    if data.tiles.per_tile:
        nowhere = torch.zeros_like(images[:, 0], dtype=torch.uint8)
        images = augment(images, nowhere, strength, dark_level, noise)[0]
    else:
        holes = Holes(dark_level, data.tiles.period_px, data.hole)
        images, labels = augment(*paint_holes(images, labels, holes, noise), strength, dark_level, noise)
    for learner in learners:
        for dropout in learner.model.dropouts():
            dropout.draw(learner.generator)
    return images, labels.long()


def half_precision(device: torch.device) -> torch.autocast:
    """What a forward pass runs in: half precision where it is fast, on GPUs."""
    return torch.autocast(device.type, enabled=device.type == "cuda")


def looks_at_loss(done: int, iterations: int) -> bool:
    """Whether to see if the loss is finite: it makes a GPU wait for the CPU, so not every time."""
    return done % CHECK_EVERY == 0 or done == iterations


def time_cap(done: int) -> str:
    """Why a network is not trained in full that ran out of time."""
    return f"time cap after {done} iterations"


def _scores(probability: NDArray[np.float32], data: TileTensors) -> dict[str, float]:
    """Scores of class probabilities of the validation tiles: of classes, or of defects against the rest."""
    labels = data.validation_labels.cpu().numpy()
    if data.tiles.per_tile:
        return class_scores(probability.argmax(axis=1), labels.astype(np.int64), data.classes)
    known = labels != IGNORE
    return pixel_scores((1 - probability[:, 0])[known], labels[known] > 0)


@torch.inference_mode()
def class_probability(model: PixelNetwork, images: Tensor) -> NDArray[np.float32]:
    """Probabilities (image, class, y, x), or (image, class) per tile, for images (image, 1, y, x)."""
    model.eval()
    parts = [
        torch.softmax(model(batch.contiguous(memory_format=torch.channels_last)).float(), 1)
        for batch in torch.split(images, VALIDATION_BATCH)
    ]
    return np.asarray(torch.cat(parts).cpu().numpy(), np.float32)
