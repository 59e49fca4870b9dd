"""The table of confusions, and its figure."""

from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt

from analysis.confusion import write_confusion
from analysis.figures import confusion_matrix
from analysis.scores import Score, total
from analysis.summary import Row


def score(confusion: dict[tuple[str, str], int]) -> Score:
    nothing = np.zeros((1, 3), np.int64)
    return Score(nothing, np.ones((1, 4), np.int64), np.zeros(0), np.zeros(0, np.int64), Counter(confusion), 4.0)


FIRST = score({("vacancy", "vacancy"): 8, ("vacancy", "missed"): 2, ("false alarm", "dopant"): 1})
SECOND = score({("vacancy", "vacancy"): 7, ("adatom", "dopant"): 3})
OTHER = score({("adatom", "missed"): 4})
ROWS = [
    Row("film", "0", {"fourier": score({}), "network": FIRST}),
    Row("film", "1", {"fourier": score({}), "network": SECOND}),
    Row("film", "all", {"fourier": score({}), "network": total([FIRST, SECOND])}),
    Row("other", "5", {"fourier": score({}), "network": OTHER}),
]
BY_KIND = {"film": score({("vacancy", "deep"): 12, ("vacancy", "vacancy"): 3, ("vacancy", "missed"): 2})}


@pytest.fixture
def table(tmp_path: Path) -> pd.DataFrame:
    write_confusion(ROWS, BY_KIND, tmp_path / "confusion")
    return pd.read_parquet(tmp_path / "confusion.parquet")


def test_each_movie_has_its_confusions_over_all_frames(table: pd.DataFrame, tmp_path: Path) -> None:
    expected = [
        ("film", "network", "adatom", "dopant", 3),
        ("film", "network", "false alarm", "dopant", 1),
        ("film", "network", "vacancy", "missed", 2),
        ("film", "network", "vacancy", "vacancy", 15),
        ("other", "network", "adatom", "missed", 4),
        ("film", "library", "vacancy", "deep", 12),
        ("film", "library", "vacancy", "missed", 2),
        ("film", "library", "vacancy", "vacancy", 3),
    ]
    assert list(table.itertuples(index=False, name=None)) == expected
    assert list(pd.read_csv(tmp_path / "confusion.csv").itertuples(index=False, name=None)) == expected


def drawn(table: pd.DataFrame, path: Path, monkeypatch: pytest.MonkeyPatch, panel: int = 0) -> plt.Axes:
    kept = []
    monkeypatch.setattr(confusion_matrix, "save_figure", lambda figure, path: (kept.append(figure), path)[1])
    confusion_matrix.draw_confusion(table, path)
    axes = kept[0].axes[panel]
    plt.close(kept[0])
    return axes


def cells(axes: plt.Axes) -> dict[tuple[str, str], str]:
    """What is written in the cells, by the names of their row and column, without the rows' numbers."""
    rows = [label.get_text() for label in axes.get_yticklabels()]
    columns = [label.get_text() for label in axes.get_xticklabels()]
    written = {}
    for text in axes.texts:
        x, y = text.get_position()
        written[rows[round(y)], columns[round(x)]] = text.get_text()
    return written


def test_the_figure_has_the_counts_and_their_shares_of_the_row(
    table: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    axes = drawn(table, tmp_path / "confusion.png", monkeypatch)
    written = cells(axes)
    assert {key: text for key, text in written.items() if text != "0"} == {
        ("vacancy (17)", "vacancy"): "15\n88 %",
        ("vacancy (17)", "missed"): "2\n12 %",
        ("adatom (7)", "dopant"): "3\n43 %",
        ("adatom (7)", "missed"): "4\n57 %",
        ("false alarm (1)", "dopant"): "1\n100 %",
    }
    # Rows are what the truth knows, columns what something was found as.
    assert len(written) == 3 * 3 - 1
    framed = [patch.get_xy() for patch in axes.patches if not patch.get_fill()]
    assert [(round(x + 0.47), round(y + 0.47)) for x, y in framed] == [(0, 0)]


def test_the_kinds_of_the_library_have_a_panel_of_their_own(
    table: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    axes = drawn(table, tmp_path / "confusion.png", monkeypatch, panel=1)
    told = {key: text for key, text in cells(axes).items() if text != "0"}
    assert told["vacancy (17)", "deep"] == "12\n71 %"
    assert told["vacancy (17)", "vacancy"] == "3\n18 %"


def test_one_movie_can_be_drawn_and_none(table: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    axes = drawn(table[table["movie"] == "other"], tmp_path / "confusion.png", monkeypatch)
    assert cells(axes)["adatom (4)", "missed"] == "4\n100 %"
    axes = drawn(table[:0], tmp_path / "confusion.png", monkeypatch)
    assert "No defects" in axes.texts[0].get_text()


def test_the_figure_is_written(table: pd.DataFrame, tmp_path: Path) -> None:
    confusion_matrix.draw_confusion(table, tmp_path / "confusion.png")
    assert plt.imread(tmp_path / "confusion.png").ndim == 3
