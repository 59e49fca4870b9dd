"""Objects in a map: point defects at peaks, and extended ones (holes) as regions."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

# All in units of the lattice spacing (`period`), the distance of planes of the first Bragg ring.
LABEL_RADIUS = 0.35  # a labelled column is a disk that does not reach its neighbours' centres
PEAK_DISTANCE = 0.45  # two columns, also of different sublattices, are further apart
EXTENDED_RADIUS = 0.6  # a region this thick holds more than a chain of single columns


@dataclass(frozen=True)
class Objects:
    """Things found in or known of one frame.

    `positions` (n, 2) as (y, x) in px, `scores` (n,), `regions` (y, x): k + 1 where object k
    is extended, 0 elsewhere (also under point objects).
    """

    positions: NDArray[np.float64]
    scores: NDArray[np.float64]
    regions: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.positions)

    def extended(self) -> NDArray[np.bool_]:
        """Which of the objects (n,) have a region."""
        return self._extended.copy()

    @cached_property
    def _extended(self) -> NDArray[np.bool_]:
        return np.asarray(np.bincount(self.regions.ravel(), minlength=len(self) + 1)[1:] > 0)

    def keep(self, chosen: NDArray[np.bool_]) -> Objects:
        """Only the objects with `chosen` (n,) true."""
        number = np.concatenate([[0], np.where(chosen, np.cumsum(chosen), 0)])
        return Objects(self.positions[chosen], self.scores[chosen], number[self.regions].astype(np.int32))


def find_objects(score: NDArray[np.floating], threshold: float, period_px: float) -> Objects:
    """Objects of a score map (y, x) above a threshold.

    A point object is a local maximum with no higher one within `PEAK_DISTANCE` periods. Where the
    map lies above the threshold over a region thicker than `EXTENDED_RADIUS` periods on each side
    of its middle, the region is one object, at its centre of mass; a gap that it encloses and that
    is smaller than itself is part of it (the middle of a hole is as flat as a perfect crystal's mean).
    """
    above = _fill_smaller_gaps(score > threshold)
    parts, count = ndimage.label(above)
    thick = _thick_parts(above, parts, count, EXTENDED_RADIUS * period_px)
    number = np.zeros(count + 1, np.int32)
    number[thick] = np.arange(1, len(thick) + 1)
    regions = number[parts]
    peaks = _peaks(score, above & (regions == 0), PEAK_DISTANCE * period_px)
    # Equal neighbours are one peak.
    peak_parts, peak_count = ndimage.label(peaks, np.ones((3, 3)))
    centres, heights = _centres(score, regions, len(thick))
    points, peak_heights = _centres(score, peak_parts, peak_count)
    return Objects(np.concatenate([centres, points]), np.concatenate([heights, peak_heights]), regions)


def disk_offsets(radius_px: float) -> NDArray[np.int64]:
    """Steps (n, 2) as (y, x) to all pixels within a radius."""
    reach = int(radius_px)
    steps = np.mgrid[-reach : reach + 1, -reach : reach + 1].reshape(2, -1).T
    return np.asarray(steps[(steps**2).sum(axis=1) <= radius_px**2])


def _peaks(score: NDArray[np.floating], where: NDArray[np.bool_], radius_px: float) -> NDArray[np.bool_]:
    """The pixels (y, x) of a mask than which none is higher within a radius, few as they are."""
    last = np.array(score.shape) - 1
    candidates = np.argwhere(where)
    # The nearest neighbours rule out most, so that few have to be compared with the whole disk.
    for steps in (disk_offsets(1.5), disk_offsets(radius_px)):
        around = np.clip(candidates[:, None] + steps, 0, last)
        highest = score[around[..., 0], around[..., 1]].max(axis=1, initial=-np.inf)
        candidates = candidates[score[tuple(candidates.T)] >= highest]
    peaks = np.zeros(score.shape, bool)
    peaks[tuple(candidates.T)] = True
    return peaks


def _thick_parts(
    above: NDArray[np.bool_], parts: NDArray[np.integer], count: int, radius_px: float
) -> NDArray[np.int64]:
    """Numbers of the parts that hold a disk of this radius."""
    size = np.bincount(parts[above], minlength=count + 1)
    boxes = ndimage.find_objects(parts)
    thick = []
    for number in np.flatnonzero(size >= 2 * radius_px**2):  # few are large enough to be looked at
        part = np.pad(parts[boxes[number - 1]] == number, 1)
        if np.max(ndimage.distance_transform_edt(part)) >= radius_px:
            thick.append(number)
    return np.array(thick, np.int64)


def _centres(
    score: NDArray[np.floating], parts: NDArray[np.integer], count: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean position (n, 2) and highest score (n,) of the parts 1 … n of a map (y, x)."""
    pixels = np.argwhere(parts)
    part = parts[parts > 0] - 1
    size = np.maximum(np.bincount(part, minlength=count), 1)
    centres = np.stack([np.bincount(part, pixels[:, k], count) / size for k in (0, 1)], axis=1)
    heights = np.full(count, -np.inf)
    np.maximum.at(heights, part, score[parts > 0])
    return centres, heights


def _fill_smaller_gaps(above: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Fill the gaps of a mask (y, x) that lie within one part and are smaller than that part."""
    gaps, gap_count = ndimage.label(ndimage.binary_fill_holes(above) & ~above)
    if gap_count == 0:
        return above
    parts, _ = ndimage.label(above)
    rim = (gaps > 0) & ndimage.binary_dilation(above)
    around = np.zeros(gap_count + 1, int)
    np.maximum.at(around, gaps[rim], ndimage.maximum_filter(parts, 3)[rim])
    smaller = np.bincount(gaps.ravel()) < np.bincount(parts.ravel())[around]
    smaller[0] = False
    return np.asarray(above | smaller[gaps], bool)


def paint(objects: Objects, radius_px: float) -> NDArray[np.int32]:
    """Map (y, x) of objects: k + 1 on object k's region, or on its disk, else 0.

    Where disks meet, a pixel belongs to the nearer centre; regions lie over disks.
    """
    shape = objects.regions.shape
    painted = np.zeros(shape, np.int32)
    points = np.flatnonzero(~objects.extended())
    centres = objects.positions[points]
    pixels = np.round(centres)[:, None].astype(int) + disk_offsets(radius_px + 1)
    distance = np.linalg.norm(pixels - centres[:, None], axis=2)
    near = (distance <= radius_px + 1e-9) & ((pixels >= 0) & (pixels < shape)).all(axis=2)
    # Of those that claim a pixel the last one has it: the nearest.
    order = np.argsort(-distance[near], kind="stable")
    owner = np.broadcast_to(points[:, None] + 1, near.shape)[near][order]
    painted[tuple(pixels[near][order].T)] = owner
    return np.where(objects.regions > 0, objects.regions, painted).astype(np.int32)


def region_around(positions: NDArray[np.float64], radius_px: float, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """The solid region (y, x) that columns at positions (n, 2) fill: disks, gaps closed."""
    disks = paint(Objects(positions, np.ones(len(positions)), np.zeros(shape, np.int32)), radius_px) > 0
    return np.asarray(ndimage.binary_fill_holes(disks), bool)
