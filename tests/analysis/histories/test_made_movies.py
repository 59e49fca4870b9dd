"""Histories of movies made by hand, in which each thing happens once."""

import numpy as np
import pytest

from analysis.histories.build import TABLES, empty_table
from analysis.results import FrameResult

from .conftest import DOPANT, NAMES, PAIR_VACANCY, VACANCY

STEADY = {(9, 9, 0): DOPANT, (12, 13, 0): DOPANT, (9, 16, 0): DOPANT}


def events(histories) -> dict[tuple[str, str], int]:
    rows = histories.transitions
    return {(a, b): n for a, b, n in rows[["from", "to", "events"]].to_numpy()}


def dwell(histories, kind) -> list[float]:
    return histories.dwell_times.set_index("kind").loc[kind, ["ends", "frames_at_risk"]].tolist()


def assert_whole(histories) -> None:
    """All tables have their columns."""
    for name in TABLES:
        assert set(empty_table(name).columns) <= set(getattr(histories, name).columns), name


def track_at(crystal, tracks, column):
    """The rows of the track that is at this column."""
    away = np.linalg.norm(tracks[["y", "x"]].to_numpy() - crystal.place(column), axis=1)
    return tracks[tracks["track"] == tracks["track"][away < 1e-6].iloc[0]].sort_values("frame")


def test_nothing_moves_or_changes_where_nothing_does(crystal, histories_of) -> None:
    drifts = [(0.7 * t, 0.4 * t) for t in range(12)]
    frames = [crystal.frame(t, {**STEADY, (8, 12, 1): VACANCY}, drift) for t, drift in enumerate(drifts)]
    histories = histories_of(frames, crystal.cell)
    rows = histories.transitions
    assert (rows["probability"] == 1).all()
    assert set(rows["from"]) >= {"vacancy", "dopant", "perfect A", "perfect B"}
    assert histories.diffusion["moves"].sum() == 0
    assert histories.dwell_times["ends"].sum() == 0
    assert histories.counts.groupby("kind")["count"].agg(["min", "max"]).T.to_dict("list") == {
        "adatom": [0, 0], "dopant": [3, 3], "hole": [0, 0], "pair vacancy": [0, 0], "vacancy": [1, 1],
    }  # fmt: skip
    np.testing.assert_allclose(histories.drift[["dy_px", "dx_px"]], drifts, atol=1e-6)


def test_a_vacancy_that_hops_and_one_that_becomes_a_pair_stay_the_same(crystal, histories_of) -> None:
    path = [(9, 12, 1)] * 3 + [(9, 13, 1)] * 3 + [(10, 14, 1)] * 4
    drifts = np.array([(0.8 * t, -1.1 * t) for t in range(10)])
    frames = [
        crystal.frame(t, {**STEADY, path[t]: VACANCY, (8, 17, 1): (VACANCY, PAIR_VACANCY)[t >= 5]}, drifts[t])
        for t in range(10)
    ]
    histories = histories_of(frames, crystal.cell)
    assert histories.tracks["track"].nunique() == 5
    hopped = track_at(crystal, histories.tracks, path[0])
    np.testing.assert_allclose(hopped[["y", "x"]], [crystal.place(column) for column in path], atol=1e-6)
    np.testing.assert_allclose(hopped[["y_px", "x_px"]], hopped[["y", "x"]] + drifts, atol=1e-6)
    changed = track_at(crystal, histories.tracks, (8, 17, 1))
    assert changed["kind"].tolist() == ["vacancy"] * 5 + ["pair vacancy"] * 5
    assert {pair: n for pair, n in events(histories).items() if "vacancy" in pair[0]} == {
        ("vacancy", "vacancy"): 9 + 4, ("vacancy", "pair vacancy"): 1, ("pair vacancy", "pair vacancy"): 4,
    }  # fmt: skip
    assert dwell(histories, "vacancy") == [1, 14]
    assert dwell(histories, "pair vacancy") == [0, 4]
    row = histories.diffusion.set_index("kind").loc["vacancy"]
    assert (row["moves"], row["steps"]) == (2, 9 + 4)
    assert row["coefficient_nm2_s"] == pytest.approx(2 / 13 * (10 * 0.03) ** 2 / (4 * 2.0))


def test_what_ends_is_another_than_what_begins_further_away_or_on_another_sublattice(crystal, histories_of) -> None:
    late = {(9, 14, 1): VACANCY, (11, 17, 0): DOPANT}
    frames = [crystal.frame(t, STEADY | (late if t >= 4 else {(9, 12, 1): VACANCY, (11, 17, 1): 2})) for t in range(8)]
    histories = histories_of(frames, crystal.cell)
    assert histories.tracks["track"].nunique() == 3 + 4
    found = events(histories)
    assert (found["vacancy", "perfect B"], found["perfect B", "vacancy"], found["perfect A", "dopant"]) == (2, 1, 1)
    assert dwell(histories, "vacancy") == [2, 4 + 4 + 3]


def test_frames_that_could_not_be_read_are_no_step(crystal, histories_of) -> None:
    """What is gone after a gap may have been so from any frame on."""
    frames = [crystal.frame(t, STEADY | ({(8, 12, 1): VACANCY} if t < 6 else {})) for t in range(12)]
    whole = histories_of(frames, crystal.cell)
    gap = [frame if frame.frame not in (6, 7) else FrameResult("m", frame.frame, error="cut") for frame in frames]
    histories = histories_of(gap, crystal.cell)
    assert events(whole)["vacancy", "perfect B"] == 1
    assert ("vacancy", "perfect B") not in events(histories)
    assert (events(whole)["dopant", "dopant"], events(histories)["dopant", "dopant"]) == (3 * 11, 3 * 8)
    assert (dwell(whole, "vacancy"), dwell(histories, "vacancy")) == ([1, 6], [0, 5])
    assert dwell(histories, "dopant") == [0, 3 * 8]
    assert histories.counts["frame"].unique().tolist() == [0, 1, 2, 3, 4, 5, 8, 9, 10, 11]
    assert histories.tracks[histories.tracks["kind"] == "dopant"]["track"].nunique() == 3


@pytest.mark.parametrize(("last", "ends"), [(8, 1), (9, 0), (11, 0)])
def test_off_the_lattice_what_may_only_be_missed_at_the_end_has_not_ended(crystal, histories_of, last, ends) -> None:
    frames = [crystal.frame(t, STEADY, off=[(70, 100)] * (t <= last)) for t in range(12)]
    assert dwell(histories_of(frames, crystal.cell), "adatom") == [ends, last + ends]


def test_bound_vacancies_are_apart_from_free_ones(crystal, histories_of) -> None:
    arms = crystal.nearest(crystal.place((9, 9, 0)), 1, 3)
    frames = [crystal.frame(t, {**STEADY, arms[t // 4 % 3]: VACANCY, (8, 16 + t % 2, 1): VACANCY}) for t in range(16)]
    histories = histories_of(frames, crystal.cell)
    labels = histories.tracks[histories.tracks["kind"] == "vacancy"].groupby("label").size()
    assert labels.to_dict() == {"vacancy": 16, "vacancy, bound": 16}
    complexes = histories.transitions[histories.transitions["process"] == "complex"]
    assert complexes["events"].sum() == 15 * len(STEADY)
    free = histories.transitions[histories.transitions["process"] == "column"]
    assert free[free["from"] == "vacancy"][["to", "events"]].to_numpy().tolist() == [["vacancy", 15]]
    assert set(histories.dwell_times["kind"]) == {"dopant", "vacancy", "vacancy, bound"}
    assert histories.diffusion.set_index("kind").loc["vacancy, bound", "moves"] == 3


@pytest.mark.parametrize("length", [1, 4])
def test_a_movie_without_defects_has_tables_without_rows(crystal, histories_of, length) -> None:
    histories = histories_of([crystal.frame(t) for t in range(length)], crystal.cell)
    assert_whole(histories)
    assert len(histories.tracks) == len(histories.dwell_times) == len(histories.diffusion) == 0
    assert len(histories.transitions) == (2 if length > 1 else 0)
    assert histories.counts["count"].tolist() == [0] * 5 * length


def test_one_frame_has_defects_and_no_history(crystal, histories_of) -> None:
    frame = crystal.frame(0, STEADY, off=[(70, 100)], holes=[(110, 170, 10)])
    histories = histories_of([frame], crystal.cell)
    assert_whole(histories)
    assert len(histories.tracks) == len(STEADY) + 2
    assert len(histories.transitions) == len(histories.stays) == len(histories.displacements) == 0
    assert histories.counts["count"].sum() == len(STEADY) + 2
    assert set(histories.counts["kind"]) == set(NAMES.values())


def test_no_frame_could_be_read(histories_of, crystal) -> None:
    assert_whole(histories_of([FrameResult("m", 0, error="cut")], crystal.cell))
    assert_whole(histories_of([FrameResult("m", 0, error="cut")], None))


def test_what_has_no_scale_is_not_known(crystal, histories_of) -> None:
    frames = [crystal.frame(t, STEADY, off=[(70, 100)], holes=[(110, 170, 10)]) for t in range(14)]
    histories = histories_of(frames, crystal.cell, None, None)
    assert histories.counts[["time_s", "area_nm2"]].isna().all(axis=None)
    assert (histories.counts["area_px"] > 0).sum() == 14
    assert histories.dwell_times["low_frames"].notna().all()
    assert histories.dwell_times["low_s"].isna().all()
    assert histories.diffusion["coefficient_nm2_s"].isna().all()
    assert len(histories.diffusion) > 0


def test_scales_are_those_of_the_movie(crystal, histories_of) -> None:
    frames = [crystal.frame(t, STEADY, holes=[(110, 170, 10)]) for t in range(4)]
    histories = histories_of(frames, crystal.cell, 0.03, 2.0)
    holes = histories.counts[histories.counts["kind"] == "hole"]
    assert holes["time_s"].tolist() == [0, 2, 4, 6]
    np.testing.assert_allclose(holes["area_nm2"], np.pi * (10 * 0.03) ** 2, rtol=0.03)
