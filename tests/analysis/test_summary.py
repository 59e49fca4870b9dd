from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from analysis.detections import Detections
from analysis.results import FrameResult, Score, save_results
from analysis.summary import score_rows, write_scores
from data_prep.objects import Objects

SHAPE = (8, 12)


@pytest.fixture
def stored(tmp_path: Path, points: Callable[..., Objects]) -> Path:
    """Two scored frames of one movie, one of another, one frame without truth and one that is unreadable."""
    nothing = points(SHAPE)
    found = Detections(nothing, np.zeros(0, np.int64))

    def frame(movie: str, number: int, scores: dict[str, Score]) -> FrameResult:
        return FrameResult(movie, number, 8.0, np.zeros(SHAPE, np.float32), found, nothing, scores)

    results = [
        frame("film", 0, {"fourier": Score((2, 2, 0), 0.9), "network": Score((3, 0, 1), 1.0)}),
        frame("film", 1, {"fourier": Score((1, 0, 3), 0.7), "network": Score((3, 1, 1), 0.8)}),
        frame("film", 2, {}),
        FrameResult("film", 3, error="unreadable"),
        frame("other", 5, {"fourier": Score((0, 0, 2), 0.5), "network": Score((2, 0, 0), 0.6)}),
    ]
    save_results(iter(results), {}, tmp_path / "maps.h5")
    return tmp_path / "maps.h5"


def test_a_movie_of_several_frames_is_summed_up_after_them(stored: Path) -> None:
    rows = score_rows(stored)
    assert [(row.movie, row.frame) for row in rows] == [("film", "0"), ("film", "1"), ("film", "all"), ("other", "5")]
    overall = rows[2].scores
    assert (overall["fourier"].counts, overall["network"].counts) == ((3, 2, 3), (6, 1, 2))
    assert overall["fourier"].pixel_accuracy == pytest.approx(0.8)
    assert overall["network"].pixel_accuracy == pytest.approx(0.9)


def test_the_table_has_a_line_for_each_frame_and_method(stored: Path, tmp_path: Path) -> None:
    write_scores(score_rows(stored), tmp_path / "scores.csv")
    assert (tmp_path / "scores.csv").read_text().splitlines() == [
        "movie,frame,method,precision,recall,f1,pixel_accuracy,true_positives,false_positives,false_negatives",
        "film,0,fourier,0.5000,1.0000,0.6667,0.9000,2,2,0",
        "film,0,network,1.0000,0.7500,0.8571,1.0000,3,0,1",
        "film,1,fourier,1.0000,0.2500,0.4000,0.7000,1,0,3",
        "film,1,network,0.7500,0.7500,0.7500,0.8000,3,1,1",
        "film,all,fourier,0.6000,0.5000,0.5455,0.8000,3,2,3",
        "film,all,network,0.8571,0.7500,0.8000,0.9000,6,1,2",
        "other,5,fourier,0.0000,0.0000,0.0000,0.5000,0,0,2",
        "other,5,network,1.0000,1.0000,1.0000,0.6000,2,0,0",
    ]


def test_without_truth_the_table_is_empty(tmp_path: Path) -> None:
    save_results(iter([FrameResult("film", 0, error="unreadable")]), {}, tmp_path / "maps.h5")
    assert score_rows(tmp_path / "maps.h5") == []
