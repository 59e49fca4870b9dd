"""Augmentation on the training device: what differs between frames, done to the tiles."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
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


class Noise:
    """Random numbers for a batch: an equal part of the images from each generator, in their order.

    So the tiles of networks that are trained together are augmented at once, each with its own network's numbers.
    """

    def __init__(self, *generators: torch.Generator) -> None:
        self.generators = generators

    def uniform(self, shape: Sequence[int], low: float, high: float) -> Tensor:
        """Numbers (image, ...) between `low` and `high`."""
        numbers = self._empty(shape)
        for part, generator in self._parts(numbers):
            part.uniform_(low, high, generator=generator)
        return numbers

    def normal(self, shape: Sequence[int]) -> Tensor:
        """Numbers (image, ...) of mean 0 and deviation 1."""
        numbers = self._empty(shape)
        for part, generator in self._parts(numbers):
            part.normal_(generator=generator)
        return numbers

    def _empty(self, shape: Sequence[int]) -> Tensor:
        return torch.empty(*shape, device=self.generators[0].device)

    def _parts(self, numbers: Tensor) -> Iterator[tuple[Tensor, torch.Generator]]:
        return zip(numbers.chunk(len(self.generators)), self.generators, strict=True)


def paint_holes(images: Tensor, labels: Tensor, holes: Holes, noise: Noise) -> tuple[Tensor, Tensor]:
    """Take the crystal away from parts of some tiles, and label them as holes.

    A hole that grows later in a movie is in no labelled frame, and what a network makes of a
    flat dark patch that it never saw is chance. But vacuum is known: dark, flat, with a little noise.
    `images` (batch, 1, y, x), `labels` (batch, y, x) uint8; the same shapes come back.
    """
    batch, _, height, width = images.shape
    device = images.device

    chosen = noise.uniform((batch, 1, 1), 0, 1) < HOLE_SHARE
    shortest, longest = (radius * holes.period_px for radius in HOLE_RADII)
    radius = noise.uniform((batch, HOLE_DISKS, 1, 1), shortest, longest)
    # One disk anywhere; the others overlap it, so that holes are of many shapes.
    centre = noise.uniform((batch, 1, 2), 0, 1) * torch.tensor([height, width], device=device)
    centre = centre + noise.uniform((batch, HOLE_DISKS, 2), -1, 1) * radius[:, :1, :, 0]
    y = torch.arange(height, device=device).view(1, 1, -1, 1) - centre[..., 0].view(batch, -1, 1, 1)
    x = torch.arange(width, device=device).view(1, 1, 1, -1) - centre[..., 1].view(batch, -1, 1, 1)
    inside = (y**2 + x**2 < radius**2).any(1) & chosen
    # The probe blurs the rim.
    share = functional.avg_pool2d(inside[:, None].float(), 3, 1, 1, count_include_pad=False)
    level = holes.level - noise.uniform((batch, 1, 1, 1), 0, VACUUM_BELOW)
    vacuum = level + noise.uniform((batch, 1, 1, 1), 0, VACUUM_NOISE) * noise.normal(images.shape)
    painted = torch.where(inside, torch.full_like(labels, holes.kind), labels)
    return torch.lerp(images, vacuum, share), painted


def augment(images: Tensor, labels: Tensor, strength: float, dark_level: float, noise: Noise) -> tuple[Tensor, Tensor]:
    """Turn, mirror, scale and distort tiles with their labels; change their sharpness, noise and contrast.

    `images` (batch, 1, y, x), levelled, `labels` (batch, y, x) uint8; the same shapes come back. Turns
    and mirror images are always drawn from all there are; `strength` scales the rest. Shot noise
    has a variance that grows with the brightness above `dark_level`. Labels of what comes in
    from outside a tile are `IGNORE`.
    """

    def uniform(low: float, high: float) -> Tensor:
        return noise.uniform((len(images), 1, 1, 1), low, high)

    jitter = strength * uniform(0, JITTER_PX) * _row_shifts(images, noise)
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
    moved = torch.addcmul(moved, variance.sqrt_(), noise.normal(moved.shape))
    gain, offset = 1 + strength * uniform(-CONTRAST, CONTRAST), strength * uniform(-OFFSET, OFFSET)
    return torch.addcmul(offset, moved, gain), moved_labels[:, 0].to(torch.uint8) + IGNORE


def _row_shifts(images: Tensor, noise: Noise) -> Tensor:
    """Random shifts (batch, 1, y, 1) of deviation 1, nearly the same for neighbouring rows."""
    batch, _, height, _ = images.shape
    kernel = _gaussian(torch.full((1, 1, 1, 1), JITTER_ROWS, device=images.device)).mT
    free = noise.normal((batch, 1, height + 2 * REACH, 1))
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
