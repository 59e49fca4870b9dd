"""What was found against what is there."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from data_prep.labels import IGNORE, LabelledFrame
from data_prep.objects import LABEL_RADIUS, Objects, paint

MATCH_RADIUS = 0.55  # in lattice periods: about half the distance between columns of one kind
BORDER = 1.0  # in lattice periods: what is nearer to the frame's edge is not scored


@dataclass(frozen=True)
class Matching:
    """Which objects were matched one to one.

    `found` and `counted_found` (n,): rightly found, and scored at all; `known` and
    `counted_known` (m,): the same for the objects of the truth.
    """

    found: NDArray[np.bool_]
    counted_found: NDArray[np.bool_]
    known: NDArray[np.bool_]
    counted_known: NDArray[np.bool_]

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
    shape = truth.class_map.shape
    known = truth.objects
    distance = cdist(found.positions.reshape(-1, 2), known.positions.reshape(-1, 2))
    at = np.clip(np.round(found.positions.reshape(-1, 2)).astype(int), 0, np.array(shape) - 1)
    inside = known.regions[at[:, 0], at[:, 1]]  # number of the extended object there, or 0
    held = np.flatnonzero(inside)
    distance[held, inside[held] - 1] = 0.0
    radius = MATCH_RADIUS * period_px
    # Any pair within reach is worth more than all distances together: most matches, then nearest.
    rows, columns = linear_sum_assignment(np.where(distance <= radius, distance - 1e6, 0.0))
    paired = distance[rows, columns] <= radius
    found_right, known_right = np.zeros(len(found), bool), np.zeros(len(known), bool)
    found_right[rows[paired]] = True
    known_right[columns[paired]] = True
    again = held[known_right[inside[held] - 1] & ~found_right[held]]
    counted = _scored(found.positions, truth, period_px)
    counted[again] = False
    return Matching(found_right, counted, known_right, _scored(known.positions, truth, period_px))


def _scored(positions: NDArray[np.float64], truth: LabelledFrame, period_px: float) -> NDArray[np.bool_]:
    shape = np.array(truth.class_map.shape)
    at = np.clip(np.round(positions.reshape(-1, 2)).astype(int), 0, shape - 1)
    border = BORDER * period_px
    central = ((positions >= border) & (positions <= shape - 1 - border)).all(axis=1)
    return np.asarray(central & (truth.class_map[at[:, 0], at[:, 1]] != IGNORE), bool)


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


def pixel_accuracy(found: Objects, truth: LabelledFrame, period_px: float) -> float:
    """Share of labelled pixels on which found and true defect maps (objects painted alike) agree."""
    painted = paint(found, LABEL_RADIUS * period_px) > 0
    known = truth.labelled
    return float((painted == (truth.class_map > 0))[known].mean())
