import numpy as np
import pandas as pd
import pytest

from analysis.histories.decode import decode
from analysis.histories.tracks import COLUMNS, joined, off_columns, on_columns
from analysis.histories.watch import watch
from analysis.results import FrameResult

from .conftest import DOPANT, PAIR_VACANCY, VACANCY, Crystal, kinds_of, library_of

STEADY = {(9, 9, 0): DOPANT, (12, 13, 0): DOPANT}


def on(crystal: Crystal, frames) -> pd.DataFrame:
    watched = watch(lambda: iter(frames), crystal.cell)
    return on_columns(watched, decode(watched, library_of().kinds), crystal.cell)


def off(frames, watched=None) -> pd.DataFrame:
    return off_columns(lambda: iter(frames), kinds_of, watched)[0]


def at(crystal: Crystal, table: pd.DataFrame, column) -> pd.DataFrame:
    """The rows of this column."""
    away = np.linalg.norm(table[["y", "x"]].to_numpy() - crystal.place(column), axis=1)
    return table[away < 1e-6]


def test_a_vacancy_that_hops_and_one_that_becomes_a_pair_stay_the_same(crystal: Crystal) -> None:
    path = [(9, 12, 1)] * 3 + [(9, 13, 1)] * 3 + [(10, 14, 1)] * 4
    other = [VACANCY] * 5 + [PAIR_VACANCY] * 5
    drifts = [(0.8 * t, -1.1 * t) for t in range(10)]
    frames = [
        crystal.frame(t, {**STEADY, path[t]: VACANCY, (8, 17, 1): other[t]}, drifts[t], missed=[path[6]] * (t == 7))
        for t in range(10)
    ]
    table = on(crystal, frames)
    assert table.groupby("frame").size().tolist() == [4] * 10
    assert table["track"].nunique() == 4
    for columns, kinds in ((path, [VACANCY] * 10), ([(8, 17, 1)] * 10, other)):
        rows = table[table["track"] == at(crystal, table, columns[0])["track"].iloc[0]].sort_values("frame")
        np.testing.assert_allclose(rows[["y", "x"]], [crystal.place(c) for c in columns], atol=1e-6)
        np.testing.assert_allclose(rows[["y_px", "x_px"]], rows[["y", "x"]] + np.array(drifts), atol=1e-6)
        assert rows["kind"].tolist() == kinds
    missed = table[(table["frame"] == 7) & (table["found"] < 0)]
    np.testing.assert_allclose(missed[["y", "x"]], [crystal.place(path[7])], atol=1e-6)
    for row in table[table["found"] >= 0].itertuples():
        np.testing.assert_allclose(
            frames[row.frame].network.objects.positions[row.found], [row.y_px, row.x_px], atol=1e-6
        )


def test_two_that_pass_one_another_are_not_mixed_up(crystal: Crystal) -> None:
    """They hop from frame to frame, in opposite ways, along rows with one between them."""
    frames = [crystal.frame(t, {**STEADY, (9, 10 + t, 1): VACANCY, (11, 16 - t, 1): VACANCY}) for t in range(7)]
    table = on(crystal, frames)
    moving = table[table["sublattice"] == 1]
    assert moving["track"].nunique() == 2
    for start, step in (((9, 10, 1), 1), ((11, 16, 1), -1)):
        rows = moving[moving["track"] == at(crystal, moving, start)["track"].iloc[0]].sort_values("frame")
        true = [crystal.place((start[0], start[1] + step * t, 1)) for t in range(7)]
        np.testing.assert_allclose(rows[["y", "x"]], true, atol=1e-6)


def test_what_ends_and_what_begins_further_away_are_two(crystal: Crystal) -> None:
    frames = [crystal.frame(t, {**STEADY, ((9, 12, 1) if t < 4 else (9, 14, 1)): VACANCY}) for t in range(8)]
    table = on(crystal, frames)
    first, second = (set(at(crystal, table, column)["track"]) for column in ((9, 12, 1), (9, 14, 1)))
    assert len(first) == len(second) == 1
    assert first != second


def test_sublattices_are_linked_apart(crystal: Crystal) -> None:
    """A vacancy fills as a dopant appears beside it: near enough, but another thing."""
    frames = [crystal.frame(t, {**STEADY, ((9, 12, 1) if t < 4 else (9, 12, 0)): (2, 1)[t >= 4]}) for t in range(8)]
    table = on(crystal, frames)
    assert not set(table["track"][table["sublattice"] == 0]) & set(table["track"][table["sublattice"] == 1])


def test_adatoms_are_followed_through_frames_in_which_they_are_missed(crystal: Crystal) -> None:
    places = [(40.0 + 1.2 * t, 60.0 - 1.6 * t) for t in range(10)]
    frames = [
        crystal.frame(t, off=[(100.0, 150.0 + t), *([places[t]] if t not in (3, 4, 7) else [])]) for t in range(10)
    ]
    table = off(frames)
    assert table["track"].nunique() == 2
    rows = table[table["y"] < 80]
    assert rows["frame"].tolist() == [0, 1, 2, 5, 6, 8, 9]
    assert rows["track"].nunique() == 1
    assert (table["site"] == -1).all()


def test_missed_too_long_is_another_one(crystal: Crystal) -> None:
    frames = [crystal.frame(t, off=[(40.0, 60.0)] if t not in (3, 4, 5) else []) for t in range(8)]
    assert off(frames)["track"].nunique() == 2


def test_a_growing_hole_is_one_object_beside_an_adatom_at_its_centre(crystal: Crystal) -> None:
    frames = [
        crystal.frame(t, holes=[] if t == 5 else [(70.0 + 3 * t, 100.0, 8.0 + t)], off=[(69.0, 99.0)] if t < 4 else [])
        for t in range(9)
    ]
    table = off(frames)
    holes = table[table["extended"]]
    assert holes["track"].nunique() == 1
    assert holes["frame"].tolist() == [0, 1, 2, 3, 4, 6, 7, 8]
    np.testing.assert_allclose(holes["area_px"], [np.pi * (8.0 + t) ** 2 for t in holes["frame"]], rtol=0.04)
    assert table[~table["extended"]]["track"].nunique() == 1
    assert not set(holes["track"]) & set(table["track"][~table["extended"]])


def test_drift_is_taken_out_off_the_lattice(crystal: Crystal) -> None:
    drifts = [(4.0 * t, -3.0 * t) for t in range(8)]
    frames = [
        crystal.frame(t, STEADY, drift, off=[(60.0 + drift[0], 120.0 + drift[1])]) for t, drift in enumerate(drifts)
    ]
    table = off(frames, watch(lambda: iter(frames), crystal.cell))
    assert table["track"].nunique() == 1
    np.testing.assert_allclose(table[["y", "x"]], np.broadcast_to([60.0, 120.0], (8, 2)), atol=1e-6)
    np.testing.assert_allclose(table[["y_px", "x_px"]], np.add([60.0, 120.0], drifts), atol=1e-6)


def test_frames_that_were_not_read_are_left_out_and_the_rest_counted(crystal: Crystal) -> None:
    frames = [crystal.frame(t, off=[(40.0, 60.0)]) for t in (2, 3, 6)]
    frames.insert(2, FrameResult("m", 5, error="cut short"))
    table, every = off_columns(lambda: iter(frames), kinds_of, None)
    assert every == [2, 3, 6]
    assert table["step"].tolist() == [0, 1, 2]
    assert table["frame"].tolist() == [2, 3, 6]


def test_joined_tracks_have_numbers_of_their_own(crystal: Crystal) -> None:
    frames = [crystal.frame(t, STEADY, off=[(70.0, 30.0)], holes=[(40, 150, 10)]) for t in range(4)]
    watched = watch(lambda: iter(frames), crystal.cell)
    first = on_columns(watched, decode(watched, library_of().kinds), crystal.cell)
    second = off(frames, watched)
    table = joined(first, second)
    assert table["track"].nunique() == first["track"].nunique() + second["track"].nunique() == 4
    assert table["frame"].is_monotonic_increasing
    assert table.dtypes.astype(str).to_dict() == {name: np.dtype(kind).name for name, kind in COLUMNS.items()}


@pytest.mark.parametrize("frames", [0, 1, 3])
def test_nothing_found_gives_a_table_without_rows(crystal: Crystal, frames: int) -> None:
    made = [crystal.frame(t) for t in range(frames)]
    second = off(made)
    assert len(second) == 0
    assert list(joined(second, second).columns) == list(COLUMNS)
    if frames:
        first = on(crystal, made)
        assert len(first) == 0
        assert list(first.columns) == list(COLUMNS)
