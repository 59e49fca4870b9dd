from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.scores import match, matching_f1, pixel_accuracy, precision_recall_f1
from data_prep.labels import IGNORE, LabelledFrame
from data_prep.objects import Objects

SHAPE = (60, 90)
PERIOD_PX = 10.0  # a match is within 5.5 px, the border 10 px wide
Places = list[tuple[float, float]]


def at(*positions: tuple[float, float]) -> Objects:
    return Objects(np.array(positions, float).reshape(-1, 2), np.ones(len(positions)), np.zeros(SHAPE, np.int32))


def labelled(*positions: tuple[float, float]) -> LabelledFrame:
    class_map = np.zeros(SHAPE, np.uint8)
    return LabelledFrame(class_map, at(*positions), np.ones(len(positions), np.int64), ("vacancy",), "by hand")


def most_matches(found: Places, known: Places, radius: float) -> int:
    """By trying all ways to give each known object another found one, or none."""
    choices = [*range(len(found)), *[-1] * len(known)]
    return max(
        sum(
            chosen >= 0 and np.hypot(found[chosen][0] - y, found[chosen][1] - x) <= radius
            for chosen, (y, x) in zip(order, known, strict=True)
        )
        for order in permutations(choices, len(known))
    )


# A small area, so that many are within reach of one another.
nearby = st.lists(st.tuples(st.integers(20, 34), st.integers(40, 52)), max_size=4)


@given(found=nearby, known=nearby)
@settings(deadline=None, max_examples=80)
def test_as_many_are_matched_as_can_be(found: Places, known: Places) -> None:
    objects, labels = at(*found), labelled(*known)
    right = most_matches(found, known, 5.5)
    assert match(objects, labels, PERIOD_PX).counts == (right, len(found) - right, len(known) - right)


def test_a_match_is_within_about_half_a_period() -> None:
    for apart, right in ((5.4, 1), (5.6, 0)):
        for step in ((apart, 0.0), (0.0, -apart)):
            found = at((30 + step[0], 45 + step[1]))
            assert match(found, labelled((30, 45)), PERIOD_PX).counts == (right, 1 - right, 1 - right)


def test_of_two_finds_the_nearer_is_the_right_one() -> None:
    matching = match(at((30, 49), (31, 45), (40, 70)), labelled((30, 45)), PERIOD_PX)
    assert matching.found.tolist() == [False, True, False]
    assert matching.known.tolist() == [True]
    assert matching.counts == (1, 2, 0)


def test_more_matches_go_before_nearer_ones() -> None:
    """The middle find could take either; only if it takes the farther do both have one."""
    matching = match(at((30, 40), (30, 44)), labelled((30, 43), (30, 49)), PERIOD_PX)
    assert matching.counts == (2, 0, 0)


def test_near_the_edge_and_on_unlabelled_pixels_nothing_is_scored() -> None:
    labels = labelled((5, 45), (30, 84), (30, 45))
    assert match(at((55, 20), (30, 5)), labels, PERIOD_PX).counts == (0, 0, 1)
    labels.class_map[20:40, 60:75] = IGNORE
    assert match(at((30, 65), (45, 65)), labels, PERIOD_PX).counts == (0, 1, 1)


def test_a_find_just_inside_the_border_may_match_one_just_outside() -> None:
    assert match(at((11, 45)), labelled((8, 45)), PERIOD_PX).counts == (0, 0, 0)
    assert match(at((8, 45)), labelled((11, 45)), PERIOD_PX).counts == (1, 0, 0)


def hole(*more: tuple[float, float]) -> LabelledFrame:
    """A hole of 20 x 30 px around (30, 45), and point defects."""
    labels = labelled((30, 45), *more)
    labels.objects.regions[20:40, 30:60] = 1
    labels.class_map[20:40, 30:60] = 1
    return labels


def test_one_find_anywhere_in_a_hole_finds_it_and_more_are_not_held_against_it() -> None:
    assert match(at((22, 58)), hole(), PERIOD_PX).counts == (1, 0, 0)
    assert match(at((22, 58), (30, 31), (38, 45)), hole(), PERIOD_PX).counts == (1, 0, 0)
    assert match(at((22, 58), (30, 66)), hole(), PERIOD_PX).counts == (1, 1, 0)
    assert match(at(), hole(), PERIOD_PX).counts == (0, 0, 1)


def test_a_defect_beside_a_hole_has_its_own_match() -> None:
    assert match(at((30, 58), (30, 62)), hole((30, 63)), PERIOD_PX).counts == (2, 0, 0)
    assert match(at((30, 58)), hole((30, 63)), PERIOD_PX).counts == (1, 0, 1)


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ((6, 2, 4), (0.75, 0.6, 2 / 3)),
        ((5, 0, 0), (1.0, 1.0, 1.0)),
        ((0, 3, 0), (0.0, 0.0, 0.0)),
        ((0, 0, 3), (0.0, 0.0, 0.0)),
        ((0, 0, 0), (0.0, 0.0, 0.0)),
    ],
)
def test_precision_recall_and_f1(counts: tuple[int, int, int], expected: tuple[float, float, float]) -> None:
    assert precision_recall_f1(counts) == pytest.approx(expected)


def test_f1_of_a_matching_is_that_of_its_counts() -> None:
    matching = match(at((30, 45), (30, 65), (15, 30)), labelled((31, 46), (48, 70)), PERIOD_PX)
    assert matching.counts == (1, 2, 1)
    assert matching_f1(matching) == pytest.approx(2 / 5)


@given(
    found=st.lists(st.tuples(st.integers(0, 59), st.integers(0, 89)), max_size=5),
    ignored=st.integers(0, 80),
    seed=st.integers(0, 5),
)
@settings(deadline=None, max_examples=20)
def test_pixel_accuracy_agrees_with_a_plain_loop(found: list[tuple[int, int]], ignored: int, seed: int) -> None:
    labels = labelled()
    labels.class_map[:] = np.random.default_rng(seed).random(SHAPE) < 0.2
    labels.class_map[:, :ignored] = IGNORE
    agree = known = 0
    for y, x in np.ndindex(SHAPE):
        if labels.class_map[y, x] == IGNORE:
            continue
        painted = any((y - p) ** 2 + (x - q) ** 2 <= 3.5**2 for p, q in found)
        known += 1
        agree += painted == (labels.class_map[y, x] > 0)
    assert pixel_accuracy(at(*found), labels, PERIOD_PX) == pytest.approx(agree / known)
