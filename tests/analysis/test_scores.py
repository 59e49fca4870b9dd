from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.scores import match, matching_f1, precision_recall_f1, score, total
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
def test_pixels_are_counted_as_in_a_plain_loop(found: list[tuple[int, int]], ignored: int, seed: int) -> None:
    labels = labelled()
    labels.class_map[:] = 2 * (np.random.default_rng(seed).random(SHAPE) < 0.2)
    labels.class_map[:, :ignored] = IGNORE
    tally = dict.fromkeys([(True, True), (True, False), (False, True), (False, False)], 0)  # found, true
    for y, x in np.ndindex(SHAPE):
        if labels.class_map[y, x] != IGNORE:
            painted = any((y - p) ** 2 + (x - q) ** 2 <= 3.5**2 for p, q in found)
            tally[painted, bool(labels.class_map[y, x] > 0)] += 1
    made = score(at(*found), labels, PERIOD_PX)
    assert made.pixels.sum(axis=0).tolist() == list(tally.values())
    right, wrong, missed, rest = tally.values()
    assert made.pixel_accuracy == pytest.approx((right + rest) / sum(tally.values()))
    assert made.iou == pytest.approx(right / (right + wrong + missed))


def test_where_nothing_is_and_nothing_was_found_there_is_no_iou_and_no_error() -> None:
    made = score(at(), labelled(), PERIOD_PX)
    assert np.isnan(made.iou)
    assert np.isnan(made.position_error_px)
    assert made.pixel_accuracy == 1


def test_the_position_error_is_the_mean_distance_of_matched_points() -> None:
    labels = labelled((20, 20), (30, 45), (40, 70), (5, 45))  # the last is too near the edge
    found = at((20, 20), (33, 49), (39, 68.5), (6, 45), (20, 70))
    made = score(found, labels, PERIOD_PX)
    assert sorted(made.errors_px) == pytest.approx([0, np.hypot(1, 1.5), 5])
    assert made.position_error_px == pytest.approx((5 + np.hypot(1, 1.5)) / 3)
    assert made.radius_px == pytest.approx(5.5)


def test_extended_objects_have_no_position_error() -> None:
    """Their centre depends on where their rim is drawn; only the point beside the hole counts."""
    assert score(at((30, 45), (48, 20)), hole((48, 22)), PERIOD_PX).errors_px.tolist() == [2]
    found = at((30, 45))
    found.regions[28:33, 43:48] = 1
    assert score(found, labelled((30, 46)), PERIOD_PX).errors_px.tolist() == []


def test_scores_are_kept_by_place() -> None:
    """Blocks are 5 periods, 50 px: one down (60 px are nearer to one than to two), two across, parted at 45 px."""
    labels = labelled((30, 20), (30, 60), (30, 75))
    made = score(at((30, 22), (45, 30), (30, 76)), labels, PERIOD_PX)
    assert made.objects.tolist() == [[1, 1, 0], [1, 0, 1]]
    assert made.errors_px[made.error_blocks.argsort()].tolist() == [2, 1]
    assert sorted(made.error_blocks) == [0, 1]
    assert made.pixels.sum(axis=1).tolist() == [60 * 45, 60 * 45]
    assert made.counts == (2, 1, 1)


def test_every_block_is_about_five_periods_wide() -> None:
    labels = LabelledFrame(np.zeros((200, 310), np.uint8), at(), np.zeros(0, np.int64), ("vacancy",), "by hand")
    nothing = Objects(np.zeros((0, 2)), np.zeros(0), np.zeros((200, 310), np.int32))
    pixels = score(nothing, labels, PERIOD_PX).pixels.sum(axis=1)
    assert len(pixels) == 4 * 6
    assert set(pixels) <= {50 * 51, 50 * 52}


def classed(**places: Places) -> LabelledFrame:
    """Labels of points by class."""
    labels = labelled(*(at for of_class in places.values() for at in of_class))
    kinds = np.repeat(np.arange(len(places)) + 1, [len(of_class) for of_class in places.values()])
    return LabelledFrame(labels.class_map, labels.objects, kinds, tuple(places), "by hand")


def test_confusion_by_hand() -> None:
    """The truth has a class, 'adatom', that the detector lacks, and the detector has 'hole', which the truth lacks."""
    labels = classed(
        vacancy=[(15, 15), (15, 30), (15, 45), (15, 60), (3, 45)],
        dopant=[(30, 15), (30, 30)],
        adatom=[(45, 15), (45, 30)],
    )
    found = {
        (15, 15): "vacancy",
        (16, 30): "vacancy",
        (15, 47): "dopant",  # (15, 60) is missed
        (3, 46): "dopant",  # too near the edge
        (30, 15): "dopant",
        (30, 31): "hole",
        (45, 15): "vacancy",  # (45, 30) is missed
        (45, 60): "hole",  # nothing is there
        (45, 75): "dopant",
    }
    made = score(at(*found), labels, PERIOD_PX, list(found.values()))
    assert dict(made.confusion) == {
        ("vacancy", "vacancy"): 2,
        ("vacancy", "dopant"): 1,
        ("vacancy", "missed"): 1,
        ("dopant", "dopant"): 1,
        ("dopant", "hole"): 1,
        ("adatom", "vacancy"): 1,
        ("adatom", "missed"): 1,
        ("false alarm", "hole"): 1,
        ("false alarm", "dopant"): 1,
    }


def test_a_hole_is_one_object_of_its_class() -> None:
    found = at((22, 58), (29, 44), (48, 70))  # the second is drawn as a region, the third is none
    found.regions[25:35, 38:50] = 2
    confusion = score(found, hole(), PERIOD_PX, ["vacancy", "hole", "hole"]).confusion
    assert dict(confusion) == {("vacancy", "hole"): 1, ("false alarm", "hole"): 1}


def test_a_method_without_classes_confuses_none() -> None:
    assert not score(at((30, 45), (15, 30)), labelled((30, 45)), PERIOD_PX).confusion


places = st.lists(st.tuples(st.integers(0, 59), st.integers(0, 89)), max_size=12)


@given(found=places, known=places, seed=st.integers(0, 9))
@settings(deadline=None, max_examples=60)
def test_confusion_blocks_and_errors_add_up_to_the_counts(found: Places, known: Places, seed: int) -> None:
    names = np.random.default_rng(seed).choice(["vacancy", "dopant", "hole"], len(found)).tolist()
    labels = classed(vacancy=known[::2], adatom=known[1::2])
    made = score(at(*found), labels, PERIOD_PX, names)
    right, wrong, missed = match(at(*found), labels, PERIOD_PX).counts
    assert made.counts == (right, wrong, missed)
    of = {"missed": 0, "false alarm": 0, "": 0}
    for (true, as_what), count in made.confusion.items():
        of[as_what if as_what == "missed" else true if true == "false alarm" else ""] += count
    assert of == {"missed": missed, "false alarm": wrong, "": right}
    assert len(made.errors_px) == right
    assert (made.errors_px <= made.radius_px).all()
    both = total([made, made])
    assert both.counts == (2 * right, 2 * wrong, 2 * missed)
    assert both.confusion.total() == 2 * made.confusion.total()
    assert both.position_error_px == pytest.approx(made.position_error_px, nan_ok=True)
    assert both.iou == pytest.approx(made.iou, nan_ok=True)
