"""Which true classes are found as what: by the network, and as which kinds of the library."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from analysis.results import FrameResult
from analysis.scores import Score, score, total
from analysis.summary import Row, overall
from analysis.tables import write_table
from analysis.target import Target, truth_of
from data_prep.movie import open_movie

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ("movie", "by", "true", "found", "count")
NETWORK, LIBRARY = "network", "library"


def confusion_table(rows: Sequence[Row], by_kinds: Mapping[str, Score]) -> pd.DataFrame:
    """How many objects of a true class were found as what, over all scored frames of a movie.

    `by` the network it is the class, by the library the kind, there also of what stands out by its intensity. An object
    that was not found is `MISSED`, a find where nothing is has the true class `FALSE_ALARM` (`analysis.scores`). Only
    what occurred has a line.
    """
    import pandas as pd

    scores = [(row.movie, NETWORK, row.scores["network"]) for row in overall(rows)]
    scores += [(movie, LIBRARY, found) for movie, found in by_kinds.items()]
    lines = [
        (movie, by, true, found, count)
        for movie, by, told in scores
        for (true, found), count in sorted(told.confusion.items())
    ]
    return pd.DataFrame(lines, columns=list(COLUMNS))


def scores_by_kind(
    frames: Iterable[FrameResult], targets: Mapping[str, Target], defects: pd.DataFrame
) -> dict[str, Score]:
    """What was found in frames of known truth, by its kinds in the table of `defects`, also by intensity alone."""
    found: dict[str, list[Score]] = {}
    seen = defects[defects["found_by"] != "history"]
    kinds = {key: rows["kind"].tolist() for key, rows in seen.groupby(["movie", "frame"])}
    for result in frames:
        target = targets[result.movie]
        if result.network is None or target.truth is None:
            continue
        with open_movie(target.movie, target.pixel_size_nm, target.dataset) as movie:
            truth = truth_of(target, movie, result.frame, result.period_px)
        if truth is not None and truth.labelled.any():
            names = kinds.get((result.movie, result.frame), [])
            found.setdefault(result.movie, []).append(score(result.network.objects, truth, result.period_px, names))
    return {movie: total(scores) for movie, scores in found.items()}


def write_confusion(rows: Sequence[Row], by_kinds: Mapping[str, Score], path: Path) -> Path:
    """Write the table as `path`.csv and `path`.parquet."""
    return write_table(confusion_table(rows, by_kinds), path)
