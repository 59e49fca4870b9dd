"""Sets that are trained as one: they go to a worker together, and come back as if each had gone alone."""

import time
from concurrent.futures import Future
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from apps.evaluate import EvaluationSettings, evaluate_group
from apps.groups import SETTLED_S, Groups
from apps.prepare import Source, label_frames, make_tiles, stage_tiles
from networks.genome import decode, encode
from networks.grouped import alike
from networks.hyperparameters import Hyperparameters
from networks.space import Limits, sample
from search.evaluation import Evaluation, Request, Status
from search.tuning_folder import TuningFolder

GENOME = encode(sample(np.random.default_rng(0)))
REQUESTS = [Request(index, "tuning", 0, b"", 50 + index) for index in range(3)]


@pytest.fixture
def settings(tiny_movie, tmp_path):
    source = Source(tiny_movie[0], (0,), None, (), None, None)
    tiles = make_tiles(source, label_frames(source, tmp_path / "labels.h5"), tmp_path / "tiles.h5")
    TuningFolder(tmp_path / "tuning").write_space(Hyperparameters.around_genome(GENOME))
    return EvaluationSettings(
        tiles, stage_tiles(tiles, str(tmp_path)), str(tmp_path), 3, 30.0, 60.0, tuning=tmp_path / "tuning"
    )


def evaluated(settings):
    messages = evaluate_group(REQUESTS, settings)
    return [Evaluation.from_message(message, one) for message, one in zip(messages, REQUESTS, strict=True)]


def test_each_set_of_a_group_has_its_own_record(settings):
    records = evaluated(settings)
    assert [record.status for record in records] == [Status.OK] * 3
    assert [record.request.index for record in records] == [0, 1, 2]
    assert alike([decode(record.request.genome, Limits()) for record in records])
    assert len({record.request.genome for record in records}) == 3
    assert all(record.iterations == 3 and record.flops_per_iteration > 0 for record in records)


def test_a_group_that_cannot_be_trained_as_one_is_trained_one_by_one(settings, monkeypatch):
    def fail(*_arguments):
        raise RuntimeError("CUDA out of memory. Tried to allocate")

    drawn = [record.request for record in evaluated(settings)]
    monkeypatch.setattr("networks.grouped.train_group", fail)
    records = evaluated(settings)
    assert [record.status for record in records] == [Status.OK] * 3
    assert [record.request for record in records] == drawn
    assert [record.draws for record in records] == [1, 1, 1]


def test_each_of_a_group_took_its_part_of_the_time(settings):
    started = time.time()
    records = evaluated(settings)
    assert all(one.ended == pytest.approx(after.started, abs=1e-6) for one, after in pairwise(records))
    assert sum(one.ended - one.started for one in records) <= time.time() - started + 0.01


def test_a_group_that_hangs_is_given_up(settings, monkeypatch):
    monkeypatch.setattr("networks.grouped.train_group", lambda *_: time.sleep(30))
    assert {record.status for record in evaluated(replace(settings, limit_s=0.2))} == {Status.TIMED_OUT}


class Workers:
    """Keeps groups until they are told to be done."""

    def __init__(self):
        self.groups = []

    def __call__(self, requests):
        self.groups.append([(request, Future()) for request in requests])
        return [future for _, future in self.groups[-1]]

    def finish(self, number):
        for request, future in self.groups[number]:
            future.set_result(Evaluation(request, Status.OK))

    @property
    def sizes(self):
        return [len(group) for group in self.groups]


def wait_until(true):
    deadline = time.monotonic() + 20
    while not true() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert true()


def request(index):
    return Request(index, "tuning", 0, b"", index)


def test_requests_go_in_groups_and_come_back_each_to_its_own():
    workers = Workers()
    groups = Groups(workers, 3, lambda: 1)
    futures = [groups(request(index)) for index in range(7)]
    assert workers.sizes == [3, 3]
    workers.finish(1)
    assert [future.done() for future in futures] == [False] * 3 + [True] * 3 + [False]
    assert [future.result().request.index for future in futures[3:6]] == [3, 4, 5]


def test_what_fills_no_group_goes_once_a_worker_would_have_nothing_to_do():
    workers = Workers()
    groups = Groups(workers, 3, lambda: 1)
    futures = [groups(request(index)) for index in range(4)]
    time.sleep(1.5 * SETTLED_S)
    assert workers.sizes == [3]  # the fourth waits for those that the three will bring
    workers.finish(0)
    futures += [groups(request(index)) for index in (4, 5)]
    assert workers.sizes == [3, 3]
    workers.finish(1)
    futures.append(groups(request(6)))
    wait_until(lambda: workers.sizes == [3, 3, 1])
    workers.finish(2)
    assert [future.result().request.index for future in futures] == list(range(7))


def test_with_two_workers_a_part_of_a_group_does_not_wait_for_the_other_group():
    workers = Workers()
    groups = Groups(workers, 3, lambda: 2)
    for index in range(5):
        groups(request(index))
    wait_until(lambda: workers.sizes == [3, 2])


def test_a_request_whose_worker_was_lost_goes_alone_when_it_comes_again():
    workers = Workers()
    groups = Groups(workers, 3, lambda: 1)
    for index in range(3):
        groups(request(index))
    for _, future in workers.groups[0]:
        future.set_exception(ConnectionError("gone"))
    for index in (1, 7, 0, 8, 9):
        groups(request(index))
    assert [[one.index for one, _ in group] for group in workers.groups[1:]] == [[1], [0], [7, 8, 9]]


def test_a_worker_that_is_lost_fails_each_of_its_group():
    workers = Workers()
    groups = Groups(workers, 2, lambda: 1)
    futures = [groups(request(index)) for index in range(2)]
    for _, future in workers.groups[0]:
        future.set_exception(ConnectionError("gone"))
    assert all(isinstance(future.exception(), ConnectionError) for future in futures)


def test_a_group_that_is_refused_is_said_to_be():
    def refuse(_requests):
        raise RuntimeError("no workers")

    groups = Groups(refuse, 2, lambda: 1)
    first = groups(request(0))
    with pytest.raises(RuntimeError, match="no workers"):
        groups(request(1))
    assert isinstance(first.exception(), RuntimeError)
    alone = groups(request(2))
    wait_until(alone.done)
    assert isinstance(alone.exception(), RuntimeError)
