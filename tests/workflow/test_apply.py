"""The last stages of a run, killed anywhere: the same command goes on, and all is there as if nothing had happened."""

import json
import shutil
from concurrent.futures import Future

import h5py
import pandas as pd
import pytest
from rich.console import Console
from typer.testing import CliRunner

from apps.draw import Drawn
from data_prep.errors import InputError
from tests.apps.small_run import POINTS, check_tables, journal_of, networks
from workflow import kinds, pipeline
from workflow.cli import app
from workflow.config import load_config
from workflow.inputs import source_of, targets_of
from workflow.pipeline import Run, _apply, _summarise
from workflow.progress import Progress
from workflow.run_folder import RunFolder


class Here:
    """Stands for workers: does at once what it is asked for."""

    def __init__(self):
        self.done = []

    def submit(self, function, *arguments):
        self.done.append(function.__name__)
        future = Future()
        told = [one.result()["value"] if isinstance(one, Future) else one for one in arguments]
        future.set_result({"evostem_outcome": "value", "value": function(*told)})
        return future


@pytest.fixture
def folder(learnt, tmp_path, monkeypatch):
    """A run that has a detector, and nothing that was made with it; its figures and report are stand-ins."""

    def draw_figures(path, *_):
        (path / "figures").mkdir(exist_ok=True)
        return Drawn([path / "figures" / "a.png"], [])

    def write_report(path):
        (path / "report.html").write_text("a report")
        return []

    for module in (pipeline, kinds):
        monkeypatch.setattr(module, "draw_figures", draw_figures)
        monkeypatch.setattr(module, "write_report", write_report)
    monkeypatch.setattr(pipeline, "FRAMES_PER_PART", 2)
    path = tmp_path / "runs" / "small"
    path.mkdir(parents=True)
    for file in learnt.folder.iterdir():
        if file.name in ("config.toml", "inputs.json", "labels.h5", "tiles.h5", "fourier.json", "detector.safetensors"):
            shutil.copy(file, path)
    journal_of(path, networks())
    return RunFolder(path)


def go_on(folder):
    """As the command does it once there is a detector; returns the stages that were worked on, and what was said."""
    config = load_config(folder.config, {})
    source = source_of(config)
    here, console = Here(), Console(record=True, width=200)
    run = Run(config, folder, source, targets_of(config, source), here, Progress(console))
    with folder.claimed(config):
        _summarise(run, _apply(run, folder.fourier))
    return here.done, console.export_text()


ALL = ["detect_frames", "detect_frames", "collect", "analyse", "draw_figures", "write_report"]


def tables(folder):
    return {path.relative_to(folder.path): path.read_bytes() for path in folder.path.rglob("*.csv")}


def test_all_stages_are_done_once(folder):
    done, said = go_on(folder)
    assert done == ALL
    assert "warning" not in said
    assert folder.finished
    assert len(check_tables(folder.path)) == 12
    summary = json.loads(folder.summary.read_text())
    defects = pd.read_csv(folder.defects)
    assert summary["frames"] == 4
    assert summary["defects"] == (defects["found_by"] == "network").sum()
    assert summary["figures"] == ["a.png"]
    assert not folder.parts.exists()


PLACES = {
    "a part": ("apps.detect.save_results", ALL),
    "putting parts together": ("analysis.results.h5py.Group.copy", ["collect", *ALL[3:]]),
    "maps for ImageJ": ("analysis.map_stack.write_map_stack", ["collect", *ALL[3:]]),
    "the library": ("analysis.library.build.build_library", ALL[3:]),
    "histories": ("analysis.histories.build.build_histories", ALL[3:]),
    "the table of defects": ("analysis.defect_table.defect_table", ALL[3:]),
    "figures": ("workflow.pipeline.draw_figures", ALL[4:]),
    "the report": ("workflow.pipeline.write_report", ALL[4:]),
    "the summary": ("workflow.pipeline.PayoffFold", ALL[4:]),
}


@pytest.mark.parametrize("place", PLACES)
def test_a_run_stopped_anywhere_goes_on_to_the_same_end(place, folder, monkeypatch, learnt):
    where, left = PLACES[place]

    def stop(*_arguments, **_options):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(where, stop)
        with pytest.raises(KeyboardInterrupt):
            go_on(folder)
    assert not folder.finished
    assert go_on(folder)[0] == left
    assert folder.finished
    assert tables(folder) == tables(RunFolder(learnt.folder))  # which was made without a break, and in one part
    assert (folder.path / "maps_tiny.tif").exists()
    assert not folder.parts.exists()
    assert list(folder.path.rglob(".unfinished-*")) == []


def test_names_hold_when_a_run_goes_on_whose_tables_were_removed(folder):
    go_on(folder)
    done = CliRunner().invoke(app, ["kinds", str(folder.path), "--name", "1=Mo on W"])
    assert done.exit_code == 0, done.output
    folder.defects.unlink()
    folder.summary.unlink()
    assert go_on(folder)[0] == ALL[3:]
    assert "Mo on W" in set(pd.read_csv(folder.defects)["kind"])


def test_maps_that_were_removed_are_made_anew_and_all_that_follows_from_them(folder):
    go_on(folder)
    before = tables(folder)
    folder.maps.unlink()
    folder.summary.unlink()
    folder.defects.write_text("old")
    assert go_on(folder)[0] == ALL
    assert tables(folder) == before


def test_what_failed_is_a_warning(folder, monkeypatch):
    def fail(*_arguments, **_options):
        raise ValueError("no such thing")

    monkeypatch.setattr("analysis.surroundings.surroundings", fail)
    monkeypatch.setattr(pipeline, "draw_figures", lambda *_: Drawn([], ["a.png: ValueError: no colour"]))
    monkeypatch.setattr(pipeline, "write_report", lambda *_: ["files: ValueError: no page"])
    _, said = go_on(folder)
    assert [line.split("warning: ")[1] for line in said.splitlines() if "warning: " in line] == [
        "the surroundings of defects could not be made: ValueError: no such thing",
        "a figure could not be drawn: a.png: ValueError: no colour",
        "a part of the report could not be made: files: ValueError: no page",
    ]
    assert folder.finished


def aged(folder):
    """Make a finished run what an earlier version would have left."""
    for name in ("library", "histories"):
        shutil.rmtree(folder.path / name)
    for name in ("targets.json", "report.html", "maps_tiny.tif", "confusion.csv"):
        (folder.path / name).unlink()
    for path in folder.path.glob("*.parquet"):
        path.unlink()
    with h5py.File(folder.maps, "a") as stored:
        del stored["tiny"].attrs["facts"]
        for group in stored["tiny"].values():
            for name in ("areas_px", "mean_probability", "scores", "columns", "views"):
                del group[name]
            group.attrs["scores"] = json.dumps({"network": {"counts": [1, 2, 3], "pixel_accuracy": 0.9}})


def again(learnt, folder):
    """The command that made the run."""
    movie, truth = learnt.source.movie, learnt.source.labels
    words = [
        "run",
        movie,
        "--truth",
        truth,
        "--labels",
        truth,
        "--defects",
        ",".join(POINTS),
        "--name",
        folder.path.name,
    ]
    return CliRunner().invoke(app, [str(word) for word in [*words, "--runs", folder.path.parent]])


def test_a_run_finished_by_an_earlier_version_still_tells_its_summary(learnt, folder):
    go_on(folder)
    aged(folder)
    before = tables(folder)
    done = again(learnt, folder)
    assert done.exit_code == 0, done.output
    assert "is finished" in done.output
    assert "2 + 0 networks evaluated" in done.output
    assert f"defects in 4 frames: {folder.defects}" in done.output.replace("\n", "")
    assert tables(folder) == before


def test_what_a_run_of_an_earlier_version_is_told_to_do_helps(folder):
    """Its results are made anew, with the detector that it has."""
    go_on(folder)
    before = tables(folder)
    aged(folder)
    refused = CliRunner().invoke(app, ["kinds", str(folder.path)])
    assert refused.exit_code == 2
    assert "remove maps.h5, summary.json and parts from the run's folder" in refused.stderr
    folder.maps.unlink()
    folder.summary.unlink()
    assert go_on(folder)[0] == ALL
    assert tables(folder) == before


def test_a_run_of_an_earlier_version_that_was_not_finished_says_what_to_do(folder):
    go_on(folder)
    aged(folder)
    folder.summary.unlink()
    folder.defects.unlink()
    with pytest.raises(InputError, match=r"remove maps\.h5, summary\.json and parts"):
        go_on(folder)
