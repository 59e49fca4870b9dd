"""Outlines and points that were drawn over a frame."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from data_prep.errors import InputError
from data_prep.label_files.regions import objects_of_regions
from data_prep.labels import LabelledFrame
from data_prep.objects import LABEL_RADIUS, Objects, paint

Kind = Literal["points", "polygon", "ellipse"]


@dataclass(frozen=True)
class Outline:
    """Something drawn: `title` as the file calls it, `name` its class, `frame` None if it does not tell.

    `vertices` (n, 2) are (y, x) in px, the centre of the first pixel at 0, 0: of points their places,
    of a polygon its corners, of an ellipse the four corners of the box around it, in order.
    """

    title: str
    name: str
    frame: int | None
    kind: Kind
    vertices: NDArray[np.float64]

    def covers(self, shape: tuple[int, int]) -> NDArray[np.bool_]:
        """The pixels (y, x) whose centres lie inside."""
        from matplotlib.path import Path as Polygon

        inside = np.zeros(shape, bool)
        low = np.maximum(np.floor(self.vertices.min(axis=0)), 0).astype(int)
        high = np.minimum(np.ceil(self.vertices.max(axis=0)) + 1, shape).astype(int)
        box = (slice(low[0], high[0]), slice(low[1], high[1]))
        centres = np.argwhere(np.ones(inside[box].shape)) + low
        if self.kind == "polygon":
            within = Polygon(self.vertices).contains_points(centres)
        else:
            axes = np.stack([self.vertices[1] - self.vertices[0], self.vertices[3] - self.vertices[0]], axis=1) / 2
            if np.linalg.matrix_rank(axes) < 2:
                return inside  # as narrow as a line
            within = (np.linalg.solve(axes, (centres - self.vertices.mean(axis=0)).T) ** 2).sum(axis=0) <= 1
        inside[box] = within.reshape(inside[box].shape)
        return inside


@dataclass(frozen=True)
class Outlines:
    """All that was drawn in a file; of frames told by all of them or by none."""

    path: Path
    outlines: tuple[Outline, ...]

    @property
    def frames(self) -> frozenset[int] | None:
        """Frames that something is drawn in; None if there is no telling."""
        told = frozenset(outline.frame for outline in self.outlines if outline.frame is not None)
        return told or None

    @cached_property
    def counts(self) -> Counter[str]:
        """Points and outlines of each class."""
        counts: Counter[str] = Counter()
        for outline in self.outlines:
            counts[outline.name] += len(outline.vertices) if outline.kind == "points" else 1
        return counts

    def check(self, shape: tuple[int, int], frames: int) -> None:
        """Raise InputError if something lies outside its frame of `shape` (rows, columns), or beyond `frames`.

        An outline may reach over the edge, but its middle may not.
        """
        for outline in self.outlines:
            drawn = outline.vertices if outline.kind == "points" else outline.vertices.mean(axis=0, keepdims=True)
            outside = ((drawn < -0.5) | (drawn > np.array(shape) - 0.5)).any(axis=1)
            if outside.any():
                y, x = drawn[outside][0]
                raise InputError(
                    f"{self.path}: '{outline.title}' at y = {y:.1f}, x = {x:.1f} px lies outside a frame "
                    f"of {shape[0]} x {shape[1]} px (rows x columns); was it drawn on another image?"
                )
            if outline.kind != "points" and not outline.covers(shape).any():
                raise InputError(f"{self.path}: '{outline.title}' covers the centre of no pixel")
            if outline.frame is not None and outline.frame >= frames:
                raise InputError(
                    f"{self.path}: '{outline.title}' is drawn in frame {outline.frame}, the movie has {frames} frames"
                )

    def likely_defects(self, shape: tuple[int, int], period_px: float) -> tuple[str, ...]:  # noqa: ARG002
        """All classes."""
        return tuple(self.counts)

    def label(self, frame: int, defects: tuple[str, ...], shape: tuple[int, int], period_px: float) -> LabelledFrame:
        """Labels of one frame (y, x): outlines filled, a later one over an earlier, and points over all."""
        here = [o for o in self.outlines if o.name in defects and o.frame in {None, frame}]
        areas = [outline for outline in here if outline.kind != "points"]
        points = [outline for outline in here if outline.kind == "points"]
        parts = np.zeros(shape, np.int32)
        for number, outline in enumerate(areas, 1):
            parts[outline.covers(shape)] = number
        drawn = objects_of_regions(parts, len(areas), period_px)
        kinds = [defects.index(outline.name) + 1 for outline in areas]
        kinds += [defects.index(outline.name) + 1 for outline in points for _ in outline.vertices]
        places = np.concatenate([np.zeros((0, 2)), *(outline.vertices for outline in points)])
        painted = paint(Objects(places, np.ones(len(places)), np.zeros(shape, np.int32)), LABEL_RADIUS * period_px)
        number_map = np.where(painted > 0, painted + len(areas), parts)
        class_map = np.array([0, *kinds], np.uint8)[number_map]
        everything = Objects(np.concatenate([drawn.positions, places]), np.ones(len(kinds)), drawn.regions)
        seen = np.asarray(np.isfinite(everything.positions).all(axis=1))  # not wholly under a later outline
        return LabelledFrame(
            class_map, everything.keep(seen), np.array(kinds, np.int64)[seen], defects, f"outlines of {self.path.name}"
        )
