"""From what workers found to tables: of whatever was found, nothing is lost."""

import tracemalloc
from dataclasses import replace

import h5py
import numpy as np
import pandas as pd
import pytest

from analysis.results import load_results
from analysis.run_results import save_targets
from analysis.tables import read_table
from data_prep.errors import InputError
from tests.apps.small_run import HISTORIES, POINTS, TABLES, check_tables


def test_every_table_is_there_as_csv_and_as_parquet_with_the_same_content(learnt):
    assert check_tables(learnt.folder) == {(inner, name) for name, inner in TABLES.items()}


def test_tables_agree_with_one_another_and_with_the_maps(learnt):
    tables = learnt.tables()
    defects = tables["defects"]
    found = {result.frame: result.network for result in load_results(learnt.maps)}
    seen = defects[defects["found_by"] != "history"]
    assert seen.groupby("frame").size().to_dict() == {n: len(network) for n, network in found.items()}
    assert ((seen["found_by"] == "intensity") == (seen["class"] == "")).all()
    for frame, rows in seen.groupby("frame"):
        np.testing.assert_allclose(rows[["y_px", "x_px"]], found[frame].objects.positions, atol=0.0051)
    assert set(defects["kind"]) <= set(tables["kinds"]["kind"])
    # The library counts what was seen, the histories what was followed.
    assert tables["kinds"]["count"].sum() == len(seen)
    followed = defects[defects["track"] >= 0].groupby(["frame", "kind"]).size()
    counts = tables["counts"].set_index(["frame", "kind"])["count"]
    assert counts[counts > 0].to_dict() == followed.to_dict()
    assert tables["drift"]["frame"].tolist() == [1, 2, 3, 4]


def test_dopants_are_of_other_kinds_than_vacancies(learnt, tiny_movie):
    """What lies at a true defect, against its species; frames so few and small cannot tell all of them apart."""
    truth, defects = pd.read_csv(tiny_movie[1]), learnt.tables()["defects"]
    dopant: dict[str, list[bool]] = {}
    for frame, rows in defects[~defects["extended"]].groupby("frame"):
        known = truth[(truth["frame"] == frame) & truth["site"].isin(POINTS)]
        apart = np.hypot(*(rows[c].to_numpy()[:, None] - known[c].to_numpy() for c in ("y_px", "x_px")))
        sites = known["site"].to_numpy()[apart.argmin(axis=1)]
        for kind, site in zip(rows["kind"][apart.min(axis=1) < 3], sites[apart.min(axis=1) < 3], strict=True):
            dopant.setdefault(kind, []).append(site == "molybdenum")
    assert sum(map(len, dopant.values())) > 150
    assert {kind: np.mean(members) for kind, members in dopant.items()} == {
        kind: kind.startswith("molybdenum") for kind in dopant
    }


def fail(*_arguments, **_options):
    raise ValueError("no such\nthing")


OF_MOVIES = set(HISTORIES) - {"surroundings"}
PARTS = {
    "the library of defects": ("analysis.library.build.build_library", {"kinds", *HISTORIES}),
    "the histories of tiny": ("analysis.histories.build.build_histories", OF_MOVIES),
    "the surroundings of defects": ("analysis.surroundings.surroundings", {"surroundings"}),
    "the confusion of kinds": ("apps.analyse.scores_by_kind", set()),
}


@pytest.mark.parametrize("part", PARTS)
def test_what_cannot_be_made_is_told_and_all_else_is_there(part, learnt, tmp_path, monkeypatch):
    run = learnt.copied(tmp_path / "run")
    before = run.tables()
    (run.folder / "defects.csv").unlink()
    function, lost = PARTS[part]
    monkeypatch.setattr(function, fail)
    assert run.analyse() == [f"{part} could not be made: ValueError: no such thing"]
    monkeypatch.undo()
    assert (run.folder / "defects.csv").exists()
    now = run.tables()
    assert {name for name, table in now.items() if table.empty} == lost
    assert {name: list(table.columns) for name, table in now.items()} == {n: list(t.columns) for n, t in before.items()}
    assert (now["defects"]["found_by"] == "network").sum() == (before["defects"]["found_by"] == "network").sum()
    assert (run.folder / "library" / "library.h5").exists() == ("kinds" not in lost)


def test_without_a_library_a_defect_is_of_the_kind_that_the_network_says(learnt, tmp_path, monkeypatch):
    run = learnt.copied(tmp_path / "run")
    monkeypatch.setattr("analysis.library.build.build_library", fail)
    run.analyse()
    drawn = run.draw()
    assert drawn.failed == []
    assert "defect_maps_tiny.png" in {path.name for path in drawn.figures}
    defects = run.tables()["defects"]
    by_network = defects["found_by"] == "network"
    assert (defects["kind"] == defects["class"].where(by_network, "odd column")).all()
    assert set(defects["kind"]) <= {*POINTS, "hole", "odd column"}


def test_what_the_user_can_put_right_ends_the_analysis(learnt, tmp_path):
    run = learnt.copied(tmp_path / "run")
    (run.folder / "library" / "names.json").write_text("{")
    with pytest.raises(InputError, match=r"names\.json: is damaged"):
        run.analyse()


def test_maps_of_an_earlier_version_say_what_to_do(learnt, tmp_path):
    run = learnt.copied(tmp_path / "run")
    with h5py.File(run.maps, "a") as stored:
        del stored["tiny"].attrs["facts"]
    with pytest.raises(InputError, match=r"maps\.h5: is from an earlier evostem; remove maps\.h5, summary\.json"):
        run.analyse()


def repeated(maps, path, times):
    """The same frames over and over, as a longer movie, with a little noise in what is looked at."""
    rng = np.random.default_rng(0)
    with h5py.File(maps, "r") as stored, h5py.File(path, "w") as out:
        out.attrs.update(stored.attrs)
        group = out.create_group("tiny")
        group.attrs.update(stored["tiny"].attrs)
        names = list(stored["tiny"])
        for number in range(times * len(names)):
            stored.copy(stored["tiny"][names[number % len(names)]], group, f"{number:06d}")
            alone = group[f"{number:06d}/views/alone"]
            alone[...] = alone[...] + rng.normal(0, 0.05, alone.shape)


def test_memory_hardly_grows_with_the_number_of_frames(learnt, tmp_path, monkeypatch):
    for most in ("MOST_PICTURES", "MOST_REFERENCES"):  # samples that are full in the shorter movie too
        monkeypatch.setattr(f"analysis.library.learn.{most}", 100)
    peaks = []
    for times in (2, 8):
        run = learnt.elsewhere(tmp_path / str(times), *learnt.targets)
        save_targets([replace(learnt.targets[0], truth=None)], run.folder / "targets.json")
        repeated(learnt.maps, run.maps, times)
        tracemalloc.start()
        assert run.analyse() == []
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert len(read_table(run.folder / "histories" / "drift")) == 4 * times
    # Four times as many frames: what grows is the table of defects and a few numbers for each watched column.
    assert peaks[1] < 2 * peaks[0]
