"""The table of scores as the terminal shows it."""

import re
from collections import Counter

import numpy as np
import pytest
from rich.console import Console

from analysis.scores import Score, total
from analysis.summary import Row
from workflow.progress import Progress


def score(found_in: int, blocks: int = 400) -> Score:
    """An object in each block, found in the first ones: recall, and so F1, is known with its error."""
    found = np.arange(blocks) < found_in
    objects = np.stack([found, np.zeros(blocks), ~found], axis=1).astype(int)
    return Score(objects, np.ones((blocks, 4), int), np.zeros(0), np.zeros(0, int), Counter(), 4.0)


def shown(rows: list[Row]) -> str:
    console = Console(width=80)
    with console.capture() as caught:
        Progress(console).table(rows)
    return caught.get()


def between(text: str) -> list[tuple[float, float]]:
    return [(float(low), float(high)) for low, high in re.findall(r"(\d\.\d\d)-(\d\.\d\d)", text)]


def about(recall: float, error: float) -> object:
    """F1 = 2r / (1 + r) of a recall r give or take two standard errors, where nothing is found wrongly."""
    low, high = recall - 2 * error, recall + 2 * error
    return pytest.approx((2 * low / (1 + low), 2 * high / (1 + high)), abs=0.015)


def test_the_row_that_sums_up_has_the_interval_of_f1() -> None:
    frames = [Row("film", str(n), {"fourier": score(200), "network": score(200 + 100 * n)}) for n in range(3)]
    names = ("fourier", "network")
    text = shown([*frames, Row("film", "all", {name: total([row.scores[name] for row in frames]) for name in names})])
    assert [line.split()[0] for line in text.splitlines() if "0.667" in line] == ["0", "1", "2", "all"]
    assert between(text) == [
        about(0.5, 0.025),  # of 400 places
        about(0.75, np.std([1, 1, 2 / 3, 1 / 3]) / 20),  # a quarter of the places is found in 2 of 3 frames, one in 1
    ]
    assert "…" not in text


def test_a_single_frame_has_its_interval_and_one_of_few_places_has_none() -> None:
    single = [Row("film", "7", {"fourier": score(200), "network": score(300)})]
    assert between(shown(single)) == [about(0.5, 0.025), about(0.75, np.sqrt(0.75 * 0.25 / 400))]
    few = shown([Row("film", "7", {"fourier": score(2, 4), "network": score(3, 4)})])
    assert "0.667" in few
    assert between(few) == []
    assert "nan" not in few
