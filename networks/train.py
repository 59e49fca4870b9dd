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
from torch.nn import functional

from data_prep.labels import HOLE, IGNORE
from data_prep.tiles import TileSet, load_tiles
from networks.augment import Holes, augment, paint_holes
from networks.build import PixelNetwork, build
from networks.inherit import inherit
from networks.metrics import class_scores, pixel_scores
from networks.space import NetworkSpec, Training

SGD_FACTOR = 10.0
HOLE_WEIGHT = 0.2
FOCUS = 2.0  # the exponent of Lin et al., "Focal loss for dense object detection", ICCV 2017
VALIDATION_BATCH = 16
CHECK_EVERY = 10  # iterations
WARM_UP = 0.05  # share of the iterations in which the learning rate rises


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
    """The GPU this worker was given, or the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


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
    device = data.train.device
    torch.manual_seed(seed)
    model = build(spec, data.classes, per_tile=data.tiles.per_tile).to(device)
    inherited = inherit(model, spec, parents)
    generator = torch.Generator(device=device).manual_seed(seed)
    optimiser = _optimiser(model, spec.training)
    schedule = _schedule(optimiser, spec.training.schedule, iterations)
    scaler = torch.amp.GradScaler(device.type, enabled=device.type == "cuda")
    weight = data.class_weights(spec.training.defect_weight)
    started = time.perf_counter()
    done = 0
    stopped, on_the_way = "", dict[int, float]()
    model.train()
    for done in range(1, iterations + 1):
        images, labels = _batch(data, spec.training, generator)
        with torch.autocast(device.type, enabled=device.type == "cuda"):
            logits = model(images.contiguous(memory_format=torch.channels_last))
        value = _loss(logits.float(), labels.long(), spec.training.loss, weight, data.hole)
        # Looking at the loss makes a GPU wait for the CPU, so not every time.
        if (done % CHECK_EVERY == 0 or done == iterations) and not math.isfinite(value.item()):
            return Trained(model, done, time.perf_counter() - started, {}, f"loss not finite at iteration {done}")
        optimiser.zero_grad(set_to_none=True)
        scaler.scale(value).backward()  # type: ignore[no-untyped-call]
        scaler.step(optimiser)
        scaler.update()
        schedule.step()
        if checks is not None and done in checks.least:
            on_the_way[done] = _scores(class_probability(model, data.validation), data)[checks.score]
            model.train()
            if on_the_way[done] < checks.least[done]:
                stopped = (
                    f"{checks.score} {on_the_way[done]:.3f} after {done} iterations, wanted {checks.least[done]:.3f}"
                )
                break
        if time.perf_counter() - started > seconds:
            stopped = f"time cap after {done} iterations"
            break
    taken = time.perf_counter() - started
    started = time.perf_counter()
    probability = class_probability(model, data.validation)
    inference = (time.perf_counter() - started) / data.validation.numel() * 1e6
    if not np.isfinite(probability).all():
        return Trained(model, done, taken, {}, "outputs not finite after training")
    scores = _scores(probability, data)
    return Trained(model, done, taken, scores, "", stopped, inference, inherited, on_the_way)


def _batch(data: TileTensors, training: Training, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Images (batch, 1, y, x) and labels (batch, y, x) or (batch,) of random training tiles, augmented."""
    among = len(data.train)
    chosen = torch.randint(among, (training.batch_size,), generator=generator, device=data.train.device)
    images, labels = data.train[chosen], data.train_labels[chosen]
    strength, dark_level = training.augmentation, data.tiles.dark_level
    if data.tiles.per_tile:
        nowhere = torch.zeros_like(images[:, 0], dtype=torch.uint8)
        return augment(images, nowhere, strength, dark_level, generator)[0], labels
    holes = Holes(dark_level, data.tiles.period_px, data.hole)
    return augment(*paint_holes(images, labels, holes, generator), strength, dark_level, generator)


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


def _optimiser(model: PixelNetwork, training: Training) -> torch.optim.Optimizer:
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


def _schedule(optimiser: torch.optim.Optimizer, kind: str, iterations: int) -> torch.optim.lr_scheduler.LRScheduler:
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


def _loss(logits: Tensor, labels: Tensor, kind: str, weight: Tensor, hole: int) -> Tensor:
    """Loss of logits (batch, class, y, x) against labels (batch, y, x), unlabelled pixels left out."""
    known = labels != IGNORE
    target = labels.where(known, 0)
    each = functional.cross_entropy(logits, target, weight=weight, reduction="none") * known
    if kind == "focal":
        sure = torch.softmax(logits, 1).gather(1, target[:, None])[:, 0]
        return ((1 - sure) ** FOCUS * each).sum() / known.sum().clamp(min=1)
    # As torch's own mean, but 0 and not NaN for a batch in which nothing is labelled.
    entropy = each.sum() / (weight[target] * known).sum().clamp(min=1.0)
    if kind == "cross_entropy":
        return entropy
    # Soft Dice of defects other than holes (Milletari et al., "V-Net", 3DV 2016), beside the entropy.
    single = (known & (labels != hole)).float()
    defect = (1 - torch.softmax(logits, 1)[:, 0]) * single
    truth = (labels > 0).float() * single
    return entropy + 1 - (2 * (defect * truth).sum() + 1) / (defect.sum() + truth.sum() + 1)
