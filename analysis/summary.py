"""The table of scores: per frame and overall, Fourier beside the network."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from analysis.results import METHODS, Score, load_results
from analysis.scores import precision_recall_f1
from data_prep.files import whole_file

COUNTS = ("true_positives", "false_positives", "false_negatives")


@dataclass(frozen=True)
class Row:
    """A line of the table; `frame` is "all" in the line that sums up a movie."""

    movie: str
    frame: str
    scores: dict[str, Score]


def score_rows(results: Path) -> list[Row]:
    """Rows of all scored frames, and after each movie of several one that sums it up."""
    frames: dict[str, list[Row]] = {}
    for result in load_results(results):
        if result.scores:
            frames.setdefault(result.movie, []).append(Row(result.movie, str(result.frame), result.scores))
    rows: list[Row] = []
    for movie, of_movie in frames.items():
        rows += of_movie
        if len(of_movie) > 1:
            rows.append(Row(movie, "all", {name: _sum([row.scores[name] for row in of_movie]) for name in METHODS}))
    return rows


def _sum(scores: list[Score]) -> Score:
    right, wrong, missed = (sum(score.counts[k] for score in scores) for k in range(3))
    return Score((right, wrong, missed), float(np.mean([score.pixel_accuracy for score in scores])))


def write_scores(rows: list[Row], path: Path) -> None:
    """Write the table as CSV, a line per frame and method."""
    with whole_file(path) as temporary, temporary.open("w", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(["movie", "frame", "method", "precision", "recall", "f1", "pixel_accuracy", *COUNTS])
        for row in rows:
            for method, score in row.scores.items():
                values = (*precision_recall_f1(score.counts), score.pixel_accuracy)
                writer.writerow([row.movie, row.frame, method, *(f"{value:.4f}" for value in values), *score.counts])
