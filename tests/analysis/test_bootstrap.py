"""Intervals of scores of blocks whose true rates are known."""

from collections import Counter
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from analysis.bootstrap import FEWEST_BLOCKS, MEASURES, intervals
from analysis.scores import Score, precision_recall_f1, total

BLOCKS = 100


def score_of(objects: Any, pixels: Any = None, errors: Any = (), error_blocks: Any = ()) -> Score:
    objects = np.asarray(objects, np.int64)
    pixels = np.ones((len(objects), 4), np.int64) if pixels is None else np.asarray(pixels, np.int64)
    errors, error_blocks = np.asarray(errors, float), np.asarray(error_blocks, np.int64)
    return Score(objects, pixels, errors, error_blocks, Counter(), 4.0)


def random_score(rng: np.random.Generator, blocks: int = BLOCKS, recall: float = 0.8, wrong: float = 0.5) -> Score:
    """Blocks of about four objects, each found by chance, and false alarms by chance; errors of 1 ± 0.3 px."""
    known = rng.poisson(4, blocks)
    found = rng.binomial(known, recall)
    objects = np.stack([found, rng.poisson(wrong, blocks), known - found], axis=1)
    pixels = np.stack([10 * found, rng.poisson(3, blocks), 10 * (known - found), np.full(blocks, 500)], axis=1)
    return score_of(objects, pixels, rng.normal(1, 0.3, found.sum()), np.repeat(np.arange(blocks), found))


def estimates(score: Score) -> dict[str, float]:
    values = (*precision_recall_f1(score.counts), score.position_error_px, score.pixel_accuracy, score.iou)
    return dict(zip(MEASURES, values, strict=True))


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    rng = np.random.default_rng(1)
    # Of 4 objects a block 3.2 are found, and 0.5 false alarms; of the 40 px of defects 32, and 3 px elsewhere.
    truth = {
        "precision": 3.2 / 3.7,
        "recall": 0.8,
        "f1": 6.4 / (6.4 + 0.5 + 0.8),
        "position_error_px": 1.0,
        "pixel_accuracy": 532 / 543,
        "iou": 32 / 43,
    }
    held = dict.fromkeys(MEASURES, 0)
    for _ in range(200):
        for name, (low, high) in intervals(random_score(rng)).items():
            held[name] += low <= truth[name] <= high
    assert all(0.88 <= count / 200 <= 0.99 for count in held.values()), held


def test_where_a_whole_place_is_right_or_wrong_the_interval_is_that_of_places() -> None:
    """Ten objects a block share its fate: intervals that took them as independent would be too narrow by √10."""
    rng = np.random.default_rng(2)
    held, widths = 0, []
    for _ in range(200):
        found = 10 * (rng.random(BLOCKS) < 0.8)
        low, high = intervals(score_of(np.stack([found, 0 * found, 10 - found], axis=1)))["recall"]
        held += low <= 0.8 <= high
        widths.append(high - low)
    assert 0.88 <= held / 200 <= 0.99
    assert np.mean(widths) == pytest.approx(2 * 1.96 * np.sqrt(0.8 * 0.2 / BLOCKS), rel=0.1)


@pytest.mark.parametrize("seed", range(10))
def test_an_interval_holds_its_estimate(seed: int) -> None:
    rng = np.random.default_rng(seed)
    score = random_score(rng, int(rng.integers(8, 300)), rng.uniform(0.3, 0.95), rng.uniform(0.1, 3))
    between = intervals(score)
    for name, value in estimates(score).items():
        low, high = between[name]
        assert low < value < high


def test_a_hundred_frames_that_show_the_same_say_no_more_than_one() -> None:
    score = random_score(np.random.default_rng(3))
    one, hundred = intervals(score), intervals(total([score] * 100))
    for name in MEASURES:
        assert hundred[name] == pytest.approx(one[name], rel=1e-9)


def test_more_places_say_more() -> None:
    def width(blocks: int) -> float:
        low, high = intervals(random_score(np.random.default_rng(4), blocks))["f1"]
        return high - low

    assert width(1600) == pytest.approx(width(100) / 4, rel=0.25)


def test_the_same_scores_have_the_same_intervals_and_the_seed_matters_little() -> None:
    def made() -> Score:
        return random_score(np.random.default_rng(5))

    assert intervals(made()) == intervals(made())
    assert intervals(made(), seed=1) != intervals(made())
    assert intervals(made(), seed=1)["f1"] == pytest.approx(intervals(made())["f1"], abs=0.01)


def with_objects(blocks: NDArray[np.int64]) -> Score:
    objects = np.zeros((BLOCKS, 3), np.int64)
    objects[blocks] = 1
    return score_of(objects)


def test_too_few_places_have_no_interval() -> None:
    few, enough = (intervals(with_objects(np.arange(n))) for n in (FEWEST_BLOCKS - 1, FEWEST_BLOCKS))
    assert np.isnan([few["precision"], few["recall"], few["f1"]]).all()
    assert enough["f1"] == pytest.approx((0.5, 0.5))  # all blocks are alike
    assert np.isnan(enough["position_error_px"]).all()  # nothing was matched
    assert few["iou"] == pytest.approx((1 / 3, 1 / 3))  # pixels there are in all blocks
