"""The table of scores: per frame and overall, Fourier beside the network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from analysis.bootstrap import MEASURES, intervals
from analysis.results import METHODS, load_scores
from analysis.scores import Score, precision_recall_f1, total
from analysis.tables import write_table

if TYPE_CHECKING:
    import pandas as pd

ALL = "all"
COUNTS = ("true_positives", "false_positives", "false_negatives")
COLUMNS = (
    *("movie", "frame", "method"),
    *(f"{name}{end}" for name in MEASURES for end in ("", "_low", "_high")),
    *("position_error_nm", "matching_radius_px"),
    *COUNTS,
)


@dataclass(frozen=True)
class Row:
    """What is scored of a movie: one frame, or "all" of them in the row that sums up several."""

    movie: str
    frame: str
    scores: dict[str, Score]


def score_rows(results: Path) -> list[Row]:
    """Rows of all scored frames, and after each movie of several one that sums it up."""
    frames: dict[str, list[Row]] = {}
    for movie, number, scores in load_scores(results):
        frames.setdefault(movie, []).append(Row(movie, str(number), scores))
    rows: list[Row] = []
    for movie, of_movie in frames.items():
        rows += of_movie
        if len(of_movie) > 1:
            rows.append(Row(movie, ALL, {name: total([row.scores[name] for row in of_movie]) for name in METHODS}))
    return rows


def overall(rows: Sequence[Row]) -> list[Row]:
    """The row that stands for each movie: of all its frames, or of the only one."""
    return list({row.movie: row for row in rows}.values())


def score_table(rows: Sequence[Row], pixel_sizes_nm: Mapping[str, float | None]) -> pd.DataFrame:
    """The scores with their intervals, a line per row and method; `pixel_sizes_nm` by movie."""
    import pandas as pd

    lines = []
    for row in rows:
        size = pixel_sizes_nm.get(row.movie)
        for method, score in row.scores.items():
            error = score.position_error_px
            values = (*precision_recall_f1(score.counts), error, score.pixel_accuracy, score.iou)
            between = intervals(score)
            spread = [part for name, value in zip(MEASURES, values, strict=True) for part in (value, *between[name])]
            error_nm = float("nan") if size is None else error * size
            lines.append((row.movie, row.frame, method, *spread, error_nm, score.radius_px, *score.counts))
    return pd.DataFrame(lines, columns=list(COLUMNS))


def write_scores(rows: Sequence[Row], pixel_sizes_nm: Mapping[str, float | None], path: Path) -> Path:
    """Write the table of scores as `path`.csv and `path`.parquet."""
    return write_table(score_table(rows, pixel_sizes_nm), path)
