"""Objects in a map: point defects at peaks, and extended ones (holes) as regions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import cKDTree

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
        flags = np.zeros(len(self), bool)
        present = np.unique(self.regions)
        flags[present[present > 0] - 1] = True
        return flags

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
    thickness = ndimage.distance_transform_edt(np.pad(above, 1))[1:-1, 1:-1]
    widest = ndimage.maximum(thickness, parts, np.arange(1, count + 1)) if count else np.zeros(0)
    thick = np.flatnonzero(np.asarray(widest) >= EXTENDED_RADIUS * period_px) + 1
    regions = np.zeros(count + 1, np.int32)
    regions[thick] = np.arange(1, len(thick) + 1)
    region_map = regions[parts]
    side = 2 * round(PEAK_DISTANCE * period_px) + 1
    peaks = (ndimage.maximum_filter(score, side) == score) & above & (region_map == 0)
    # Equal neighbours are one peak.
    peak_parts, peak_count = ndimage.label(peaks, np.ones((3, 3)))
    points = np.array(ndimage.center_of_mass(peaks, peak_parts, np.arange(1, peak_count + 1))).reshape(-1, 2)
    at = ndimage.maximum(score, peak_parts, np.arange(1, peak_count + 1)) if peak_count else []
    centres = np.array(ndimage.center_of_mass(above, parts, thick)).reshape(-1, 2)
    heights = ndimage.maximum(score, parts, thick) if len(thick) else []
    return Objects(
        np.concatenate([centres, points]).astype(float),
        np.concatenate([np.asarray(heights, float), np.asarray(at, float)]),
        region_map.astype(np.int32),
    )


def _fill_smaller_gaps(above: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Fill the gaps of a mask (y, x) that lie within one part and are smaller than that part."""
    parts, count = ndimage.label(above)
    gaps, gap_count = ndimage.label(ndimage.binary_fill_holes(above) & ~above)
    if gap_count == 0:
        return above
    part_area = np.bincount(parts.ravel(), minlength=count + 1)
    gap_area = np.bincount(gaps.ravel(), minlength=gap_count + 1)
    around = np.asarray(ndimage.maximum(ndimage.maximum_filter(parts, 3), gaps, np.arange(gap_count + 1)), int)
    smaller = gap_area < part_area[around]
    smaller[0] = False
    return np.asarray(above | smaller[gaps], bool)


def paint(objects: Objects, radius_px: float) -> NDArray[np.int32]:
    """Map (y, x) of objects: k + 1 on object k's region, or on its disk, else 0.

    Where disks meet, a pixel belongs to the nearer centre; regions lie over disks.
    """
    shape = objects.regions.shape
    painted = np.zeros(shape, np.int32)
    points = np.flatnonzero(~objects.extended())
    if len(points):
        reach = int(np.ceil(radius_px))
        offset = np.mgrid[-reach : reach + 1, -reach : reach + 1].reshape(2, -1).T
        pixels = (np.round(objects.positions[points])[:, None] + offset[None]).reshape(-1, 2).astype(int)
        pixels = np.unique(pixels[((pixels >= 0) & (pixels < shape)).all(axis=1)], axis=0)
        distance, nearest = cKDTree(objects.positions[points]).query(pixels, distance_upper_bound=radius_px + 1e-9)
        near = np.asarray(np.isfinite(distance))
        painted[tuple(pixels[near].T)] = points[np.asarray(nearest)[near]] + 1
    return np.where(objects.regions > 0, objects.regions, painted).astype(np.int32)


def region_around(positions: NDArray[np.float64], radius_px: float, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """The solid region (y, x) that columns at positions (n, 2) fill: disks, gaps closed."""
    disks = paint(Objects(positions, np.ones(len(positions)), np.zeros(shape, np.int32)), radius_px) > 0
    return np.asarray(ndimage.binary_fill_holes(disks), bool)
