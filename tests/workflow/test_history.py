"""The networks of a run as a table, as CSV and as Optuna studies."""

import csv
import io
import shlex
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime

import optuna
import pytest
from typer.testing import CliRunner

from networks.genome import encode
from networks.space import Convolution, FullyConnected, NetworkSpec, Pool, Training, Upsample
from search.evaluation import Status
from workflow.cli import app

# One of each kind of layer.
SPEC = NetworkSpec(
    (
        Convolution(24, 5, 3, 1, 2, "replicate", "silu", "batch", 0.05, skip=False),
        Pool("average", 2, 2),
        FullyConnected(48, "tanh", 0.1),
        Upsample(join=True),
    ),
    Training("sgd", 0.0027, 1e-4, 0.9, 8, "focal", 1.5, 1.25, "cosine"),
)
PARAMETERS = {
    "learning_rate": 0.0027,
    "weight_decay": 1e-4,
    "defect_weight": 1.5,
    "optimiser": "sgd",
    "schedule": "cosine",
    "momentum": 0.9,
    "batch_size": 8,
    "loss": "focal",
    "augmentation": 1.25,
    "layers": 4,
    "layer1_kind": "convolution",
    "layer1_kernels": 24,
    "layer1_kernel_height": 5,
    "layer1_kernel_width": 3,
    "layer1_stride": 1,
    "layer1_dilation": 2,
    "layer1_padding": "replicate",
    "layer1_activation": "silu",
    "layer1_normalisation": "batch",
    "layer1_dropout": 0.05,
    "layer1_skip": False,
    "layer2_kind": "average_pool",
    "layer2_side": 2,
    "layer2_stride": 2,
    "layer3_kind": "fully_connected",
    "layer3_neurons": 48,
    "layer3_activation": "tanh",
    "layer3_dropout": 0.1,
    "layer4_kind": "upsample",
    "layer4_join": True,
}
NOTATION = "conv 24@5x3 dilated 2 silu > average 2/2 > full 48 tanh > up +join | sgd 0.0027 cosine, batch 8, focal"
AT_NOON = datetime(2031, 5, 6, 12, tzinfo=UTC).timestamp()


def history(run, *words):
    return CliRunner().invoke(app, ["history", str(run.path), *map(str, words)])


def refused(done, words):
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert words in done.stderr


@pytest.fixture
def run(made_run, evaluation):
    """Six networks in two stages, with all that can be in a record."""
    third = evaluation(
        3,
        0.625,
        AT_NOON + 2.5,
        parents=(1, 0),
        origin="one_point+exchange",
        warning="no room, \u00e9 tout",
        scores={"f1": 0.625, "iou": 0.5},
        iterations=40,
        iterations_per_s=8.5,
        flops_per_iteration=123456789,
        weights=4321,
        peak_memory_bytes=99,
        inference_s_per_megapixel=0.25,
        inherited=0.875,
        draws=7,
        host="node7",
        worker="3",
        gpu="1",
        device="cuda:1",
    )
    made_run.record(
        evaluation(0, 0.5, AT_NOON),
        evaluation(2, 0.25, AT_NOON + 1, scores={"f1": 0.25, "threshold": 0.4}),
        evaluation(1, 0.0, AT_NOON + 2, status=Status.DIVERGED, reason='said "no",\nand stopped'),
        replace(third, request=replace(third.request, genome=encode(SPEC))),
        evaluation(4, status=Status.LOST, fitness=0.0, reason="its worker went away"),
        evaluation(5, 0.75, AT_NOON + 60, stage="tuning", origin="svm"),
        crew=[("evolution", AT_NOON - 10, 2)],
    )
    return made_run


def test_the_table_has_everything_and_is_all_there_is(run):
    done = history(run, "--csv")
    assert (done.exit_code, done.stderr) == (0, "")
    lines = list(csv.DictReader(io.StringIO(done.stdout, newline="")))
    assert [line["evaluation"] for line in lines] == ["0", "2", "1", "3", "4", "5"]  # in order of arrival
    assert [line["stage"] for line in lines] == ["evolution"] * 5 + ["tuning"]
    assert lines[3] == {
        "evaluation": "3",
        "stage": "evolution",
        "generation": "0",
        "origin": "one_point+exchange",
        "parents": "1 0",
        "status": "ok",
        "reason": "",
        "warning": "no room, \u00e9 tout",
        "fitness": "0.625",
        "score_f1": "0.625",
        "score_threshold": "",
        "score_iou": "0.5",
        "iterations": "40",
        "iterations_per_s": "8.5",
        "flops_per_iteration": "123456789",
        "weights": "4321",
        "peak_memory_bytes": "99",
        "inference_s_per_megapixel": "0.25",
        "inherited": "0.875",
        "draws": "7",
        "rejected": "0",
        "host": "node7",
        "worker": "3",
        "gpu": "1",
        "device": "cuda:1",
        "started": "2031-05-06T11:59:52.500+00:00",
        "seconds": "10.0",
        "seed": "7",
        "predictor": "",
        "genome": encode(SPEC).hex(),
        "network": NOTATION,
    }
    assert (lines[1]["score_threshold"], lines[1]["score_iou"]) == ("0.4", "")
    assert (lines[2]["status"], lines[2]["reason"]) == ("diverged", 'said "no",\nand stopped')
    assert (lines[4]["status"], lines[4]["started"], lines[4]["seconds"]) == ("lost", "", "")


def test_the_table_goes_to_a_file_and_takes_the_place_of_its_like_alone(run, tmp_path, evaluation):
    out = tmp_path / "new" / "out.csv"
    assert history(run, "--csv", out).exit_code == 0
    assert out.read_text() == history(run, "--csv").stdout
    run.record(evaluation(6))
    assert "7 networks" in history(run, out, "--csv").stdout
    assert len(list(csv.reader(io.StringIO(out.read_text(), newline="")))) == 8
    kept = tmp_path / "labels.csv"
    kept.write_text("y_px,x_px\n1,2\n")
    refused(history(run, "--csv", kept), "labels.csv: is there already")
    refused(history(run, "--csv", run.journal), "journal.sqlite: is there already")
    refused(history(run, "--csv", tmp_path), "is there already")
    refused(history(run, "--csv", kept / "x.csv"), "cannot be written")
    refused(history(run, "--csv", "/dev/null"), "is there already")
    assert kept.read_text() == "y_px,x_px\n1,2\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["labels.csv", "new", "runs"]


def test_a_reader_who_has_seen_enough_is_no_error(made_run, evaluation):
    made_run.record(*(evaluation(i) for i in range(600)))  # more than a pipe holds
    command = [sys.executable, "-c", "from workflow.cli import main; main()", "history", made_run.path, "--csv"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout.readline().startswith(b"evaluation,stage,")
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait(60) == 0
    with open("/dev/full", "w") as full:  # noqa: PTH123 (no file)
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr) == (2, "evostem: the standard output: No space left on device\n")


def test_without_a_flag_the_best_networks_and_the_stages_are_told(made_run, evaluation):
    made_run.record(
        *(evaluation(i, 0.2 + 0.02 * i, 1000 + 10 * i, weights=100 + i) for i in range(14)),
        evaluation(14, 0.99, 2000, status=Status.TIMED_OUT),
        evaluation(15, 0.21, 2000, "tuning"),
        crew=[("evolution", 990, 2)],
    )
    done = history(made_run)
    assert done.exit_code == 0
    lines = done.stdout.splitlines()
    assert max(map(len, lines[:13])) <= 80
    cells = [line.split()[:5] for line in lines if line.split()[1:2] == ["evolution"]]
    assert cells == [[str(i), "evolution", f"{0.8 - 0.02 * i:.4f}", str(100 + i), "10.0"] for i in range(13, 3, -1)]
    assert any(line.startswith("best network: conv") for line in lines)
    assert "evolution: 15 networks, best error 0.5400 (network 13), 1 timed out, workers 7 % busy" in lines
    assert "tuning: 1 networks, best error 0.7900 (network 15)" in lines


def studies(file):
    """Trials of each study in a file."""
    storage = optuna.storages.RDBStorage(f"sqlite:///{file}")
    try:
        return {
            study.study_name: optuna.load_study(study_name=study.study_name, storage=storage).trials
            for study in storage.get_all_studies()
        }
    finally:
        storage.engine.dispose()


def test_optuna_reads_each_stage_as_a_study(run):
    done = history(run, "--optuna")
    assert done.exit_code == 0, done.output
    file = run.path / "optuna.db"
    command = shlex.split(next(line for line in done.stdout.splitlines() if "optuna-dashboard" in line))
    assert command[command.index("optuna-dashboard") + 1].startswith("sqlite:///")
    found = studies(file)
    assert {name: len(trials) for name, trials in found.items()} == {"made evolution": 5, "made tuning": 1}
    first, _, diverged, third, lost = found["made evolution"]
    complete, fail = optuna.trial.TrialState.COMPLETE, optuna.trial.TrialState.FAIL
    assert [trial.state for trial in found["made evolution"]] == [complete, complete, fail, complete, fail]
    assert third.params == PARAMETERS
    assert third.value == 0.375
    assert third.user_attrs["network"] == NOTATION
    assert third.user_attrs["parents"] == [1, 0]
    assert third.user_attrs["genome"] == encode(SPEC).hex()
    expected = {"evaluation": 3, "origin": "one_point+exchange", "host": "node7", "iou": 0.5, "weights": 4321}
    assert expected.items() <= third.user_attrs.items()
    assert third.datetime_start == datetime.fromtimestamp(AT_NOON - 7.5)  # noqa: DTZ006 (Optuna's are local)
    assert third.duration.total_seconds() == 10
    assert diverged.value is None
    assert diverged.user_attrs["reason"] == 'said "no",\nand stopped'
    assert lost.user_attrs["status"] == "lost"
    assert lost.datetime_complete == third.datetime_complete  # the last thing known when it arrived
    assert first.distributions["learning_rate"] == optuna.distributions.FloatDistribution(3e-4, 3e-2, log=True)
    assert first.distributions["loss"] == optuna.distributions.CategoricalDistribution(
        ("cross_entropy", "focal", "dice")
    )
    assert first.distributions["layers"] == optuna.distributions.IntDistribution(1, 8)
    storage = optuna.storages.RDBStorage(f"sqlite:///{file}")
    study = optuna.load_study(study_name="made evolution", storage=storage)
    assert study.direction is optuna.study.StudyDirection.MINIMIZE
    assert study.best_trial.user_attrs["evaluation"] == 3
    optuna.copy_study(  # Optuna finds every trial valid
        from_study_name="made evolution", from_storage=storage, to_storage=optuna.storages.InMemoryStorage()
    )
    storage.engine.dispose()


def test_exporting_again_adds_what_is_new(run, evaluation, tmp_path):
    out = tmp_path / "all runs.db"
    assert history(run, "--optuna", out).exit_code == 0
    run.record(evaluation(6, 0.9, AT_NOON + 90), evaluation(7, 0.8, AT_NOON + 90, "tuning"))
    for _ in range(2):
        done = history(run, out, "--optuna")
        assert "study 'made evolution': 6 trials" in done.stdout
        found = studies(out)
        told = {name: [trial.user_attrs["evaluation"] for trial in trials] for name, trials in found.items()}
        assert told == {"made evolution": [0, 2, 1, 3, 4, 6], "made tuning": [5, 7]}
    assert not (run.path / "optuna.db").exists()


def test_a_file_that_is_something_else_is_left_alone(run, evaluation, tmp_path):
    kept = tmp_path / "songs.db"
    with closing(sqlite3.connect(kept)) as database:
        database.execute("CREATE TABLE songs (name TEXT)")
    before = kept.read_bytes()
    refused(history(run, "--optuna", kept), "songs.db: is there already")
    refused(history(run, "--optuna", run.journal), "journal.sqlite: is there already")
    refused(history(run, "--optuna", tmp_path), "is there already")
    refused(history(run, "--optuna", kept / "x.db"), "cannot hold the study")
    assert kept.read_bytes() == before
    out = tmp_path / "study.db"
    history(run, "--optuna", out)
    run.journal.unlink()
    run.record(*(evaluation(i, 0.4, AT_NOON) for i in range(10, 17)))
    refused(history(run, "--optuna", out), "study.db: its study 'made evolution' is about another run")
    assert len(studies(out)["made evolution"]) == 5


def test_what_cannot_be_is_one_line(made_run, evaluation):
    refused(history(made_run), "no network was evaluated yet")
    refused(history(made_run, "--csv"), "no network was evaluated yet")
    refused(history(made_run, "--csv", "--optuna"), "give one of them")
    refused(history(made_run, "out.csv"), "give --csv or --optuna")
    made_run.record()
    refused(history(made_run, "--csv"), "no network was evaluated yet")
    other = evaluation(0)
    made_run.record(replace(other, request=replace(other.request, genome=bytes(64))))
    refused(history(made_run), "another version of evostem (a genome has 35 bytes, not 64)")
    refused(history(made_run, "--optuna"), "another version of evostem")
    assert not (made_run.path / "optuna.db").exists()


def test_telling_changes_nothing_in_the_folder(run):
    before = run.contents()
    assert history(run).exit_code == history(run, "--csv").exit_code == 0
    assert run.contents() == before
