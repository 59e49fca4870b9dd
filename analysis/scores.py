"""What was found against what is there."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from data_prep.labels import IGNORE, LabelledFrame
from data_prep.objects import LABEL_RADIUS, Objects, paint

if TYPE_CHECKING:
    import h5py

MATCH_RADIUS = 0.55  # in lattice periods: about half the distance between columns of one kind
BORDER = 1.0  # in lattice periods: what is nearer to the frame's edge is not scored
BLOCK = 5.0  # in lattice periods: how wide the places are that scores are kept by
MISSED, FALSE_ALARM = "missed", "false alarm"  # what stands for the class of an object that has no partner


@dataclass(frozen=True)
class Matching:
    """Which objects were matched one to one.

    `found` and `counted_found` (n,): rightly found, and scored at all; `known` and
    `counted_known` (m,): the same for the objects of the truth; `pairs` (p, 2): numbers of a found
    and a known object that were matched.
    """

    found: NDArray[np.bool_]
    counted_found: NDArray[np.bool_]
    known: NDArray[np.bool_]
    counted_known: NDArray[np.bool_]
    pairs: NDArray[np.int64]

    @property
    def counts(self) -> tuple[int, int, int]:
        """True positives, false positives, false negatives."""
        right = int((self.known & self.counted_known).sum())
        wrong = int((~self.found & self.counted_found).sum())
        return right, wrong, int((~self.known & self.counted_known).sum())


def match(found: Objects, truth: LabelledFrame, period_px: float) -> Matching:
    """Match found objects with those of the truth, one to one, as many as possible.

    Two match if their centres are within `MATCH_RADIUS` periods, or the found centre lies inside
    an extended object of the truth. Further finds inside a matched extended object are not held
    against the finder; finds on unlabelled pixels and near the edge are not scored.
    """
    known = truth.objects
    distance = cdist(found.positions.reshape(-1, 2), known.positions.reshape(-1, 2))
    inside = _at(found.positions, known.regions)  # number of the extended object there, or 0
    held = np.flatnonzero(inside)
    # Of several finds in a hole, a hole is rather it than a column at its rim.
    distance[held, inside[held] - 1] = np.where(found.extended()[held], 0.0, 1e-3)
    radius = MATCH_RADIUS * period_px
    # Any pair within reach is worth more than all distances together: most matches, then nearest.
    rows, columns = linear_sum_assignment(np.where(distance <= radius, distance - 1e6, 0.0))
    paired = distance[rows, columns] <= radius
    pairs = np.stack([rows[paired], columns[paired]], axis=1)
    found_right, known_right = np.zeros(len(found), bool), np.zeros(len(known), bool)
    found_right[rows[paired]] = True
    known_right[columns[paired]] = True
    again = held[known_right[inside[held] - 1] & ~found_right[held]]
    counted = _scored(found.positions, truth, period_px)
    counted[again] = False
    return Matching(found_right, counted, known_right, _scored(known.positions, truth, period_px), pairs)


def _scored(positions: NDArray[np.float64], truth: LabelledFrame, period_px: float) -> NDArray[np.bool_]:
    border = BORDER * period_px
    last = np.array(truth.class_map.shape) - 1
    central = ((positions >= border) & (positions <= last - border)).all(axis=1)
    return np.asarray(central & (_at(positions, truth.class_map) != IGNORE), bool)


def _at(positions: NDArray[np.float64], image: NDArray[Any]) -> NDArray[Any]:
    """What an image (y, x) has at positions (n, 2)."""
    at = np.clip(np.round(positions.reshape(-1, 2)).astype(int), 0, np.array(image.shape) - 1)
    return np.asarray(image[at[:, 0], at[:, 1]])


def precision_recall_f1(counts: tuple[int, int, int]) -> tuple[float, float, float]:
    """From true positives, false positives and false negatives; 0 where nothing was found or is there."""
    right, wrong, missed = counts
    precision, recall = right / max(right + wrong, 1), right / max(right + missed, 1)
    return precision, recall, 2 * right / max(2 * right + wrong + missed, 1)


def matching_f1(matching: Matching) -> float:
    """F1 of a matching."""
    return precision_recall_f1(matching.counts)[2]


def overall_f1(matchings: Iterable[Matching]) -> float:
    """F1 over several frames: of all their objects together."""
    right, wrong, missed = np.sum([matching.counts for matching in matchings], axis=0).tolist()
    return precision_recall_f1((right, wrong, missed))[2]


@dataclass(frozen=True, eq=False)
class Score:
    """How a method did on a frame, or on all frames of a movie together, place by place.

    The frame is cut into blocks, about `BLOCK` periods wide. `objects` (block, 3): true positives, false positives
    and false negatives in each; `pixels` (block, 4): labelled pixels that are true positives, false positives, false
    negatives and true negatives, where those of a defect are the positive ones. `errors_px` (p,): distance between
    the centres of matched point objects, `error_blocks` (p,) the blocks these are in. `confusion`: how many objects
    there are of a true class, the first of a key, that were found as another, the second; empty for a method that
    knows no classes. `radius_px`: the farthest that two centres can be apart and match.
    """

    objects: NDArray[np.int64]
    pixels: NDArray[np.int64]
    errors_px: NDArray[np.float64]
    error_blocks: NDArray[np.int64]
    confusion: Counter[tuple[str, str]]
    radius_px: float

    @property
    def counts(self) -> tuple[int, int, int]:
        """True positives, false positives, false negatives."""
        right, wrong, missed = self.objects.sum(axis=0).tolist()
        return right, wrong, missed

    @property
    def position_error_px(self) -> float:
        """Mean distance of matched centres; NaN where none were matched."""
        return float(self.errors_px.mean()) if len(self.errors_px) else float("nan")

    @property
    def pixel_accuracy(self) -> float:
        """Share of labelled pixels on which found and true defect maps (objects painted alike) agree."""
        return float(self.pixels[:, [0, 3]].sum() / self.pixels.sum())

    @property
    def iou(self) -> float:
        """Pixels of defects both found and true, of those that are either; NaN where there are none."""
        either = self.pixels[:, :3].sum()
        return float(self.pixels[:, 0].sum() / either) if either else float("nan")


def score(found: Objects, truth: LabelledFrame, period_px: float, classes: Sequence[str] | None = None) -> Score:
    """Score found objects against the truth of their frame, of which a pixel at least is labelled.

    `classes` (n,) names the class of each found object, None if the method knows none.
    """
    matching = match(found, truth, period_px)
    blocks = _blocks(truth.class_map.shape, period_px)
    at_found, at_known = (_at(objects.positions, blocks) for objects in (found, truth.objects))
    here = [
        at_known[matching.known & matching.counted_known],
        at_found[~matching.found & matching.counted_found],
        at_known[~matching.known & matching.counted_known],
    ]
    count = int(blocks[-1, -1]) + 1
    painted = paint(found, LABEL_RADIUS * period_px) > 0
    kind = np.where(truth.class_map > 0, 2 * ~painted, 3 - 2 * painted)  # as in `Score.pixels`
    pixels = np.bincount((4 * blocks + kind)[truth.labelled], minlength=4 * count).reshape(count, 4)
    points = matching.pairs[matching.counted_known[matching.pairs[:, 1]]]
    points = points[~found.extended()[points[:, 0]] & ~truth.objects.extended()[points[:, 1]]]
    apart = found.positions[points[:, 0]] - truth.objects.positions[points[:, 1]]
    return Score(
        np.stack([np.bincount(places, minlength=count) for places in here], axis=1),
        pixels,
        np.linalg.norm(apart, axis=1),
        at_known[points[:, 1]],
        Counter() if classes is None else _confusion(matching, truth, classes),
        MATCH_RADIUS * period_px,
    )


def _blocks(shape: tuple[int, ...], period_px: float) -> NDArray[np.int64]:
    """Number of the block of each pixel (y, x)."""
    down, across = (max(round(side / (BLOCK * period_px)), 1) for side in shape)
    rows, columns = np.arange(shape[0]) * down // shape[0], np.arange(shape[1]) * across // shape[1]
    return np.asarray(rows[:, None] * across + columns)


def _confusion(matching: Matching, truth: LabelledFrame, classes: Sequence[str]) -> Counter[tuple[str, str]]:
    known = [truth.class_names[kind - 1] for kind in truth.kinds]
    pairs = Counter((known[k], classes[f]) for f, k in matching.pairs.tolist() if matching.counted_known[k])
    pairs.update((known[k], MISSED) for k in np.flatnonzero(matching.counted_known & ~matching.known).tolist())
    pairs.update((FALSE_ALARM, classes[f]) for f in np.flatnonzero(matching.counted_found & ~matching.found).tolist())
    return pairs


def total(scores: Sequence[Score]) -> Score:
    """The score of several frames of one movie, whose blocks are the same places."""
    return Score(
        np.sum([one.objects for one in scores], axis=0),
        np.sum([one.pixels for one in scores], axis=0),
        np.concatenate([one.errors_px for one in scores]),
        np.concatenate([one.error_blocks for one in scores]),
        sum((one.confusion for one in scores), Counter()),
        scores[0].radius_px,
    )


ARRAYS = ("objects", "pixels", "errors_px", "error_blocks")


def store_score(one: Score, group: h5py.Group) -> None:
    """Write a score into a group of its own."""
    for name in ARRAYS:
        group[name] = getattr(one, name)
    confusion = [[*classes, count] for classes, count in one.confusion.items()]
    group.attrs.update(confusion=json.dumps(confusion), radius_px=one.radius_px)


def load_score(group: h5py.Group) -> Score:
    """Read what `store_score` wrote."""
    confusion = Counter({(true, found): count for true, found, count in json.loads(group.attrs["confusion"])})
    arrays = {name: group[name][:] for name in ARRAYS}
    return Score(**arrays, confusion=confusion, radius_px=float(group.attrs["radius_px"]))
