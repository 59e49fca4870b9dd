"""Augmentation on the training device: what differs between frames, done to the tiles."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from data_prep.labels import IGNORE

SCALE = 0.06
CONTRAST = 0.2
OFFSET = 0.25
NOISE = 0.5
BLUR = 0.5  # share of tiles that are blurred, at full strength


# Holes are painted into this share of the tiles, as up to three disks, radii in lattice periods.
HOLE_SHARE, HOLE_DISKS, HOLE_RADII = 0.15, 3, (1.0, 4.0)
VACUUM_BELOW, VACUUM_NOISE = 1.0, 0.3  # how far vacuum lies below the darkest pixels, how noisy it is


@dataclass(frozen=True)
class Holes:
    """What a hole looks like: the `level` of the darkest pixels, the lattice period, its class."""

    level: float
    period_px: float
    kind: int


def paint_holes(images: Tensor, labels: Tensor, holes: Holes, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Take the crystal away from parts of some tiles, and label them as holes.

    A hole that grows later in a movie is in no labelled frame, and what a network makes of a
    flat dark patch that it never saw is chance. But vacuum is known: dark, flat, with a little noise.
    `images` (batch, 1, y, x), `labels` (batch, y, x) uint8; the same shapes come back.
    """
    batch, _, height, width = images.shape
    device = images.device

    def uniform(*shape: int, low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(shape, generator=generator, device=device)

    chosen = uniform(batch, 1, 1, low=0, high=1) < HOLE_SHARE
    shortest, longest = (radius * holes.period_px for radius in HOLE_RADII)
    radius = uniform(batch, HOLE_DISKS, 1, 1, low=shortest, high=longest)
    # One disk anywhere; the others overlap it, so that holes are of many shapes.
    centre = uniform(batch, 1, 2, low=0, high=1) * torch.tensor([height, width], device=device)
    centre = centre + uniform(batch, HOLE_DISKS, 2, low=-1, high=1) * radius[:, :1, :, 0]
    y = torch.arange(height, device=device).view(1, 1, -1, 1) - centre[..., 0].view(batch, -1, 1, 1)
    x = torch.arange(width, device=device).view(1, 1, 1, -1) - centre[..., 1].view(batch, -1, 1, 1)
    inside = (y**2 + x**2 < radius**2).any(1) & chosen
    # The probe blurs the rim.
    share = functional.avg_pool2d(inside[:, None].float(), 3, 1, 1, count_include_pad=False)
    level = holes.level - uniform(batch, 1, 1, 1, low=0, high=VACUUM_BELOW)
    noise = uniform(batch, 1, 1, 1, low=0, high=VACUUM_NOISE)
    vacuum = level + noise * torch.randn(images.shape, generator=generator, device=device)
    painted = torch.where(inside, torch.full_like(labels, holes.kind), labels)
    return torch.lerp(images, vacuum, share), painted


def augment(images: Tensor, labels: Tensor, strength: float, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Turn, mirror and scale tiles with their labels, and change contrast, sharpness and noise.

    `images` (batch, 1, y, x), `labels` (batch, y, x) uint8; the same shapes come back. Turns and
    mirror images are always drawn from all there are; `strength` scales the rest. Labels of what
    comes in from outside a tile are `IGNORE`.
    """
    batch, device = images.shape[0], images.device

    def uniform(low: float, high: float) -> Tensor:
        drawn = torch.rand(batch, generator=generator, device=device)
        return low + (high - low) * drawn

    angle = uniform(0, 2 * math.pi)
    scale = 1 + strength * uniform(-SCALE, SCALE)
    mirror = torch.where(uniform(0, 1) < 0.5, -1.0, 1.0)
    turn = torch.stack(
        [
            torch.stack([scale * angle.cos(), -scale * angle.sin() * mirror, torch.zeros_like(angle)], 1),
            torch.stack([scale * angle.sin(), scale * angle.cos() * mirror, torch.zeros_like(angle)], 1),
        ],
        1,
    )
    grid = functional.affine_grid(turn, list(images.shape), align_corners=False)
    moved = functional.grid_sample(images, grid, mode="bicubic", padding_mode="reflection", align_corners=False)
    # Class 0 would come in from outside: shift by one, so that 0 means outside.
    shifted = functional.grid_sample(
        labels[:, None].float() + 1, grid, mode="nearest", padding_mode="zeros", align_corners=False
    )[:, 0]
    moved_labels = torch.where(shifted < 0.5, torch.full_like(shifted, IGNORE), shifted - 1).to(torch.uint8)

    def per_tile(values: Tensor) -> Tensor:
        return values.view(-1, 1, 1, 1)

    blurred = functional.avg_pool2d(functional.pad(moved, (1, 1, 1, 1), mode="replicate"), 3, 1)
    share = per_tile(torch.where(uniform(0, 1) < BLUR, uniform(0, 0.5), torch.zeros(batch, device=device)))
    moved = torch.lerp(moved, blurred, share * min(strength, 1.0))
    moved = moved * per_tile(1 + strength * uniform(-CONTRAST, CONTRAST))
    moved = moved + per_tile(strength * uniform(-OFFSET, OFFSET))
    noise = torch.randn(moved.shape, generator=generator, device=device)
    return moved + per_tile(strength * uniform(0, NOISE)) * noise, moved_labels
