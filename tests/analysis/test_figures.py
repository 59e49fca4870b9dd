"""Figures say with their colours what the scores say with numbers."""

import numpy as np
import pytest

from analysis.figures.defect_maps import compare
from analysis.figures.search_history import draw_search_history
from analysis.figures.worker_timeline import draw_worker_timeline
from data_prep.labels import from_objects
from data_prep.objects import Objects
from search.evaluation import Evaluation, Request, Status

PERIOD = 8.0
SHAPE = (80, 100)


def objects(*positions):
    places = np.array(positions, float).reshape(-1, 2)
    return Objects(places, np.ones(len(places)), np.zeros(SHAPE, np.int32))


def test_found_wrong_and_missed_have_their_colours():
    truth = from_objects(objects((20, 30), (50, 60)), np.array([1, 1]), ("vacancy",), PERIOD, "hand")
    image = compare(objects((21, 30), (40, 80), (2, 50)), truth, PERIOD)
    assert tuple(image[21, 30]) == (255, 255, 255)
    assert tuple(image[40, 80]) == (0xA6, 0x4D, 0xFF)
    assert tuple(image[50, 60]) == (0xFF, 0x95, 0x00)
    assert tuple(image[2, 50]) == (0, 0, 0)  # too near the edge to be scored
    assert tuple(image[70, 10]) == (0, 0, 0)


def test_without_truth_what_was_found_is_white():
    image = compare(objects((20, 30)), None, PERIOD)
    assert tuple(image[20, 30]) == (255, 255, 255)
    assert set(np.unique(image)) == {0, 255}


@pytest.mark.parametrize("count", [0, 1, 7])
def test_the_pictures_of_a_search_can_be_drawn_at_any_length(count, tmp_path):
    evaluations = [
        Evaluation(
            Request(i, "evolution" if i < 5 else "tuning", 0, b"", 0, (), "prior" if i < 5 else "svm"),
            Status.OK if i % 2 == 0 else Status.CRASHED,
            fitness=i / 10,
            host="n1",
            worker=str(i % 2),
            started=100.0 + i,
            ended=102.0 + i,
        )
        for i in range(count)
    ]
    for path in (
        draw_search_history(evaluations, 3, tmp_path / "a.png"),
        draw_worker_timeline(evaluations, {"evolution": [(0.0, 2)], "tuning": [(0.0, 2)]}, tmp_path / "b.png"),
    ):
        assert path.read_bytes().startswith(b"\x89PNG")
