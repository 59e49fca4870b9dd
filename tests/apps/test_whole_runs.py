"""Runs of all sorts come out whole: tables, figures and the report, without a warning."""

from dataclasses import replace

import pytest
from typer.testing import CliRunner

from analysis.results import load_results
from analysis.target import Target
from networks.detector import load_detector
from tests.apps.small_run import edited, journal_of, networks
from workflow.cli import app


def target_of(movie, frames, name="film", truth=None, **known):
    defects = ("molybdenum", "sulphur_vacancy", "sulphur_pair_vacancy", "hole") if truth else ()
    return Target(name, movie, frames, truth, defects, known.get("pixel_size_nm"), None)


def finish(run, evaluations=()):
    """Analysis, figures and report; returns the pictures' names."""
    journal_of(run.folder, evaluations)
    assert run.analyse() == []
    drawn = run.draw()
    assert drawn.failed == []
    assert run.report() == []
    assert 'class="failed"' not in (run.folder / "report.html").read_text()
    return {path.name for path in drawn.figures}


@pytest.fixture(scope="module")
def two(learnt, tiny_movie, tmp_path_factory):
    """A run of two movies: one whose third frame is empty, with truth; one of unknown scale, without."""
    folder = tmp_path_factory.mktemp("two")
    movie, truth = tiny_movie
    torn = target_of(edited(movie, folder / "torn.tif", range(5), empty=(2,)), (1, 2, 3, 4), "torn", truth)
    plain = target_of(edited(movie, folder / "plain.tif", (1, 2, 4), scale=False), (0, 1, 2), "plain")
    run = learnt.elsewhere(folder / "run", torn, plain).detect()
    return run, finish(run, networks())


def test_a_frame_that_cannot_be_read_leaves_a_gap(two):
    tables = two[0].tables()
    assert {r.frame: bool(r.error) for r in load_results(two[0].maps, "torn")} == {
        1: False,
        2: True,
        3: False,
        4: False,
    }
    of_torn = {name: table[table["movie"] == "torn"] for name, table in tables.items() if "movie" in table}
    for name in ("defects", "drift", "counts"):
        assert set(of_torn[name]["frame"]) == {1, 3, 4}
    tracks = of_torn["defects"].groupby("track")["frame"].apply(set)
    assert any({1, 3} <= frames for frames in tracks)  # what was there before is known again after


def test_without_scale_there_are_no_nanometres_and_no_seconds(two):
    tables = two[0].tables()
    for name in ("defects", "counts", "dwell_times", "diffusion", "displacements", "scores"):
        plain = tables[name][tables[name]["movie"] == "plain"]
        unknown = [column for column in plain if column.endswith(("_nm", "_nm2", "_s"))]
        assert plain[unknown].isna().to_numpy().all(), name
        assert (name == "scores") == plain.empty
    assert {"torn", "plain"} <= set(tables["transitions"]["movie"])


def test_kinds_are_of_all_movies_and_histories_of_each(two):
    run, figures = two
    defects = run.tables()["defects"]
    kinds = {movie: set(rows["kind"]) for movie, rows in defects.groupby("movie")}
    assert {"molybdenum", "hole"} <= kinds["torn"] & kinds["plain"]
    assert {f"{name}_{movie}.png" for name in ("transition_matrix", "drift") for movie in kinds} <= figures
    assert {"confusion_matrix.png", "tracks_torn.mp4", "tracks_plain.mp4"} <= figures
    assert all((run.folder / f"maps_{movie}.tif").exists() for movie in kinds)


def test_what_a_blind_network_misses_stands_out_by_its_intensity(learnt, tiny_movie, tmp_path):
    movie, truth = tiny_movie
    run = learnt.elsewhere(tmp_path / "run", target_of(movie, (1, 2, 3), truth=truth))
    detector = load_detector(run.folder / "detector.safetensors")
    replace(detector, threshold=1.0).save(run.folder / "detector.safetensors")
    finish(run.detect(), [])
    tables = run.tables()
    assert set(tables["defects"]["found_by"]) <= {"intensity", "history"}
    assert (tables["scores"].query("method == 'network'")["true_positives"] == 0).all()
    told = tables["confusion"].query("by == 'library' and true == 'molybdenum'").set_index("found")["count"]
    assert told.drop("missed", errors="ignore").sum() > 0.5 * told.sum()


def test_where_nothing_is_found_all_tables_are_empty(learnt, tiny_movie, tmp_path, monkeypatch):
    """In several frames with truth, and in one of unknown scale without."""
    monkeypatch.setattr("apps.detect.with_outliers", lambda found, *_: found)
    movie, truth = tiny_movie
    single = target_of(edited(movie, tmp_path / "one.tif", (1,), scale=False), (0,), "one")
    run = learnt.elsewhere(tmp_path / "run", target_of(movie, (1, 2, 3), truth=truth), single)
    detector = load_detector(run.folder / "detector.safetensors")
    replace(detector, threshold=1.0).save(run.folder / "detector.safetensors")
    figures = finish(run.detect(), [])
    tables = run.tables()
    assert {name for name, table in tables.items() if not table.empty} == {"scores", "confusion"}
    assert set(tables["confusion"]["found"]) == {"missed"}
    assert not (run.folder / "library" / "library.h5").exists()
    assert {"defect_maps_film.png", "defect_maps_one.png"} <= figures


def test_one_frame_has_kinds_but_no_histories(learnt, tiny_movie, tmp_path):
    """By a network of one's own, without truth or scale."""
    movie = edited(tiny_movie[0], tmp_path / "one.tif", (2,), scale=False)
    run = learnt.elsewhere(tmp_path / "run", target_of(movie, (0,), "one")).detect()
    figures = finish(run, networks("tuning"))
    tables = run.tables()
    assert {"molybdenum", "sulphur_vacancy"} <= set(tables["kinds"]["kind"])
    assert tables["defects"][["y_nm", "area_nm2", "time_s"]].isna().to_numpy().all()
    assert tables["transitions"].empty
    assert tables["counts"]["frame"].unique().tolist() == [0]
    assert "defect_library.png" in figures
    assert not any(name.startswith("tracks") for name in figures)


def test_a_name_that_was_given_is_in_tables_figures_and_report(learnt, tmp_path):
    run = learnt.copied(tmp_path / "run")
    done = CliRunner().invoke(app, ["kinds", str(run.folder), "--name", "1=Mo & [W]"])
    assert done.exit_code == 0, done.output
    assert "warning" not in done.output
    assert "Mo & [W]" in set(run.tables()["defects"]["kind"])
    assert sum("Mo & [W]" in path.read_text() for path in run.folder.rglob("*.csv")) >= 5
    page = (run.folder / "report.html").read_text()
    assert "<title>Run run</title>" in page
    assert "Mo &amp; [W]" in page
    assert ".aside" not in page
    assert page.count("<img ") > 10
    assert 'class="failed"' not in page
    figures = {path.name for path in (run.folder / "figures").iterdir()}
    assert {"defect_library.png", "defect_library.pdf", "tracks_tiny.mp4", "confusion_matrix.png"} <= figures
    assert not any(path.is_symlink() for path in run.folder.rglob("*"))
