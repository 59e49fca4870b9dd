"""Augmentation on the training device: what differs between frames, done to the tiles."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from data_prep.labels import IGNORE

SCALE = 0.06
CONTRAST = 0.2
OFFSET = 0.25
NOISE = 0.5
BLUR = 0.5  # share of tiles that are blurred, at full strength


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
