from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis.detections import Detections
from analysis.results import FrameResult, save_results
from analysis.scores import Score
from analysis.summary import overall, score_rows, write_scores
from data_prep.objects import Objects

SHAPE = (8, 12)
PLACES = 6


def score(right: int, wrong: int, missed: int, agree: float, error: float = 0.5) -> Score:
    """These counts and errors in each of six places, of which each has 100 px; on a tenth of those all agree."""
    pixels = np.tile([10, round(100 * (1 - agree)), 0, round(100 * agree) - 10], (PLACES, 1))
    places = np.repeat(np.arange(PLACES), right)
    objects = np.tile([right, wrong, missed], (PLACES, 1))
    return Score(objects, pixels, np.full(len(places), error), places, Counter(), 4.5)


@pytest.fixture
def stored(tmp_path: Path, points: Callable[..., Objects]) -> Path:
    """Two scored frames of one movie, one of another, one frame without truth and one that is unreadable."""
    nothing = points(SHAPE)
    found = Detections(nothing, np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))

    def frame(movie: str, number: int, scores: dict[str, Score]) -> FrameResult:
        return FrameResult(movie, number, 8.0, np.zeros(SHAPE, np.float32), found, nothing, scores)

    results = [
        frame("film", 0, {"fourier": score(2, 2, 0, 0.9), "network": score(3, 0, 1, 1.0)}),
        frame("film", 1, {"fourier": score(1, 0, 3, 0.7, 2.0), "network": score(3, 1, 1, 0.8, 1.5)}),
        frame("film", 2, {}),
        FrameResult("film", 3, error="unreadable"),
        frame("other", 5, {"fourier": score(0, 0, 2, 0.5), "network": score(2, 0, 0, 0.6)}),
    ]
    save_results(iter(results), {}, tmp_path / "maps.h5")
    return tmp_path / "maps.h5"


def test_a_movie_of_several_frames_is_summed_up_after_them(stored: Path) -> None:
    rows = score_rows(stored)
    assert [(row.movie, row.frame) for row in rows] == [("film", "0"), ("film", "1"), ("film", "all"), ("other", "5")]
    assert [(row.movie, row.frame) for row in overall(rows)] == [("film", "all"), ("other", "5")]
    summed = rows[2].scores
    assert (summed["fourier"].counts, summed["network"].counts) == ((18, 12, 18), (36, 6, 12))
    assert summed["fourier"].pixel_accuracy == pytest.approx(0.8)
    assert summed["network"].pixel_accuracy == pytest.approx(0.9)


def test_the_table_has_a_line_for_each_frame_and_method(stored: Path, tmp_path: Path) -> None:
    write_scores(score_rows(stored), {"film": 0.04, "other": None}, tmp_path / "scores")
    table = pd.read_csv(tmp_path / "scores.csv", dtype={"frame": str})
    pd.testing.assert_frame_equal(table, pd.read_parquet(tmp_path / "scores.parquet"), check_dtype=False, rtol=1e-5)
    columns = ["movie", "frame", "method", "precision", "recall", "f1", "pixel_accuracy", "iou", "true_positives"]
    expected = [
        ["film", "0", "fourier", 0.5, 1.0, 2 / 3, 0.9, 0.5, 12],
        ["film", "0", "network", 1.0, 0.75, 6 / 7, 1.0, 1.0, 18],
        ["film", "1", "fourier", 1.0, 0.25, 0.4, 0.7, 0.25, 6],
        ["film", "1", "network", 0.75, 0.75, 0.75, 0.8, 1 / 3, 18],
        ["film", "all", "fourier", 0.6, 0.5, 6 / 11, 0.8, 1 / 3, 18],
        ["film", "all", "network", 6 / 7, 0.75, 0.8, 0.9, 0.5, 36],
        ["other", "5", "fourier", 0.0, 0.0, 0.0, 0.5, 1 / 6, 0],
        ["other", "5", "network", 1.0, 1.0, 1.0, 0.6, 0.2, 12],
    ]
    pd.testing.assert_frame_equal(table[columns], pd.DataFrame(expected, columns=columns), rtol=1e-5)
    assert (table["matching_radius_px"] == 4.5).all()
    assert table["false_positives"].tolist() == [12, 0, 0, 6, 12, 6, 0, 0]
    assert table["false_negatives"].tolist() == [0, 6, 18, 6, 18, 12, 12, 0]


def test_position_errors_are_in_px_and_where_the_scale_is_known_in_nm(stored: Path, tmp_path: Path) -> None:
    write_scores(score_rows(stored), {"film": 0.04, "other": None}, tmp_path / "scores")
    table = pd.read_parquet(tmp_path / "scores.parquet").set_index(["frame", "method"])
    assert table.loc[("all", "network"), "position_error_px"] == pytest.approx(1.0)  # 18 of 0.5, 18 of 1.5
    assert table.loc[("all", "fourier"), "position_error_px"] == pytest.approx(1.0)  # 12 of 0.5, 6 of 2
    assert table.loc[("all", "network"), "position_error_nm"] == pytest.approx(0.04)
    assert table.loc[("5", "network"), "position_error_px"] == pytest.approx(0.5)
    assert np.isnan(table.loc[("5", "network"), "position_error_nm"])
    assert np.isnan(table.loc[("5", "fourier"), "position_error_px"])  # nothing was found


def test_places_that_are_alike_leave_no_doubt(stored: Path, tmp_path: Path) -> None:
    write_scores(score_rows(stored), {}, tmp_path / "scores")
    table = pd.read_parquet(tmp_path / "scores.parquet")
    for name in ("recall", "f1", "pixel_accuracy", "iou"):
        for end in ("low", "high"):
            np.testing.assert_allclose(table[f"{name}_{end}"], table[name])
    assert np.isnan(table.loc[6, ["precision_low", "precision_high"]].astype(float)).all()  # nothing was found


def test_without_truth_the_table_is_empty(tmp_path: Path) -> None:
    save_results(iter([FrameResult("film", 0, error="unreadable")]), {}, tmp_path / "maps.h5")
    rows = score_rows(tmp_path / "maps.h5")
    assert rows == []
    write_scores(rows, {}, tmp_path / "scores")
    assert len(pd.read_parquet(tmp_path / "scores.parquet")) == 0
    assert (tmp_path / "scores.csv").read_text().startswith("movie,frame,method,precision,precision_low,precision_high")
