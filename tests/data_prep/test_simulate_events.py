"""The events of simulated movies, read from the truth tables, against their rates."""

from collections import defaultdict
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial import KDTree

from data_prep.simulate import MovieSettings
from data_prep.simulate.settings import dopant_transitions, vacancy_transitions

Rows = list[dict[str, str]]
Simulated = Callable[..., tuple[NDArray[np.uint16], Rows]]
Columns = Callable[..., Rows]

MISSING = {"sulphur_pair": 0, "sulphur_vacancy": 1, "sulphur_pair_vacancy": 2}
# Many columns and frames, coarse pixels: the tables matter here.
MANY = {"size_px": (120, 180), "field_nm": 12.0, "frames": 25, "dose": 10.0}
CONSTANT_PX = 0.3153 / (12.0 / 180)


def histories(rows: Rows, key: str) -> dict[str, dict[int, dict[str, str]]]:
    """The rows of each column, object or defect by frame."""
    found: dict[str, dict[int, dict[str, str]]] = defaultdict(dict)
    for row in rows:
        found[row[key]][int(row["frame"])] = row
    return found


def steps(history: dict[int, dict[str, str]]) -> list[tuple[dict[str, str], dict[str, str]]]:
    return [(history[frame], history[frame + 1]) for frame in sorted(history) if frame + 1 in history]


def place(row: dict[str, str]) -> NDArray[np.float64]:
    return np.array([row["y_px"], row["x_px"]], float)


def assert_rates(counts: NDArray[np.float64], expected: NDArray[np.float64]) -> None:
    """Transitions counted (n, n) agree with their probabilities within 4 standard errors."""
    total = counts.sum(axis=1, keepdims=True)
    assert total.min() > 100
    error = np.sqrt(expected * (1 - expected) / total)
    assert (np.abs(counts / total - expected) <= 4 * error + 1e-12).all()


def test_columns_lose_and_regain_atoms_at_the_rates_given(all_columns: Columns) -> None:
    rows = all_columns(**MANY, vacancy_share=0.3, pair_vacancy_share=0.3, knock_on=0.03, filling=0.05, seed=4)
    counts = np.zeros((3, 3))
    for history in histories(rows, "identity").values():
        for before, after in steps(history):
            if before["site"] in MISSING:
                counts[MISSING[before["site"]], MISSING[after["site"]]] += 1
    expected = np.array([[0.94, 0.06, 0], [0.05, 0.92, 0.03], [0, 0.10, 0.90]])
    assert_rates(counts, expected)
    np.testing.assert_allclose(vacancy_transitions(MovieSettings(knock_on=0.03, filling=0.05)), expected)


def test_the_beam_alone_never_gives_sulphur_back(simulated: Simulated) -> None:
    _, rows = simulated(frames=6, knock_on=0.01, seed=5)
    missing: dict[str, list[int]] = defaultdict(lambda: [0] * 6)
    for row in rows:
        missing[row["object"]][int(row["frame"])] = MISSING[row["site"]]
    assert all(history == sorted(history) for history in missing.values())
    totals = [sum(history[frame] for history in missing.values()) for frame in range(6)]
    assert totals[0] == 0
    assert totals[5] > 5


def test_vacancies_hop_to_neighbouring_columns_at_their_rate_and_keep_their_identity(simulated: Simulated) -> None:
    _, rows = simulated(**MANY, vacancy_share=0.03, hopping=0.3, seed=6)
    assert {row["site"] for row in rows} == {"sulphur_vacancy"}  # a hop neither makes nor ends a vacancy
    inside, hops, angles = 0, 0, []
    for history in histories(rows, "identity").values():
        for before, after in steps(history):
            if not (8 < place(before)[0] < 111 and 8 < place(before)[1] < 171):
                continue  # one that hops out of view has no next row
            inside += 1
            moved = place(after) - place(before)
            if np.hypot(*moved):
                hops += 1
                assert np.hypot(*moved) == pytest.approx(CONSTANT_PX, abs=0.001)
                angles.append(np.degrees(np.arctan2(*moved)) % 360)
    free = 0.97  # of the columns beside it are full
    assert hops / inside == pytest.approx(0.3 * free, abs=4 * np.sqrt(0.3 * 0.7 / inside))
    sector = np.round((np.array(angles) - angles[0]) / 60).astype(int) % 6
    shares = np.bincount(sector, minlength=6) / len(sector)
    assert shares == pytest.approx(1 / 6, abs=4 * np.sqrt(5 / 36 / len(sector)))


def test_no_column_holds_two_defects_and_no_identity_is_in_two_places(simulated: Simulated) -> None:
    _, rows = simulated(
        **MANY, dopant_share=0.05, vacancy_share=0.2, hopping=0.5, knock_on=0.01, filling=0.05, binding=0.3,
        release=0.3, switching=0.3, seed=8,
    )  # fmt: skip
    for frame in range(25):
        here = [row for row in rows if row["frame"] == str(frame)]
        assert len({row["identity"] for row in here}) == len(here)
        assert len({row["object"] for row in here}) == len(here)


def test_a_vacancy_made_is_a_new_one_and_one_filled_does_not_come_back(simulated: Simulated) -> None:
    _, rows = simulated(**MANY, vacancy_share=0.05, knock_on=0.02, filling=0.2, seed=2)
    seen = histories(rows, "identity")
    assert len(seen) > len([row for row in rows if row["frame"] == "0"])
    for history in seen.values():
        assert len(history) == max(history) - min(history) + 1
        assert len({row["object"] for row in history.values()}) == 1  # without hops it stays in its column
    again = [len({row["identity"] for row in history.values()}) for history in histories(rows, "object").values()]
    assert max(again) > 1


def test_dopants_change_state_at_the_rates_given(simulated: Simulated) -> None:
    rates = {"binding": 0.3, "release": 0.2, "switching": 0.4}
    _, rows = simulated(**MANY, dopant_share=0.06, **rates, seed=3)
    counts, first = np.zeros((4, 4)), np.zeros(2)
    for history in histories([row for row in rows if row["state"]], "identity").values():
        first[min(int(row["state"]) for frame, row in history.items() if frame == min(history)) > 0] += 1
        for before, after in steps(history):
            counts[int(before["state"]), int(after["state"])] += 1
    expected = np.array([[0.7, 0.1, 0.1, 0.1], [0.2, 0.4, 0.2, 0.2], [0.2, 0.2, 0.4, 0.2], [0.2, 0.2, 0.2, 0.4]])
    assert_rates(counts, expected)
    np.testing.assert_allclose(dopant_transitions(MovieSettings(**rates)), expected)
    assert first[1] / first.sum() == pytest.approx(0.6, abs=4 * np.sqrt(0.24 / first.sum()))  # as in the long run


def test_the_state_of_a_dopant_says_which_neighbouring_column_has_the_vacancy(simulated: Simulated) -> None:
    _, rows = simulated(
        **MANY, dopant_share=0.04, binding=0.3, release=0.2, switching=0.4, drift_px=0.3, jitter_px=0.2, seed=5
    )
    at: dict[tuple[str, str], list[NDArray[np.float64]]] = defaultdict(list)
    bound: dict[tuple[str, int], str] = {}
    for frame in range(25):
        here = [row for row in rows if row["frame"] == str(frame)]
        vacancies = [row for row in here if row["site"] == "sulphur_vacancy"]
        tree = KDTree([place(row) for row in vacancies])
        for row in here:
            if row["state"] and 8 < place(row)[0] < 111 and 8 < place(row)[1] < 171:
                near = tree.query_ball_point(place(row), 1.35 * CONSTANT_PX / np.sqrt(3))
                assert len(near) == (row["state"] != "0")
                if near:
                    at[row["identity"], row["state"]].append(place(vacancies[near[0]]) - place(row))
                    bound[row["identity"], frame] = vacancies[near[0]]["identity"]
    assert len(at) > 50
    for moved in at.values():
        assert np.ptp(moved, axis=0).max() < 1.5  # always the same column, but for scan and drift
    following = [(bound[dopant, frame], bound.get((dopant, frame + 1))) for dopant, frame in bound]
    both = [(before, after) for before, after in following if after]
    assert len(both) > 100
    assert all(before == after for before, after in both)


def test_what_a_hole_takes_is_a_defect_no_more(simulated: Simulated) -> None:
    """In the hole's circle there is hole alone, and bound vacancies outlive their dopant."""
    _, rows = simulated(
        **MANY, dopant_share=0.1, vacancy_share=0.1, binding=0.5, hole_from_frame=5, hole_radius_nm=2.0, seed=1
    )
    last = [row for row in rows if row["frame"] == "24"]
    holes = np.array([place(row) for row in last if row["site"] == "hole"])
    centre = holes.mean(axis=0)
    inside = [row for row in last if np.hypot(*(place(row) - centre)) < 1.6 / (12.0 / 180)]
    assert len(inside) > 50
    assert {row["site"] for row in inside} == {"hole"}
    assert {row["species"] for row in inside} == {"none"}
