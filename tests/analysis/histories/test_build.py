"""A simulated movie's histories against its truth, and against the probabilities by which it was made."""

import numpy as np
import pandas as pd
import pytest

from analysis.histories.build import TABLES, empty_table
from benchmarks.known_movie import EVENTS, central, compare_transitions, identities, matched, true_diffusion


@pytest.fixture(scope="module")
def pairs(known) -> pd.DataFrame:
    """Central defects of the truth with the track that was found there."""
    tracks = known.histories.tracks
    tracks = tracks.assign(found_by=np.where(tracks["found"] >= 0, "network", "history"))
    points = central(known.truth[known.truth["site"] != "hole"], known.settings)
    return matched(points, tracks[~tracks["extended"]])


def test_nearly_all_defects_are_followed_though_the_network_misses_some(known, pairs) -> None:
    points = central(known.truth[known.truth["site"] != "hole"], known.settings)
    assert len(pairs) > 0.97 * len(points)
    assert (pairs["found_by"] == "history").mean() > 0.05


def test_identities_are_kept(pairs) -> None:
    kept = identities(pairs, len(pairs), 0)
    assert kept["steps in the same track"] >= 0.97
    assert kept["IDF1"] >= 0.9


def test_kinds_are_those_of_the_truth(pairs) -> None:
    assert (pairs["kind"] == pairs["site"]).mean() >= 0.98


def test_probabilities_are_those_by_which_the_movie_was_made(known) -> None:
    bright = {"perfect A": known.settings.sites[0], "perfect B": known.settings.sites[1]}
    told = compare_transitions(known.histories.transitions, bright, known.settings)
    assert len(told) >= 6
    assert (told["events"] >= EVENTS).all()
    assert told["truth"].notna().all()
    assert told["within"].all()


def test_vacancies_diffuse_as_they_hop(known) -> None:
    row = known.histories.diffusion.set_index("kind").loc["sulphur_vacancy"]
    true = true_diffusion(known.truth, known.settings)
    assert row["coefficient_nm2_s"] == pytest.approx(true, rel=0.15)
    assert row["low_nm2_s"] < true < row["high_nm2_s"]
    still = known.histories.diffusion.set_index("kind").loc["molybdenum"]
    assert (still["moves"], still["coefficient_nm2_s"]) == (0, 0.0)


def test_counts_are_those_of_the_truth(known) -> None:
    counts = known.histories.counts.pivot_table(index="frame", columns="kind", values="count")
    edge = 1.5 * known.cell.lattice.period_px  # columns further out are not watched
    places = known.truth[["y_px", "x_px"]]
    seen = ((places >= edge) & (places <= np.array(known.settings.size_px) - 1 - edge)).all(axis=1)
    points = known.truth[seen & (known.truth["site"] != "hole")]
    true = points.groupby(["frame", "site"]).size().unstack(fill_value=0)
    assert counts.index.tolist() == list(range(known.settings.frames))
    for site in ("sulphur_vacancy", "molybdenum"):
        assert counts[site].mean() == pytest.approx(true[site].mean(), rel=0.05)
    assert (counts["hole"] > 0).tolist() == [n >= known.settings.hole_from_frame for n in counts.index]


def test_the_hole_has_its_area(known) -> None:
    rows = known.histories.counts
    last = rows[(rows["kind"] == "hole") & (rows["frame"] == known.settings.frames - 1)].iloc[0]
    columns = (known.truth[known.truth["frame"] == last["frame"]]["site"] == "hole").sum()
    per_column = np.sqrt(0.75) * 0.3153**2 / 2  # nm2: two columns in a cell of WS2
    assert last["area_nm2"] == pytest.approx(columns * per_column, rel=0.15)
    assert last["time_s"] == last["frame"] * known.settings.frame_interval_s


def test_drift_is_that_of_the_truth(known) -> None:
    dopants = known.truth[known.truth["site"] == "molybdenum"].pivot_table(
        index="frame", columns="identity", values=["y_px", "x_px"]
    )
    drift = known.histories.drift.set_index("frame")
    for axis, name in (("y_px", "dy_px"), ("x_px", "dx_px")):
        true = (dopants[axis] - dopants[axis].iloc[0]).median(axis=1)
        assert np.abs(drift[name] - true).max() < 0.5
        assert np.ptp(true) > 1.0


def test_every_table_has_its_columns(known) -> None:
    for name in TABLES:
        table = getattr(known.histories, name)
        assert len(table)
        assert list(table.columns) == list(empty_table(name).columns)
