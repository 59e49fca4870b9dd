"""A network of one's own instead of an evolution: the command, its messages, and what is told of such a run."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import h5py
import pytest
from typer.testing import CliRunner

from data_prep.errors import InputError
from search.evaluation import Status
from workflow import run as running
from workflow.cli import app
from workflow.config import load_config
from workflow.pipeline import Run, _summarise
from workflow.run_folder import RunFolder

LENET = Path(__file__).resolve().parents[2] / "examples" / "lenet.json"


def evostem(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


def refused(done, words):
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert words in done.stderr


@pytest.fixture
def own_network(tmp_path):
    path = tmp_path / "own" / "net.json"
    path.parent.mkdir()
    path.write_text(LENET.read_text())
    return path


@pytest.fixture
def tuned(made_run, evaluation, own_network):
    """A run folder of a network of one's own: four random sets, one that the SVM chose, and no evolution."""
    (made_run.path / "config.toml").write_text(
        f'movie = "/far/away.tif"\nnetwork = "{own_network}"\n[tuning]\nrandom_sets = 4\nchosen_sets = 4\n'
    )
    sets = [evaluation(i, 0.3 + i / 10, 1010 + 10 * (i // 2), "tuning", origin="random") for i in range(4)]
    sets[2] = replace(sets[2], status=Status.DIVERGED, reason="the loss is not a number", fitness=0.0)
    sets.append(evaluation(4, 0.9, 1030, "tuning", origin="svm", flops_per_iteration=10, iterations=3))
    made_run.record(*sets, crew=[("tuning", 1000, 2), ("tuning", 1030, 0)])
    return made_run


@pytest.mark.parametrize(
    ("network", "words"),
    [
        ("none.json", "none.json: no such file; evostem tune takes a network as JSON, then the movie"),
        ("bad.json", "bad.json: layer 1 (convolution): unknown key \"kernals\"; did you mean 'kernels'?"),
        ("movie.tif", "movie.tif: "),  # the two in the wrong order
    ],
)
def test_a_network_that_cannot_be_used_is_told_before_anything_is_started(tmp_path, tiny_movie, network, words):
    (tmp_path / "bad.json").write_text('{"layers": [{"kind": "convolution", "kernals": 8}]}')
    (tmp_path / "movie.tif").write_bytes(tiny_movie[0].read_bytes())
    refused(evostem("tune", tmp_path / network, tmp_path / "movie.tif", "--runs", tmp_path / "runs"), words)
    assert not (tmp_path / "runs").exists()


def test_both_commands_take_the_same_and_only_tune_a_network(monkeypatch, tmp_path):
    asked = []
    monkeypatch.setattr(running, "start", lambda *given: asked.append(given) or 0)
    files = "--labels l.csv --apply b.tif --apply c.tif --truth b.csv --truth c.csv --legend vacancy=1 --name n"
    numbers = (
        "--config c.toml --pixel-size 0.02 --frame-interval 0.5 --dataset HAADF --predictor trees --workers 3 --seed 5"
    )
    words = ["m.tif", *f"{files} {numbers}".split(), "--defects", "vacancy, dopant", "--runs", tmp_path]
    assert evostem("run", *words).exit_code == 0
    assert evostem("tune", "net.json", *words).exit_code == 0
    (file, evolved, folder), (file_too, tuned, folder_too) = asked
    assert (file, folder) == (file_too, folder_too) == (Path("c.toml"), tmp_path / "n")
    assert tuned == evolved | {"network": "net.json"}
    config = load_config(None, tuned)
    assert config == load_config(None, evolved).model_copy(update={"network": Path("net.json").absolute()})
    assert config.tuning.predictor == "trees"
    assert config.labels.defects == ("vacancy", "dopant")
    assert (config.pixel_size_nm, config.frame_interval_s, config.dataset, config.seed) == (0.02, 0.5, "HAADF", 5)
    assert [path.name for path in config.apply] == ["b.tif", "c.tif"]
    assert [path.name for path in config.truth] == ["b.csv", "c.csv"]


def test_a_network_in_a_settings_file_is_beside_that_file(tmp_path):
    file = tmp_path / "c.toml"
    file.write_text('movie = "m.tif"\nnetwork = "lenet.json"\n[tuning]\npredictor = "tpe"\n')
    config = load_config(file, {})
    assert config.network == tmp_path / "lenet.json"
    assert config.tuning.predictor == "tpe"
    file.write_text('movie = "m.tif"\n[tuning]\npredictor = "crystal ball"\n')
    with pytest.raises(InputError, match=r"'tuning\.predictor': Input should be 'trees', 'svm', 'tpe' or 'random'"):
        load_config(file, {})


def test_a_run_goes_on_only_with_the_network_it_was_begun_with(tmp_path, own_network):
    movie = tmp_path / "m.tif"
    movie.write_bytes(b"a movie")
    config, folder = load_config(None, {"movie": str(movie), "network": str(own_network)}), RunFolder(tmp_path / "run")
    with folder.claimed(config):
        folder.journal.touch()
    with folder.claimed(config):
        pass
    own_network.write_text(own_network.read_text().replace('"any"', "[8, 16]", 1))
    with pytest.raises(InputError, match=r"begun with other content of .*net\.json"), folder.claimed(config):
        pass
    evolving = load_config(None, {"movie": str(movie)})
    with pytest.raises(InputError, match=r"other settings \(network: .*net\.json -> None\)"), folder.claimed(evolving):
        pass


def test_the_status_of_such_a_run_has_no_evolution(tuned):
    done = evostem("status", tuned.path)
    assert done.exit_code == 0
    assert "evolution" not in done.output
    lines = [line.split() for line in done.output.splitlines()]
    assert ["tuning"] in lines
    assert ["networks", "5", "of", "8"] in lines
    assert "interrupted while searching" in done.output
    assert "0.1000 (network 4)" in done.output
    assert "1 diverged" in done.output


def test_such_a_run_is_told_to_be_done_when_its_sets_are_evaluated(tuned, evaluation):
    tuned.record(*(evaluation(i, 0.5, 1040, "tuning", origin="svm") for i in range(5, 8)))
    done = evostem("status", tuned.path)
    lines = [line.split() for line in done.output.splitlines()]
    assert ["networks", "8", "of", "8"] in lines
    assert ["time", "left", "done"] in lines
    assert "interrupted while training the best networks in full" in done.output.replace("\n", "")


def test_the_history_of_such_a_run_tells_its_sets(tuned):
    done = evostem("history", tuned.path)
    assert done.exit_code == 0
    assert "tuning: 5 networks, best error 0.1000 (network 4), 1 diverged" in done.output
    assert "evolution" not in done.output
    rows = list(csv.DictReader(evostem("history", tuned.path, "--csv").output.splitlines()))
    assert [row["origin"] for row in rows] == ["random"] * 4 + ["svm"]
    assert evostem("history", tuned.path, "--optuna", tuned.path / "o.db").exit_code == 0


def test_the_summary_of_such_a_run_counts_its_sets(tuned, own_network, tiny_movie, tmp_path):
    movie, _ = tiny_movie
    folder = RunFolder(tmp_path / "again")
    options = {"movie": str(movie), "network": str(own_network)}
    config = load_config(None, options)
    with folder.claimed(config):
        folder.journal.write_bytes(tuned.journal.read_bytes())
        with h5py.File(folder.maps, "w"):
            pass
        _summarise(Run(config, folder, None, (), None, None), [])
    summary = json.loads(folder.summary.read_text())
    assert summary["evaluations"] == {"tuning": 5}
    assert summary["failed"] == 1
    assert summary["best_validation_error"] == pytest.approx(0.1)
    assert summary["worker_utilisation"] == pytest.approx(50 / 60)  # five times 10 s of 30 s of two workers
    assert summary["training_flops"] == 30
    done = evostem("tune", own_network, movie, "--runs", tmp_path, "--name", "again")
    assert done.exit_code == 0, done.output
    assert "5 networks evaluated (tuning), workers 83 % busy in the tuning" in done.output
