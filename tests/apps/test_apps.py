"""Apps are plain functions: here they run without Parsl."""

import signal
import time
from concurrent.futures import Future
from contextlib import closing
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from analysis.target import Target
from apps.blocks import Blocks
from apps.evaluate import EvaluationSettings, evaluate
from apps.finish import Finalist, crop, keep_best, train_finalist, try_finalist
from apps.limits import TimeLimitError, time_limit
from apps.parsl_apps import Engine, StageError, run_task
from apps.prepare import Source, label_frames, make_tiles, stage_tiles, tune_baseline
from data_prep.errors import InputError
from data_prep.labels import LabelledFrame, load_labels
from data_prep.objects import Objects
from data_prep.staging import stage
from data_prep.tiles import load_tiles
from networks.detector import load_detector
from networks.genome import LENGTH, encode
from networks.hyperparameters import Hyperparameters
from networks.space import sample
from search.evaluation import Evaluation, Request, Status
from search.journal import Journal
from search.tuning_folder import TuningFolder


@pytest.fixture(scope="module")
def prepared(tiny_movie, tmp_path_factory):
    """Labels and tiles of the tiny movie, by the Fourier method."""
    folder = tmp_path_factory.mktemp("prepared")
    source = Source(tiny_movie[0], (0,), None, (), None, None)
    labels = label_frames(source, folder / "labels.h5")
    tiles = make_tiles(source, labels, folder / "tiles.h5")
    return source, labels, tiles, folder


DEFECTS = ("molybdenum", "sulphur_vacancy", "sulphur_pair_vacancy")


@pytest.fixture(params=["fourier", "truth"])
def several(request, tiny_movie, tmp_path):
    """Labels and tiles of two frames, by the Fourier method or from a file."""
    by_hand = (tiny_movie[1], DEFECTS) if request.param == "truth" else (None, ())
    source = Source(tiny_movie[0], (1, 3), *by_hand, None, None)
    labels = label_frames(source, tmp_path / "labels.h5")
    return source, labels, make_tiles(source, labels, tmp_path / "tiles.h5")


def test_several_frames_are_labelled_and_give_tiles_from_one_split(several):
    _, labels, tiles = several
    labelled, period = load_labels(labels)
    cut = load_tiles(tiles)
    assert sorted(labelled) == [1, 3]
    assert cut.period_px == period
    assert len({frame.class_names for frame in labelled.values()}) == 1
    (first, here, image), (second, there, _) = cut.validation_regions()
    assert (first, second) == (1, 3)
    assert here == there
    assert image.shape == tuple(part.stop - part.start for part in here)
    for part in ("train", "validation"):
        counts = [cut.balance[part][name] for name in labelled[1].class_names]
        assert sum(count["objects"] for count in counts) > 0
    total = sum(c["objects"] for part in cut.balance.values() for c in part.values())
    assert total <= sum(len(frame.objects) for frame in labelled.values())
    pixels = sum(int((frame.class_map[here] == 1).sum()) for frame in labelled.values())
    assert cut.balance["validation"][labelled[1].class_names[0]]["pixels"] == pixels


def test_a_finalist_gets_its_threshold_from_the_regions_of_all_frames(several, tmp_path):
    _, labels, tiles = several
    finalist = Finalist(encode(sample(np.random.default_rng(1))), 0, 0)
    trained = train_finalist(finalist, tiles, labels, 40, 60.0, tmp_path / "d.safetensors")
    assert trained["path"] == str(tmp_path / "d.safetensors")
    detector = load_detector(tmp_path / "d.safetensors")
    assert 0 < detector.threshold < 1
    assert detector.provenance["validation_detection_f1"] == trained["detection_f1"]


def test_a_crop_has_the_objects_of_its_region_and_counts_from_its_corner():
    regions = np.zeros((60, 90), np.int32)
    regions[20:30, 40:50] = 2
    objects = Objects(np.array([(5.0, 6.0), (24.5, 44.5), (29.0, 61.0)]), np.ones(3), regions)
    labels = LabelledFrame((regions > 0).astype(np.uint8), objects, np.array([1, 2, 3]), ("a", "b", "c"), "hand")
    part = crop(labels, (slice(10, 40), slice(35, 80)))
    assert part.objects.positions.tolist() == [[14.5, 9.5], [19, 26]]
    assert part.kinds.tolist() == [2, 3]
    assert part.objects.extended().tolist() == [True, False]
    assert part.class_map.shape == part.objects.regions.shape == (30, 45)
    assert np.argwhere(part.objects.regions == 1)[0].tolist() == [10, 5]


@pytest.fixture
def settings(prepared, tmp_path, monkeypatch):
    monkeypatch.setattr("apps.evaluate._too_slow", set())  # what a slow copy in another test has left
    tiles = prepared[2]
    return EvaluationSettings(tiles, stage_tiles(tiles, str(tmp_path)), str(tmp_path), 3, 30.0, 60.0)


def request_for(genome, index=0):
    return Request(index, "evolution", 0, genome, 5)


def evaluated(request, settings):
    """The record of an evaluation, as the driver has it."""
    return Evaluation.from_message(evaluate(request, settings), request)


GENOME = encode(sample(np.random.default_rng(0)))


def test_an_evaluation_fills_its_record(settings):
    evaluation = evaluated(request_for(GENOME, 4), settings)
    assert evaluation.status is Status.OK
    assert evaluation.request == request_for(GENOME, 4)
    assert 0 < evaluation.fitness <= 1
    assert evaluation.fitness == evaluation.scores["f1"]
    assert evaluation.iterations == 3
    assert evaluation.flops_per_iteration > 0
    assert evaluation.weights > 0
    assert evaluation.ended > evaluation.started > 0


def test_without_a_node_local_copy_the_shared_file_is_read_and_the_journal_says_why(settings, tmp_path, monkeypatch):
    monkeypatch.delenv("NO_SUCH_DISK", raising=False)
    elsewhere = replace(settings, node_local="$NO_SUCH_DISK")
    evaluation = evaluated(request_for(GENOME), elsewhere)
    failed = evaluated(request_for(b"short", 1), elsewhere)
    assert (evaluation.status, failed.status) == (Status.OK, Status.CRASHED)
    assert evaluation.scores == evaluated(request_for(GENOME), settings).scores
    with closing(Journal(tmp_path / "journal.sqlite")) as journal:
        journal.append([evaluation, failed])
        warnings = [recorded.warning for recorded in journal.evaluations()]
    assert all("$NO_SUCH_DISK is not set" in warning for warning in warnings)
    assert evaluated(request_for(GENOME), settings).warning == ""


def test_children_begin_with_the_weights_that_their_parent_left(settings, tmp_path):
    settings = replace(settings, weights=tmp_path / "weights")
    first = evaluated(request_for(GENOME, 4), settings)
    child = evaluated(replace(request_for(GENOME, 5), parents=(3, 4)), settings)
    assert (first.inherited, child.inherited) == (0.0, 1.0)
    assert sorted(path.name for path in settings.weights.iterdir()) == ["4.safetensors", "5.safetensors"]


@pytest.mark.parametrize("damage", ["gone", "cut", "text"])
def test_weights_that_cannot_be_read_are_passed_over(settings, tmp_path, damage):
    settings = replace(settings, weights=tmp_path / "weights")
    evaluate(request_for(GENOME, 4), settings)
    file = settings.weights / "4.safetensors"
    if damage == "gone":
        file.unlink()
    else:
        file.write_bytes(file.read_bytes()[:200] if damage == "cut" else b"no weights at all")
    child = evaluated(replace(request_for(GENOME, 5), parents=(4,)), settings)
    assert (child.status, child.inherited) == (Status.OK, 0.0)


def test_weights_that_cannot_be_kept_cost_nothing_but_a_warning(settings, tmp_path):
    (tmp_path / "weights").write_text("a file in the way")
    done = evaluated(request_for(GENOME, 4), replace(settings, weights=tmp_path / "weights"))
    assert (done.status, done.fitness > 0) == (Status.OK, True)
    assert "weights for children could not be kept" in done.warning


def test_a_network_that_lags_behind_is_stopped_by_its_worker(settings):
    request = replace(request_for(GENOME, 4), thresholds=((0.4, 0.0), (0.7, 0.99)))
    done = evaluated(request, replace(settings, iterations=10))
    assert (done.status, done.iterations, len(done.on_the_way)) == (Status.OK, 7, 2)
    assert done.fitness == done.on_the_way[1]
    assert "after 7 iterations" in done.reason


def test_a_bad_genome_is_a_record_and_not_an_exception(settings):
    evaluation = evaluated(request_for(b"short"), settings)
    assert evaluation.status is Status.CRASHED
    assert "bytes" in evaluation.reason
    assert evaluation.fitness == 0


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (MemoryError(), Status.OUT_OF_MEMORY),
        (RuntimeError("CUDA out of memory. Tried to allocate"), Status.OUT_OF_MEMORY),
        (RuntimeError("something else"), Status.CRASHED),
    ],
)
def test_failures_have_their_status(settings, monkeypatch, error, status):
    def fail(*_arguments):
        raise error

    monkeypatch.setattr("networks.train.train", fail)
    assert evaluated(request_for(GENOME), settings).status is status


def test_a_hanging_evaluation_is_given_up(settings, monkeypatch):
    monkeypatch.setattr("networks.train.train", lambda *_: time.sleep(30))
    hurried = EvaluationSettings(**{**vars(settings), "limit_s": 0.3})
    evaluation = evaluated(request_for(GENOME), hurried)
    assert evaluation.status is Status.TIMED_OUT


def test_a_copy_that_takes_too_long_is_no_fault_of_the_network(settings, monkeypatch):
    """Its time is not the network's, which has its own in full."""
    expected = evaluated(request_for(GENOME), settings).scores
    monkeypatch.setattr("apps.evaluate.stage", lambda *_: time.sleep(30))
    monkeypatch.setattr("apps.evaluate.STAGING_S", 1.0)
    began = time.monotonic()
    evaluation = evaluated(request_for(GENOME), settings)
    assert time.monotonic() - began < 20
    assert (evaluation.status, evaluation.scores) == (Status.OK, expected)
    assert evaluation.warning == "no copy was made within 1 s, the shared file is read"
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_a_copy_has_longer_than_a_hurried_network(settings, monkeypatch):
    def slow(*asked):
        time.sleep(1.0)
        return stage(*asked)

    monkeypatch.setattr("apps.evaluate.stage", slow)
    monkeypatch.setattr("networks.train.train", lambda *_: time.sleep(30))
    evaluation = evaluated(request_for(GENOME), replace(settings, limit_s=0.3))
    assert (evaluation.status, evaluation.warning) == (Status.TIMED_OUT, "")


def test_tiles_that_have_changed_are_not_read(settings, monkeypatch):
    def changed(*_):
        raise InputError("tiles.h5: has changed")

    monkeypatch.setattr("apps.evaluate.stage", changed)
    evaluation = evaluated(request_for(GENOME), settings)
    assert (evaluation.status, evaluation.reason) == (Status.CRASHED, "InputError: tiles.h5: has changed")


def test_the_limit_leaves_no_alarm_behind():
    with pytest.raises(TimeLimitError), time_limit(0.05):
        time.sleep(5)
    with time_limit(60):
        pass
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


@pytest.fixture
def tuned(settings, tmp_path):
    """Settings with a space of sets around a network."""
    folder = tmp_path / "tuning"
    TuningFolder(folder).write_space(Hyperparameters.around_genome(GENOME))
    return replace(settings, tuning=folder)


def test_a_set_is_drawn_by_its_worker_and_comes_back_with_its_score_in_less_than_400_bytes(tuned):
    from parsl.serialize import serialize

    asked = Request(123_456, "tuning", 1, b"", 2**32 - 1, (1234,))
    outcome = run_task("apps.evaluate", "evaluate", asked, tuned)
    record = Evaluation.from_message(outcome["value"], asked)
    assert (record.status, record.request.origin, record.draws) == (Status.OK, "random", 1)
    assert record.request == replace(asked, genome=record.request.genome, origin="random")
    assert len(record.request.genome) == LENGTH
    assert len(serialize(outcome)) < 400


def test_the_same_request_draws_the_same_set(tuned):
    asked = Request(7, "tuning", 1, b"", 99)
    first, again = evaluated(asked, tuned), evaluated(asked, tuned)
    assert (first.request, first.scores) == (again.request, again.scores)
    assert evaluated(replace(asked, seed=98), tuned).request.genome != first.request.genome


def test_a_set_is_random_and_says_so_where_its_predictor_cannot_be_read(tuned):
    (tuned.tuning / "svm_000009.npz").write_bytes(b"no archive")
    for name in ("svm_000009", "svm_000010"):
        record = evaluated(Request(7, "tuning", 1, b"", 99, predictor=name), tuned)
        assert (record.status, record.request.origin) == (Status.OK, "random")
        assert "sets were random" in record.warning


def test_a_task_never_raises():
    good = run_task("operator", "add", 2, 3)
    assert good == {"evostem_outcome": "value", "value": 5, "pool": ""}  # of no pool
    assert run_task("operator", "add", good, 1)["value"] == 6
    failed = run_task("operator", "truediv", 1, 0)
    assert failed["evostem_outcome"] == "failure"
    assert "ZeroDivisionError" in failed["message"]
    assert run_task("operator", "add", failed, 1) == failed


def test_input_errors_stay_input_errors(tmp_path):
    source = Source(tmp_path / "none.tif", (0,), None, (), None, None)
    outcome = run_task("apps.prepare", "label_frames", source, tmp_path / "out.h5")
    assert outcome["evostem_outcome"] == "input error"
    assert "none.tif" in outcome["message"]
    assert not (tmp_path / "out.h5").exists()


def test_the_baseline_is_tuned_on_the_truth_where_there_is_one(prepared, tiny_movie, tmp_path):
    import json

    source, labels = prepared[:2]
    defects = ("molybdenum", "sulphur_vacancy", "sulphur_pair_vacancy", "hole")
    target = Target("tiny", source.movie, (1,), tiny_movie[1], defects, None, None)
    tuned = json.loads(tune_baseline(source, labels, target, tmp_path / "a.json").read_text())
    plain = json.loads(tune_baseline(source, labels, None, tmp_path / "b.json").read_text())
    assert plain == {"darker": source.fourier.darker, "brighter": source.fourier.brighter, "reference": "lattice"}
    assert tuned["reference"] == "lattice"
    assert tuned["darker"] != source.fourier.darker


def test_the_better_finalist_is_kept(tmp_path):
    (tmp_path / "a").write_bytes(b"worse")
    (tmp_path / "b").write_bytes(b"better")
    results = [
        {"path": str(tmp_path / "a"), "fitness": 0.4, "detection_f1": 0.9, "reason": ""},
        {"path": None, "fitness": 0.0, "detection_f1": 0.0, "reason": "loss not finite"},
        {"path": str(tmp_path / "b"), "fitness": 0.5, "detection_f1": 0.8, "reason": ""},
    ]
    assert keep_best(tmp_path / "out", *results).read_bytes() == b"better"
    with pytest.raises(RuntimeError, match="not finite"):
        keep_best(tmp_path / "none", results[1])


def test_a_finalist_that_cannot_be_trained_is_out_and_says_why(prepared, tmp_path):
    _, labels, tiles, _ = prepared
    result = try_finalist(Finalist(b"short", 0, 3), tiles, labels, 5, 5.0, tmp_path / "out")
    assert result["path"] is None
    assert "bytes" in result["reason"]


def test_a_worker_that_cannot_even_begin_is_an_error_of_its_future(settings):
    def broken_app(*_arguments):
        future = Future()
        future.set_result({"evostem_outcome": "failure", "message": "no module named torch", "traceback": ""})
        return future

    blocks = Blocks(SimpleNamespace(provider=None, executor_exception=None))
    record = Engine([(broken_app, blocks)]).evaluator(settings)(request_for(GENOME))
    assert isinstance(record.exception(timeout=5), StageError)
