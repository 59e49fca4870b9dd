from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from analysis.defect_table import COLUMNS, defect_table
from analysis.results import FrameResult, MovieFacts

from .histories.conftest import ADATOM, DOPANT, NAMES, SHAPE, VACANCY, Crystal, honeycomb

CLASSES = [NAMES[number] for number in sorted(NAMES)]
CRYSTAL = Crystal(honeycomb())
(DOPED,), (EMPTY,) = CRYSTAL.nearest((40, 50), 0), CRYSTAL.nearest((100, 120), 1)
PROBABILITY = np.linspace(0, 1, SHAPE[0] * SHAPE[1], dtype=np.float32).reshape(SHAPE)
FRAME = replace(
    CRYSTAL.frame(3, {DOPED: DOPANT, EMPTY: VACANCY}, off=[(60.25, 150.5)], holes=[(75, 185, 12)]),
    probability=PROBABILITY,
)
FACTS = {"m": MovieFacts(0.03, 0.5, CRYSTAL.cell), "n": MovieFacts(None, None, None)}


def tracks(*rows) -> pd.DataFrame:
    names = ["frame", "found", "kind", "track", "y_px", "x_px", "ratio", "sublattice"]
    return pd.DataFrame(rows, columns=names)


def table_of(*frames, tracks=None) -> pd.DataFrame:
    return defect_table(frames, FACTS, CLASSES, lambda result: ["by the library"] * len(result.network), tracks or {})


def test_what_the_network_found_is_listed_with_its_lengths_and_times() -> None:
    table = table_of(FRAME)
    assert list(table.columns) == list(COLUMNS)
    assert table["class"].tolist() == ["dopant", "vacancy", "adatom", "hole"]
    assert table["sublattice"].tolist() == ["A", "B", "", ""]
    assert table["extended"].tolist() == [False, False, False, True]
    assert table["ratio"].isna().tolist() == [False, False, True, True]
    np.testing.assert_allclose(table["ratio"][:2], [0.5, 0.4], atol=0.1)
    places = [CRYSTAL.place(DOPED), CRYSTAL.place(EMPTY), (60.25, 150.5), (75, 185)]
    np.testing.assert_allclose(table[["y_px", "x_px"]], places, atol=0.006)
    np.testing.assert_allclose(table[["y_nm", "x_nm"]], 0.03 * np.array(places), atol=1e-4)
    area = (np.hypot(*(np.indices(SHAPE) - np.array([75, 185])[:, None, None])) <= 12).sum()
    assert table["area_px"].tolist() == [0, 0, 0, area]
    assert table["area_nm2"][3] == pytest.approx(area * 0.03**2, abs=1e-4)
    assert (table["frame"] == 3).all()
    assert (table["time_s"] == 1.5).all()
    assert (table["movie"] == "m").all()
    assert (table["kind"] == "by the library").all()
    assert (table["track"] == -1).all()
    assert (table["found_by"] == "network").all()


def test_histories_have_the_last_word_and_tell_what_was_missed() -> None:
    (missed,) = CRYSTAL.nearest((30, 90), 1)
    y, x = CRYSTAL.place(missed)
    history = tracks(
        (3, 1, "pair vacancy", 17, 0.0, 0.0, 0.4, 1),
        (3, -1, "vacancy", 18, y, x, 0.38, 1),
        (4, 0, "of another frame", 19, 0.0, 0.0, 0.4, 1),
    )
    table = table_of(FRAME, tracks={"m": history, "n": tracks((3, 0, "of another movie", 5, 0.0, 0.0, 0.4, 1))})
    assert table["kind"].tolist() == ["by the library", "pair vacancy", "by the library", "by the library", "vacancy"]
    assert table["track"].tolist() == [-1, 17, -1, -1, 18]
    row = table.iloc[-1]
    assert (row["found_by"], row["class"], row["sublattice"], row["ratio"]) == ("history", "", "B", 0.38)
    assert (row["area_px"], row["extended"], row["time_s"]) == (0, False, 1.5)
    assert row["y_nm"] == pytest.approx(0.03 * y, abs=1e-4)
    there = PROBABILITY[round(y), round(x)]
    assert (row["probability"], row["mean_probability"]) == pytest.approx((there, there), abs=6e-4)


def test_of_unknown_scale_only_px_are_told() -> None:
    table = table_of(replace(FRAME, movie="n"))
    assert table[["time_s", "y_nm", "x_nm", "area_nm2"]].isna().all(axis=None)
    assert table[["y_px", "x_px", "area_px"]].notna().all(axis=None)


def test_frames_that_could_not_be_read_are_left_out() -> None:
    unread = FrameResult("m", 2, error="broken")
    table = table_of(unread, FRAME, tracks={"m": tracks((2, -1, "vacancy", 1, 5.0, 5.0, 0.4, 1))})
    assert set(table["frame"]) == {3}
    assert len(table) == len(table_of(FRAME))


@pytest.mark.parametrize("frames", [(), (CRYSTAL.frame(0),), (FRAME, CRYSTAL.frame(4))])
def test_types_are_the_same_whatever_was_found(frames) -> None:
    table = table_of(*frames)
    whole = table_of(FRAME)
    numbers = whole.dtypes[[name for name in COLUMNS if whole[name].dtype.kind in "ifb"]]
    assert (table.dtypes[numbers.index] == numbers).all()
    assert len(table) == sum(len(frame.network) for frame in frames)


def test_without_probabilities_what_was_missed_is_listed_too() -> None:
    table = table_of(
        replace(FRAME, probability=None), tracks={"m": tracks((3, -1, "vacancy", 18, 149.4, -0.4, 0.4, 1))}
    )
    assert table.iloc[-1]["probability"] == 0
    assert (FRAME.network.kinds == ADATOM).sum() == 1
