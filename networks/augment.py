"""Augmentation on the training device: what differs between frames, done to the tiles."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from data_prep.labels import IGNORE

TURN = 2 * math.pi  # tiles are turned by any angle, whatever the strength
# Full strength, each tile drawing its own share of it: sizes, then contrast and level in deviations of the image.
SCALE = 0.06
JITTER_PX = 0.5  # deviation of a row's place along x
JITTER_ROWS = 1.0  # over which it is alike
CONTRAST = 0.2
OFFSET = 0.25
NOISE = 0.5  # its deviation at the mean brightness
NOISE_FLOOR = 0.25  # its variance at the dark level beside that at the mean: 0.24 and 0.32 in two frames of WSe2
BLUR_SHARE, BLUR_PX = 0.5, 0.6  # how many tiles are blurred, by how wide a Gaussian
REACH = 2  # of Gaussians, in px

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


def augment(
    images: Tensor, labels: Tensor, strength: float, dark_level: float, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Turn, mirror, scale and distort tiles with their labels; change their sharpness, noise and contrast.

    `images` (batch, 1, y, x), levelled, `labels` (batch, y, x) uint8; the same shapes come back. Turns
    and mirror images are always drawn from all there are; `strength` scales the rest. Shot noise
    has a variance that grows with the brightness above `dark_level`. Labels of what comes in
    from outside a tile are `IGNORE`.
    """
    batch, device = images.shape[0], images.device

    def uniform(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand((batch, 1, 1, 1), generator=generator, device=device)

    jitter = strength * uniform(0, JITTER_PX) * _row_shifts(images, generator)
    scale = 1 + strength * uniform(-SCALE, SCALE)
    grid = _sources(uniform(0, TURN), uniform(0, 1) < 0.5, scale, jitter, images.shape[-1])
    moved = functional.grid_sample(images, grid, mode="bicubic", padding_mode="reflection", align_corners=False)
    # Bytes wrap around: so counted, IGNORE is the 0 that comes in from outside.
    raised = (labels - IGNORE)[:, None].float()
    moved_labels = functional.grid_sample(raised, grid, mode="nearest", padding_mode="zeros", align_corners=False)
    moved = _blur(moved, strength * uniform(0, BLUR_PX) * (uniform(0, 1) < BLUR_SHARE))
    # Straight in brightness: as asked at the mean, which is 0 in a levelled image, NOISE_FLOOR of it at `dark_level`.
    power = (strength * uniform(0, NOISE)) ** 2
    variance = (power + power * ((NOISE_FLOOR - 1) / dark_level) * moved).clamp_(min=0)
    noise = torch.randn(moved.shape, generator=generator, device=device)
    moved = torch.addcmul(moved, variance.sqrt_(), noise)
    gain, offset = 1 + strength * uniform(-CONTRAST, CONTRAST), strength * uniform(-OFFSET, OFFSET)
    return torch.addcmul(offset, moved, gain), moved_labels[:, 0].to(torch.uint8) + IGNORE


def _row_shifts(images: Tensor, generator: torch.Generator) -> Tensor:
    """Random shifts (batch, 1, y, 1) of deviation 1, nearly the same for neighbouring rows."""
    batch, _, height, _ = images.shape
    kernel = _gaussian(torch.full((1, 1, 1, 1), JITTER_ROWS, device=images.device)).mT
    free = torch.randn((batch, 1, height + 2 * REACH, 1), generator=generator, device=images.device)
    return functional.conv2d(free, kernel / kernel.norm())


def _sources(angle: Tensor, mirrored: Tensor, scale: Tensor, jitter: Tensor, width: int) -> Tensor:
    """Where the pixels of turned tiles come from, as `grid_sample` wants it: (batch, y, x, 2), x before y.

    `angle` (radians), `mirrored` and `scale` (batch, 1, 1, 1); `jitter` (batch, 1, y, 1) in px along x.
    """
    height = jitter.shape[2]
    y = torch.arange(height, device=jitter.device).view(-1, 1) - (height - 1) / 2
    x = torch.arange(width, device=jitter.device) - (width - 1) / 2 - jitter
    y = torch.where(mirrored, -y, y)
    sine, cosine = scale * angle.sin(), scale * angle.cos()
    across = torch.addcmul(-sine * y, cosine, x) * (2 / width)
    down = torch.addcmul(cosine * y, sine, x) * (2 / height)
    return torch.stack([across, down], -1)[:, 0]


def _blur(images: Tensor, sigma: Tensor) -> Tensor:
    """Blur each image (1, y, x) of a batch by a Gaussian of its own width in px; `sigma` (batch, 1, 1, 1)."""
    kernel = _gaussian(sigma)
    padded = functional.pad(images, (REACH,) * 4, mode="replicate")
    return functional.conv2d(padded.transpose(0, 1), kernel.mT * kernel, groups=len(images)).transpose(0, 1)


def _gaussian(sigma: Tensor) -> Tensor:
    """Gaussian kernels (batch, 1, 1, 2 `REACH` + 1) of sum 1; of width 0, they leave things as they are."""
    offset = torch.arange(-REACH, REACH + 1, device=sigma.device)
    kernel = torch.exp(-0.5 * (offset / sigma.clamp(min=0.01)) ** 2)
    return kernel / kernel.sum(-1, keepdim=True)
