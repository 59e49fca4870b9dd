import numpy as np
import pandas as pd
import pytest

from analysis.histories.dwell import COLUMNS, durations, dwell_times, stays

COLUMNS_IN = ["label", "track", "frame", "told"]


def tracks(*rows) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=COLUMNS_IN)


def track(number, labels, first=0, *, last_told=True) -> list[tuple]:
    """A row for each label, in frames that follow; what becomes of the last is told or not."""
    return [(label, number, first + k, last_told or k < len(labels) - 1) for k, label in enumerate(labels)]


def as_rows(table: pd.DataFrame) -> list[tuple[str, float, bool]]:
    return sorted(table[["label", "frames", "censored"]].itertuples(index=False, name=None))


def geometric(rate: float, count: int, length: int, seed: int) -> pd.DataFrame:
    """Defects that end with this probability per frame, begun at any time of a movie of this length."""
    rng = np.random.default_rng(seed)
    rows = []
    for number in range(count):
        first, lives = int(rng.integers(0, length)), int(rng.geometric(rate))
        shown = min(lives, length - first)
        rows += track(number, "a" * shown, first, last_told=first + shown < length)
    return tracks(*rows)


def test_the_mean_of_geometric_lifetimes_is_found_though_most_are_cut_off() -> None:
    table = geometric(0.05, 3000, 15, 1)
    of_stays = stays(table)
    assert of_stays["censored"].mean() > 0.5
    row = dwell_times(of_stays, 0.5).iloc[0]
    assert row["mean_frames"] == pytest.approx(20, rel=0.06)
    assert row["low_frames"] < 20 < row["high_frames"]
    assert row[["mean_s", "low_s", "high_s"]].tolist() == pytest.approx(
        (0.5 * row[["mean_frames", "low_frames", "high_frames"]]).tolist()
    )
    # The mean of the stays that were seen whole is far too short.
    assert of_stays["frames"][~of_stays["censored"]].mean() < 10


def test_intervals_hold_the_truth_95_times_of_100() -> None:
    rows = [dwell_times(stays(geometric(0.05, 40, 20, seed)), None).iloc[0] for seed in range(200)]
    inside = np.mean([row["low_frames"] <= 20 <= row["high_frames"] for row in rows])
    assert 0.91 <= inside <= 0.995


def test_a_stay_ends_with_its_kind() -> None:
    table = tracks(*track(3, "aaabba", 5))
    assert as_rows(stays(table)) == [("a", 1, False), ("a", 3, False), ("b", 2, False)]


def test_tracks_to_the_end_are_not_seen_to_end() -> None:
    table = tracks(*track(0, "aaaa", last_told=False), *track(1, "aa"))
    assert as_rows(stays(table)) == [("a", 2, False), ("a", 3, True)]
    row = dwell_times(stays(table), None).iloc[0]
    assert (row["ends"], row["frames_at_risk"], row["mean_frames"]) == (1, 5, 5.0)
    assert np.isnan(row[["mean_s", "low_s", "high_s"]].to_numpy(float)).all()


def test_where_nothing_is_told_no_time_counts_and_what_comes_after_is_another_stay() -> None:
    table = tracks(*track(0, "aaaaaaa"))
    table["told"] = [True, True, False, False, True, True, True]
    assert as_rows(stays(table)) == [("a", 2, True), ("a", 3, False)]


def test_a_change_that_was_not_seen_is_no_end() -> None:
    table = tracks(*track(0, "aabb"))
    table["told"] = [True, False, True, True]
    assert as_rows(stays(table)) == [("a", 1, True), ("b", 2, False)]


def test_missed_frames_belong_to_the_stay() -> None:
    table = tracks(("a", 0, 0, True), ("a", 0, 1, True), ("a", 0, 4, True), ("a", 0, 5, True))
    assert as_rows(stays(table)) == [("a", 6, False)]


def test_the_order_of_rows_is_of_no_matter() -> None:
    table = pd.concat([tracks(*track(0, "aab", 3)), tracks(*track(1, "ba", 2, last_told=False))], ignore_index=True)
    mixed = table.sample(frac=1, random_state=0)
    assert as_rows(stays(mixed)) == as_rows(stays(table))


def test_without_an_end_only_the_low_limit_is_known() -> None:
    row = dwell_times(stays(tracks(*track(0, "a" * 31, last_told=False))), 2.0).iloc[0]
    assert row["ends"] == 0
    assert np.isnan(row["mean_frames"])
    assert np.isnan(row["high_s"])
    # No end in 30 frames at a rate of r has probability exp(-30 r), which shall be 0.025.
    assert row["low_frames"] == pytest.approx(30 / -np.log(0.025))
    assert row["low_s"] == pytest.approx(60 / -np.log(0.025))


def test_nothing_gives_tables_without_rows() -> None:
    of_stays = stays(tracks())
    assert len(of_stays) == 0
    assert list(dwell_times(of_stays, 1.0).columns) == list(COLUMNS)
    assert durations(of_stays) == {}


def test_durations_of_each_kind() -> None:
    found = durations(stays(tracks(*track(0, "aab", last_told=False), *track(1, "bbb"))))
    assert found["a"][0].tolist() == [2]
    assert found["a"][1].tolist() == [False]
    assert found["b"][0].tolist() == [3]  # the last frame of track 0 tells nothing
    assert found["b"][1].tolist() == [False]
