"""Which classes the network takes for which."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from analysis.summary import Row, overall
from analysis.tables import write_table

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ("movie", "true", "found", "count")


def confusion_table(rows: Sequence[Row]) -> pd.DataFrame:
    """How many objects of a true class the network found as which, over all scored frames of a movie.

    An object that was not found is `MISSED`, a find where nothing is has the true class `FALSE_ALARM`
    (`analysis.scores`). Only what occurred has a line.
    """
    import pandas as pd

    lines = [
        (row.movie, true, found, count)
        for row in overall(rows)
        for (true, found), count in sorted(row.scores["network"].confusion.items())
    ]
    return pd.DataFrame(lines, columns=list(COLUMNS))


def write_confusion(rows: Sequence[Row], path: Path) -> Path:
    """Write the table as `path`.csv and `path`.parquet."""
    return write_table(confusion_table(rows), path)
