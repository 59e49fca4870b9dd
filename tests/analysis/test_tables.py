"""Tables as they are written: the same twice, CSV last."""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis.tables import read_table, write_table
from data_prep.errors import InputError


def table() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "movie": ["a", 'b, "c"', ""],
            "frame": [1, 22, 1234567],
            "y_px": [0.1234567891, np.nan, -1.5e-9],
            "extended": [True, False, True],
        }
    )


def test_both_files_hold_the_same_parquet_in_full_csv_to_six_digits(tmp_path: Path) -> None:
    assert write_table(table(), tmp_path / "of" / "t") == tmp_path / "of" / "t.csv"
    pd.testing.assert_frame_equal(read_table(tmp_path / "of" / "t"), table(), check_exact=True)
    assert (tmp_path / "of" / "t.csv").read_text().splitlines() == [
        "movie,frame,y_px,extended",
        "a,1,0.123457,True",
        '"b, ""c""",22,,False',
        ",1234567,-1.5e-09,True",
    ]


def test_a_table_without_rows_keeps_its_columns(tmp_path: Path) -> None:
    write_table(pd.DataFrame(columns=["kind", "count"]), tmp_path / "t")
    assert (tmp_path / "t.csv").read_text() == "kind,count\n"
    assert list(read_table(tmp_path / "t").columns) == ["kind", "count"]
    assert read_table(tmp_path / "t").empty


def test_the_csv_is_there_only_when_both_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its presence tells that the table is whole."""

    def stopped(*_arguments: object, **_options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(pd.DataFrame, "to_csv", stopped)
    with pytest.raises(KeyboardInterrupt):
        write_table(table(), tmp_path / "t")
    assert [path.name for path in tmp_path.iterdir()] == ["t.parquet"]


def test_a_table_that_is_not_there_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"kinds\.parquet: no such table; give the command again that makes the run"):
        read_table(tmp_path / "kinds")


def test_a_full_disk_leaves_the_table_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_table(table(), tmp_path / "t")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InputError, match="the disk is full"):
        write_table(table().head(1), tmp_path / "t")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
