import numpy as np
import pandas as pd
import pytest

from analysis.histories import motion
from analysis.histories.motion import COLUMNS, CURVE_COLUMNS, LAGS, diffusion

HOP, SIZE_NM, SECONDS = 10.0, 0.03, 0.5
STEPS = HOP * np.stack([np.sin(np.arange(6) * np.pi / 3), np.cos(np.arange(6) * np.pi / 3)], axis=1)


def tracks(paths, label="vacancy", site=0) -> pd.DataFrame:
    """Rows of paths (track, frame, 2) in px; all are told, but for the last of each."""
    count, length, _ = paths.shape
    frame = np.tile(np.arange(length), count)
    return pd.DataFrame(
        {
            "label": label, "track": np.repeat(np.arange(count), length), "frame": frame, "y": paths[..., 0].ravel(),
            "x": paths[..., 1].ravel(), "site": site, "extended": False, "told": frame < length - 1,
        }
    )  # fmt: skip


def lattice_walks(rate, count, length, seed) -> np.ndarray:
    """Walks on a hexagonal lattice, a hop with probability `rate` per frame."""
    rng = np.random.default_rng(seed)
    moves = STEPS[rng.integers(0, 6, (count, length - 1))] * (rng.random((count, length - 1, 1)) < rate)
    return np.concatenate([np.zeros((count, 1, 2)), moves.cumsum(axis=1)], axis=1)


def brownian(spread, error, count, length, seed) -> np.ndarray:
    """Brownian motion of this deviation per frame and direction, seen with this error."""
    rng = np.random.default_rng(seed)
    return rng.normal(0, spread, (count, length, 2)).cumsum(axis=1) + rng.normal(0, error, (count, length, 2))


def one(paths, site=0) -> pd.Series:
    return diffusion(tracks(paths, site=site), HOP, SIZE_NM, SECONDS)[0].iloc[0]


@pytest.fixture
def no_curve(monkeypatch) -> None:
    """Of many movies the coefficient is wanted alone."""
    monkeypatch.setattr(motion, "LAGS", 0)


def test_a_walk_on_the_lattice_has_the_coefficient_of_its_hops() -> None:
    rate = 0.04
    row = one(lattice_walks(rate, 200, 80, 0))
    true = rate * (HOP * SIZE_NM) ** 2 / (4 * SECONDS)
    assert row["coefficient_nm2_s"] == pytest.approx(true, rel=0.1)
    assert row["low_nm2_s"] <= true <= row["high_nm2_s"]
    assert (row["tracks"], row["steps"]) == (200, 200 * 79)
    assert row["moves"] == pytest.approx(rate * 200 * 79, rel=0.1)


@pytest.mark.usefixtures("no_curve")
def test_the_interval_of_hops_holds_the_truth_95_times_of_100() -> None:
    true = 0.03 * (HOP * SIZE_NM) ** 2 / (4 * SECONDS)
    rows = [one(lattice_walks(0.03, 20, 30, seed)) for seed in range(200)]
    inside = np.mean([row["low_nm2_s"] <= true <= row["high_nm2_s"] for row in rows])
    assert 0.92 <= inside <= 0.995


def test_the_mean_square_displacement_grows_with_the_lag() -> None:
    rate = 0.05
    curve = diffusion(tracks(lattice_walks(rate, 300, 60, 1)), HOP, SIZE_NM, SECONDS)[1]
    assert curve["lag_frames"].tolist() == list(range(1, LAGS + 1))
    np.testing.assert_allclose(curve["lag_s"], SECONDS * curve["lag_frames"])
    true = rate * curve["lag_frames"] * (HOP * SIZE_NM) ** 2
    np.testing.assert_allclose(curve["msd_nm2"], true, rtol=0.1)
    assert ((curve["low_nm2"] <= true) & (true <= curve["high_nm2"])).all()
    assert curve["pairs"].tolist() == [300 * (60 - lag) for lag in range(1, LAGS + 1)]


@pytest.mark.usefixtures("no_curve")
@pytest.mark.parametrize("error", [0.0, 0.5, 1.5])
def test_the_error_of_places_off_the_lattice_is_taken_out(error: float) -> None:
    spread = 0.8
    true = spread**2 * SIZE_NM**2 / (2 * SECONDS)
    rows = pd.DataFrame([one(brownian(spread, error, 20, 40, seed), site=-1) for seed in range(150)])
    of_mean = rows["coefficient_nm2_s"].std() / np.sqrt(len(rows))
    assert abs(rows["coefficient_nm2_s"].mean() - true) < 3.5 * of_mean
    assert of_mean < 0.03 * true
    inside = ((rows["low_nm2_s"] <= true) & (true <= rows["high_nm2_s"])).mean()
    assert 0.89 <= inside <= 0.995


@pytest.mark.usefixtures("no_curve")
def test_what_is_still_does_not_diffuse_however_ill_it_is_seen() -> None:
    rows = pd.DataFrame([one(brownian(0.0, 1.0, 20, 40, seed), site=-1) for seed in range(60)])
    seen = 4 * 1.0**2 * SIZE_NM**2 / (4 * SECONDS)  # what the steps alone would tell
    assert (rows["low_nm2_s"] == 0).mean() > 0.9
    assert rows["coefficient_nm2_s"].mean() < 0.05 * seen


def test_without_a_hop_a_few_may_have_been_missed() -> None:
    row = one(np.zeros((3, 21, 2)))
    assert (row["coefficient_nm2_s"], row["low_nm2_s"], row["moves"]) == (0.0, 0.0, 0)
    # No hop in 60 steps at a rate of r has probability exp(-60 r), which shall be 0.025.
    missed = -np.log(0.025) / 60
    assert row["high_nm2_s"] == pytest.approx(missed * (HOP * SIZE_NM) ** 2 / (4 * SECONDS))


@pytest.mark.parametrize(("size", "seconds"), [(None, 1.0), (0.03, None), (None, None)])
def test_what_has_no_scale_is_not_known(size, seconds) -> None:
    coefficients, curve = diffusion(tracks(lattice_walks(0.1, 10, 20, 0)), HOP, size, seconds)
    assert coefficients["steps"].tolist() == [190]
    assert coefficients[["coefficient_nm2_s", "low_nm2_s", "high_nm2_s"]].isna().all(axis=None)
    assert curve["msd_nm2"].isna().all() == (size is None)
    assert curve["lag_s"].isna().all() == (seconds is None)


def test_only_what_is_told_counts() -> None:
    paths = np.zeros((1, 41, 2))
    paths[0, 20:] = STEPS[0]
    table = tracks(paths)
    assert diffusion(table, HOP, SIZE_NM, SECONDS)[0]["moves"].tolist() == [1]
    table.loc[table["frame"] == 19, "told"] = False
    coefficients, _ = diffusion(table, HOP, SIZE_NM, SECONDS)
    assert coefficients[["steps", "moves"]].to_numpy().tolist() == [[39, 0]]


def test_missed_frames_are_no_step_and_tracks_do_not_run_into_one_another() -> None:
    paths = np.zeros((2, 30, 2))
    paths[1] = 500.0
    table = tracks(paths)
    table.loc[(table["track"] == 0) & (table["frame"] > 10), "y"] = 40.0
    table = table[~((table["track"] == 0) & (table["frame"] == 10))]
    row = diffusion(table, HOP, SIZE_NM, SECONDS)[0].iloc[0]
    assert (row["moves"], row["steps"]) == (0, 29 + 27)


def test_each_kind_by_itself_few_steps_and_extended_ones_not_at_all() -> None:
    hole = tracks(brownian(3.0, 0.0, 2, 40, 0), "hole", -1).assign(extended=True)
    parts = [
        tracks(lattice_walks(0.1, 5, 30, 0), "a"),
        tracks(np.zeros((5, 30, 2)), "b"),
        tracks(np.zeros((1, 8, 2)), "few"),
        hole,
    ]
    table = pd.concat([part.assign(track=part["track"] + 100 * n) for n, part in enumerate(parts)], ignore_index=True)
    coefficients, curve = diffusion(table, HOP, SIZE_NM, SECONDS)
    assert coefficients["kind"].tolist() == ["a", "b"]
    assert set(curve["kind"]) == {"a", "b"}
    assert coefficients["coefficient_nm2_s"][0] > 0 == coefficients["coefficient_nm2_s"][1]


def test_nothing_gives_tables_without_rows() -> None:
    coefficients, curve = diffusion(tracks(np.zeros((0, 5, 2))), HOP, SIZE_NM, SECONDS)
    assert (list(coefficients.columns), len(coefficients)) == (list(COLUMNS), 0)
    assert (list(curve.columns), len(curve)) == (list(CURVE_COLUMNS), 0)
