"""Tables as people take them along: CSV for a spreadsheet, Parquet with its types for pandas."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from data_prep.errors import InputError
from data_prep.files import whole_file

if TYPE_CHECKING:
    import pandas as pd

DIGITS = 6  # significant, in CSV


def write_table(table: pd.DataFrame, path: Path) -> Path:
    """Write a table as `path`.csv and `path`.parquet; `path` has no suffix. Returns the CSV's path."""
    for suffix in (".parquet", ".csv"):
        with whole_file(path.with_suffix(suffix)) as temporary:
            if suffix == ".csv":
                table.to_csv(temporary, index=False, float_format=f"%.{DIGITS}g")
            else:
                table.to_parquet(temporary, index=False)
    return path.with_suffix(".csv")


def read_table(path: Path) -> pd.DataFrame:
    """Read what `write_table` wrote. Raises InputError if it is not there."""
    import pandas as pd

    stored = path.with_suffix(".parquet")
    if not stored.exists():
        raise InputError(f"{stored}: no such table; give the command again that makes the run")
    return pd.read_parquet(stored)
