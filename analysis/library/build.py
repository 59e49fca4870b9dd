"""Build the library: the kinds of defects of all movies, and what tells the kind of one."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.library.align import Alignment, fit_alignment
from analysis.library.cutouts import PER_PERIOD, axes_of, operations
from analysis.library.kinds import Kind
from analysis.library.learn import Gathered, Groups, learn_groups
from analysis.library.names import Decisions, Signature
from analysis.library.pictures import Pictures
from analysis.library.places import EXTENDED, OFF_LATTICE, place_name, placed
from analysis.outliers import ODD
from analysis.results import FrameResult, MovieFacts

IntArray = NDArray[np.int64]
Frames = Callable[[], Iterator[FrameResult]]


FEWEST_ODD = 3  # columns of a group that nobody calls anything; smaller groups of a sublattice are one kind
PERFECT_WITHIN = 1.5  # standard deviations of a perfect column's intensity, within which a kind's mean is one


@dataclass(frozen=True)
class Library:
    """The kinds of defects, and what tells the kind of one.

    `groups` of each place; `numbers` (k,) of each place: the number of the kind that each group is;
    `signatures`: those of each kind's groups, by its number.
    """

    kinds: list[Kind]
    groups: Mapping[int, Groups]
    numbers: Mapping[int, IntArray]
    signatures: Mapping[int, list[Signature]]

    @property
    def names(self) -> list[str]:
        """Names of the kinds in order of their numbers."""
        return [kind.name for kind in self.kinds]


def kinds_of(result: FrameResult, groups: Mapping[int, Groups], numbers: Mapping[int, IntArray]) -> IntArray:
    """The number (n,) of the kind of each of a frame's defects."""
    where = placed(result)
    found = np.zeros(len(where.place), np.int64)
    for place in np.unique(where.place).tolist():
        mine = where.place == place
        assert result.views is not None  # noqa: S101 (a frame that was read)
        found[mine] = numbers[place][groups[place].assign(result.views.alone[mine], where.ratio[mine])]
    return found


def build_library(
    frames: Frames,
    labelled: Sequence[FrameResult],
    movies: Mapping[str, MovieFacts],
    class_names: Sequence[str],
    decisions: Decisions,
    seed: int = 0,
) -> Library | None:
    """Group all defects of the frames, which are read twice; None if there is no defect.

    Groups are learnt from a sample (see `analysis.library.grouping`), on each sublattice apart, then every defect gets
    one. A kind is a group, or several to which people gave one name; others are named by what the labelled frames call
    their members, or else the network.
    """
    gathered = Gathered(np.random.default_rng(seed))
    gathered.add(frames())
    gathered.add(labelled, labelled=True)
    groups = learn_groups(gathered, len(class_names), decisions, seed)
    if not groups:
        return None
    names = _names(groups, class_names, decisions)
    order = list(dict.fromkeys(name for _, name in sorted(names.items(), key=lambda item: _rank(item[0], groups))))
    numbers = {
        place: np.array([order.index(names[place, number]) + 1 for number in range(of.grouping.count)])
        for place, of in groups.items()
    }
    signatures: dict[int, list[Signature]] = {}
    for place, of in groups.items():
        for number, one in zip(numbers[place].tolist(), of.signatures, strict=True):
            signatures.setdefault(number, []).append(one)
    alignments = _alignments(gathered, movies)
    pictures = Pictures(len(order), np.random.default_rng(seed))
    for result in frames():
        if result.network is not None and result.views is not None:
            pictures.add(result, kinds_of(result, groups, numbers), alignments.get(result.movie, {}))
    kinds = _kinds(order, groups, numbers, pictures, movies, class_names)
    return Library(kinds, groups, numbers, signatures)


def _rank(group: tuple[int, int], groups: Mapping[int, Groups]) -> tuple[bool, int, float]:
    """Sublattices in their order, on each from the most to the least intense; then what is on none."""
    place, number = group
    ratio = groups[place].signatures[number].ratio
    return place < 0, abs(place), -ratio if np.isfinite(ratio) else 0.0


def _names(
    groups: Mapping[int, Groups], class_names: Sequence[str], decisions: Decisions
) -> dict[tuple[int, int], str]:
    """The name of each group, by place and number."""
    keys = [(place, number) for place, of in groups.items() for number in range(of.grouping.count)]
    told = decisions.names_of([groups[place].signatures[number] for place, number in keys])
    given: dict[tuple[int, int], str] = {}
    own: dict[tuple[int, int], str] = {}
    for (place, number), name in zip(keys, told, strict=True):
        of = groups[place]
        if name is not None:
            given[place, number] = name
        elif place >= 0 and abs(of.signatures[number].ratio - 1) < PERFECT_WITHIN * of.features.noise[0]:
            given[place, number] = f"perfect {place_name(place)}"
        else:
            votes = of.votes[number] if of.votes[number].any() else of.classes[number][1:]
            if votes.any():
                own[place, number] = class_names[int(votes.argmax())]
            elif of.classes[number].sum() < FEWEST_ODD:
                given[place, number] = f"{ODD} ({place_name(place)})"
            else:
                own[place, number] = ODD
    # Groups of one name would be one kind, which is for people to decide.
    alike = Counter(name for (place, _), name in own.items() if place != OFF_LATTICE) + Counter(set(given.values()))
    for (place, number), name in own.items():
        distinct = _distinct(name, _where(place, groups[place].signatures[number].ratio), set(given.values()))
        given[place, number] = distinct if place == OFF_LATTICE or alike[name] > 1 or name == ODD else name
    return given


def _where(place: int, ratio: float) -> str:
    if place in (EXTENDED, OFF_LATTICE):
        return "extended" if place == EXTENDED else "off the lattice"
    return f"{place_name(place)} {max(ratio, 0.0):.2f}"


def _distinct(name: str, where: str, taken: Set[str]) -> str:
    """A name that is not taken: with where it is, and if need be a number."""
    tries = itertools.chain([f"{name} ({where})"], (f"{name} ({where}, {number})" for number in itertools.count(2)))
    return next(one for one in tries if one not in taken)


def _alignments(gathered: Gathered, movies: Mapping[str, MovieFacts]) -> dict[str, dict[int, Alignment]]:
    """How pictures of each movie and sublattice are turned."""
    found: dict[str, dict[int, Alignment]] = {}
    for movie, facts in movies.items():
        if facts.cell is not None:
            turns = operations(facts.cell, axes_of(facts.cell))
            found[movie] = {
                place: fit_alignment(turns, sample.rows()[2]) for place, sample in gathered.references.items()
            }
    return found


def _kinds(
    order: Sequence[str],
    groups: Mapping[int, Groups],
    numbers: Mapping[int, IntArray],
    pictures: Pictures,
    movies: Mapping[str, MovieFacts],
    class_names: Sequence[str],
) -> list[Kind]:
    of_kind = {number: place for place in groups for number in numbers[place].tolist()}
    period_px, size = pictures.period_px, next(iter(movies.values())).pixel_size_nm
    for facts in movies.values():
        if facts.cell is not None:
            period_px, size = facts.cell.lattice.period_px, facts.pixel_size_nm
            break
    step_px = period_px / PER_PERIOD
    kinds = []
    for number, name in enumerate(order, start=1):
        seen = pictures.of[number - 1]
        ratio, ratio_sd = seen.ratio()
        votes = Counter({number: count for number, count in seen.classes.items() if number})
        common, votes_for = votes.most_common(1)[0] if votes else (0, 0)
        kinds.append(
            Kind(
                number, name, place_name(of_kind[number]), seen.count, seen.mean(), seen.spread(), seen.examples(),
                step_px, None if size is None else step_px * size, ratio, ratio_sd,
                ("", *class_names)[common], votes_for / max(seen.count, 1),
                name == f"perfect {place_name(of_kind[number])}",
            )
        )  # fmt: skip
    return kinds
