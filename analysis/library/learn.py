"""Learn from a sample of all defects what groups of them there are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from numpy.typing import NDArray

from analysis.library.cutouts import ALONE_SIDE
from analysis.library.features import Features, fit_features, windowed
from analysis.library.grouping import FEWEST, Grouping, group, split_group
from analysis.library.names import Decisions, Signature, nearest
from analysis.library.places import EXTENDED, OFF_LATTICE, beside_hole, place_name, placed
from analysis.library.sample import Sample
from analysis.results import FrameResult

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
MOST_PICTURES = 2500  # of a place, from which its groups are learnt
MOST_REFERENCES = 1000


@dataclass(frozen=True)
class Groups:
    """The groups of one place: `features` turn pictures into points, which `grouping` groups.

    `votes` (k, c): how many of each group the labelled frames call each class; `classes` (k, 1 + c): the same of the
    network; `signatures` of the groups.
    """

    features: Features
    grouping: Grouping
    votes: IntArray
    classes: IntArray
    signatures: list[Signature]

    def assign(self, alone: NDArray[np.float32], ratios: FloatArray) -> IntArray:
        """The group (n,) of defects by their pictures (n, side, side) and ratios (n,)."""
        return self.grouping.assign(self.features.points(alone, ratios))


@dataclass
class Gathered:
    """Samples from all frames: of each place pictures, ratios and classes of its defects, and of perfect columns."""

    rng: np.random.Generator
    defects: dict[int, Sample] = field(default_factory=dict)
    beside_holes: dict[int, Sample] = field(default_factory=dict)
    counts: Counter[int] = field(default_factory=Counter)
    frames: Counter[str] = field(default_factory=Counter)
    labelled: dict[int, Sample] = field(default_factory=dict)
    references: dict[int, Sample] = field(default_factory=dict)

    def add(self, results: Iterable[FrameResult], *, labelled: bool = False) -> None:
        """Add frames; `labelled` ones have the defects that people, or the Fourier method, see there."""
        samples = self.labelled if labelled else self.defects
        for result in results:
            if result.network is None or result.views is None:
                continue
            where, beside = placed(result), beside_hole(result)
            for place in np.unique(where.place).tolist():
                for chosen, near in ((samples, False), (self.beside_holes, True)):
                    mine = (where.place == place) & (beside == near)
                    if mine.any():
                        sample = chosen.setdefault(place, Sample(MOST_PICTURES, self.rng))
                        sample.add(result.views.alone[mine], where.ratio[mine], result.network.kinds[mine])
            if not labelled:
                self.counts.update(where.place.tolist())
                self.frames[result.movie] += 1
                if result.columns is not None:
                    self._add_references(result)

    def independent(self, place: int) -> float:
        """How many defects of a place there are, those that all frames of a movie show counted once."""
        return self.counts[place] * len(self.frames) / max(self.frames.total(), 1)

    def _add_references(self, result: FrameResult) -> None:
        assert result.columns is not None  # noqa: S101 (as the caller has made sure)
        assert result.views is not None  # noqa: S101
        of = result.views.reference
        sublattice = result.columns.sublattice[of]
        for place in np.unique(sublattice).tolist():
            mine = sublattice == place
            sample = self.references.setdefault(place, Sample(MOST_REFERENCES, self.rng))
            ratio = result.columns.ratio[of[mine]]
            sample.add(result.views.reference_alone[mine], ratio, result.views.reference_images[mine])


def learn_groups(gathered: Gathered, classes: int, decisions: Decisions, seed: int) -> dict[int, Groups]:
    """The groups of each place, from what was gathered; the detector tells this many classes."""
    found = {}
    # Beside a hole nothing is as elsewhere: such defects are learnt from only where there are no others.
    for place, sample in sorted({**gathered.beside_holes, **gathered.defects}.items()):
        alone, ratios, kinds = sample.rows()
        labelled = gathered.labelled[place].rows() if place in gathered.labelled else [alone[:0], ratios[:0], kinds[:0]]
        features = _features(place, alone, gathered)
        points = features.points(alone, ratios)
        alike = place == EXTENDED or (place == OFF_LATTICE and len(points) < FEWEST)
        grouping = _one_group(points) if alike else group(points, seed, gathered.independent(place))
        sign = partial(_signatures, place, features, points, alone, ratios)
        for known in decisions.splits:  # in order: halves may be split again
            number = nearest(known, sign(grouping))
            if number is not None:
                grouping = split_group(grouping, number, points, seed)
        of, of_labelled = grouping.assign(points), grouping.assign(features.points(labelled[0], labelled[1]))
        numbers = range(grouping.count)
        found[place] = Groups(
            features,
            grouping,
            np.array([np.bincount(labelled[2][of_labelled == number] - 1, minlength=classes) for number in numbers]),
            np.array([np.bincount(kinds[of == number], minlength=classes + 1) for number in numbers]),
            sign(grouping),
        )
    return found


def _features(place: int, alone: NDArray[np.float32], gathered: Gathered) -> Features:
    """Features of a place; extended defects, whose pictures tell nothing, have none."""
    if place == EXTENDED:
        return Features(np.zeros((ALONE_SIDE, ALONE_SIDE), np.float32), np.zeros((0, ALONE_SIDE**2)), np.ones(1))
    if place in gathered.references:
        references, ratios, _ = gathered.references[place].rows()
        return fit_features(alone, references, ratios)
    return fit_features(alone, alone[:0], np.zeros(0))


def _one_group(points: FloatArray) -> Grouping:
    size = points.shape[1]
    return Grouping(points.mean(axis=0)[None], np.eye(size)[None], np.ones(1), np.zeros(0), np.zeros(0))


def _signatures(
    place: int,
    features: Features,
    points: FloatArray,
    alone: NDArray[np.float32],
    ratios: FloatArray,
    grouping: Grouping,
) -> list[Signature]:
    """By what the groups of a place are known again, from the sample that they were learnt from."""
    if place == EXTENDED:
        return [Signature("", np.nan, np.zeros(0))] * grouping.count
    of, scale = grouping.assign(points), max(float(np.linalg.norm(windowed(features.perfect[None]))), 1e-9)
    found = []
    for number in range(grouping.count):
        mine = of == number
        picture = windowed(alone[mine].mean(axis=0, keepdims=True))[0] / scale
        found.append(Signature(place_name(place), float(ratios[mine].mean()), picture))
    return found
