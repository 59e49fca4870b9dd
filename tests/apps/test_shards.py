"""The engine over several executors: tasks go where workers are free, and one that is lost takes none of the others."""

import math
import threading
from concurrent.futures import BrokenExecutor, Future
from pathlib import Path
from types import SimpleNamespace

import pytest
import zmq
from parsl.executors.errors import BadStateException
from parsl.jobs.states import JobState, JobStatus

from apps.blocks import TELL_S, Blocks, BlocksError
from apps.evaluate import EvaluationSettings
from apps.interchange import InterchangeLostError
from apps.limits import GRACE_S
from apps.parsl_apps import Engine
from search.evaluation import Request
from search.verdict import LOST

SETTINGS = EvaluationSettings(Path("tiles.h5"), "", None, 1, 1.0, 3.0)


class Shard:
    """An executor with its app and its blocks, where a test says which workers there are."""

    def __init__(self, workers=None, *, least=0, nodes=1, per_node=4):
        self.executor = SimpleNamespace(
            label="shard",
            provider=SimpleNamespace(min_blocks=least, max_blocks=8, nodes_per_block=nodes),
            workers_per_node=per_node,
            executor_exception=None,
            bad_state_is_set=False,
            heartbeat_threshold=60,
            status_facade={},
            blocks_to_job_id={},
        )
        self.executor.connected_managers = lambda: self._managers
        self.executor.scale_out_facade = lambda n: [str(block) for block in range(n)]
        self._managers = []
        self.said = []
        self.blocks = Blocks(self.executor, self.said.append)
        self.calls, self.futures = [], []
        self.error = None
        if workers is not None:
            self.has(workers)

    def app(self, *call):
        """As Parsl's, it gives a future, also where the executor is no more: that of a failure."""
        if self.error is not None:
            raise self.error
        self.calls.append(call)
        self.futures.append(Future())
        if self.executor.bad_state_is_set:
            self.futures[-1].set_exception(self.executor.executor_exception)
        return self.futures[-1]

    def has(self, workers):
        """So many workers are connected, on one node."""
        node = {"manager": "m", "block_id": "0", "worker_count": workers, "tasks": 0, "idle_duration": 0.0}
        self._managers = [{**node, "active": True, "draining": False}] if workers else []
        self.look()

    def look(self):
        self.executor.block_error_handler(self.executor, self.executor.status_facade)

    def breaks(self, error):
        """As Parsl has it: all that it had fails, and what comes after that."""
        self.executor.executor_exception = error
        self.executor.bad_state_is_set = True
        for future in self.futures:
            if not future.done():
                future.set_exception(BadStateException(self.executor, error))
        self.look()

    def is_done(self, outcome=None):
        """Its oldest task is done."""
        future = next(future for future in self.futures if not future.done())
        future.set_result({"evostem_outcome": "value", "value": None, "pool": "m"} if outcome is None else outcome)


def engine_of(*shards):
    return Engine([(shard.app, shard.blocks) for shard in shards])


def busy_with(*shards):
    return [shard.blocks.outstanding for shard in shards]


def test_tasks_go_to_whoever_has_most_workers_free():
    shards = Shard(2), Shard(6), Shard(3)
    engine = engine_of(*shards)
    for _ in range(4):
        engine.submit(math.sqrt, 2.0)
    assert busy_with(*shards) == [0, 4, 0] or busy_with(*shards) == [0, 3, 1]
    for _ in range(7):
        engine.submit(math.sqrt, 2.0)
    assert busy_with(*shards) == [2, 6, 3]  # all are busy, and none has more than it can do


def test_beyond_its_workers_each_has_its_share():
    shards = Shard(2), Shard(4)
    engine = engine_of(*shards)
    for _ in range(6 + 4):
        engine.submit(math.sqrt, 2.0)
    assert busy_with(*shards) == [4, 6]


def test_each_task_has_a_limit_after_which_its_node_is_given_up():
    shard, limits = Shard(3), []
    shard.blocks.took = lambda _task, limit_s: limits.append(limit_s)
    engine = engine_of(shard)
    engine.submit(math.sqrt, 2.0)
    engine.submit(math.sqrt, 2.0, limit_s=7.0)
    engine.evaluator(EvaluationSettings(Path("tiles.h5"), "digest", None, 3, 30.0, 60.0))(
        Request(0, "evolution", 0, b"", 5)
    )
    assert limits == [6 * 3600.0, 7.0, 60.0 + 120.0 + GRACE_S]  # of a network: its own, and for its copy of the tiles


def test_a_finished_task_is_replaced_where_it_was():
    shards = Shard(3), Shard(3)
    engine = engine_of(*shards)
    for _ in range(6):
        engine.submit(math.sqrt, 2.0)
    for number in (0, 1, 1, 0, 1):
        shards[number].is_done()
        engine.submit(math.sqrt, 2.0)
        assert busy_with(*shards) == [3, 3]


def test_what_a_task_is_reaches_the_app_and_what_comes_of_it_the_caller():
    shard = Shard(1)
    future = engine_of(shard).submit(math.hypot, 3.0, 4.0)
    assert shard.calls == [("math", "hypot", 3.0, 4.0)]
    shard.is_done({"evostem_outcome": "value", "value": 5.0, "pool": "m"})
    assert future.result(0)["value"] == 5.0
    assert shard.blocks.outstanding == 0


@pytest.mark.parametrize("outcome", [None, 7, {}, {"pool": 3}, ["pool"], {"evostem_outcome": "failure"}])
def test_a_task_is_back_whatever_it_brings(outcome):
    shard = Shard(1)
    engine_of(shard).submit(math.sqrt, 2.0)
    shard.futures[0].set_result(outcome)
    assert shard.blocks.outstanding == 0


def test_a_task_is_back_also_if_it_failed_or_was_taken_away():
    shard = Shard(2)
    engine = engine_of(shard)
    engine.submit(math.sqrt, 2.0)
    engine.submit(math.sqrt, 2.0)
    shard.futures[0].set_exception(RuntimeError("worker lost"))
    shard.futures[1].cancel()
    assert shard.blocks.outstanding == 0


@pytest.mark.parametrize("error", [RuntimeError("unserialisable"), KeyboardInterrupt()])
def test_a_task_that_could_not_be_submitted_is_not_counted(error):
    shards = Shard(3), Shard(2)
    engine = engine_of(*shards)
    shards[0].error = error
    with pytest.raises(type(error)):
        engine.submit(math.sqrt, 2.0)
    assert busy_with(*shards) == [0, 0]


def test_many_threads_may_submit():
    shards = Shard(5), Shard(5)
    engine = engine_of(*shards)

    def submit_some():
        for _ in range(50):
            engine.submit(math.sqrt, 2.0)

    threads = [threading.Thread(target=submit_some) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert sum(busy_with(*shards)) == 400
    for shard in shards:
        for future in shard.futures:
            future.set_result(None)
    assert busy_with(*shards) == [0, 0]


def test_until_the_first_worker_there_are_as_many_as_the_site_always_has():
    shards = Shard(least=2, nodes=3, per_node=4), Shard(least=1, nodes=1, per_node=6), Shard(least=0)
    engine = engine_of(*shards)
    assert engine.workers() == 2 * 3 * 4 + 6
    shards[1].has(6)
    assert engine.workers() == 6  # those that are there
    shards[0].has(24)
    assert engine.workers() == 30
    shards[0].has(0)
    shards[1].has(0)
    assert engine.workers() == 0  # they are gone, and nothing is promised any more


def test_what_waits_is_told_where_there_is_a_task_and_no_worker(clock):
    shards = Shard(), Shard(), Shard()
    engine = engine_of(*shards)
    for shard in shards:
        shard.executor.status_facade = {"0": JobStatus(JobState.PENDING), "1": JobStatus(JobState.HELD)}
    shards[1].has(1)
    engine.submit(math.sqrt, 2.0)
    engine.submit(math.sqrt, 2.0)
    assert busy_with(*shards) in ([1, 1, 0], [0, 1, 1])
    for _ in range(3):
        clock.now += TELL_S
        for shard in shards:
            shard.look()
    told = [shard.said for shard in shards if shard.said]
    assert told == [["waiting for workers: 2 jobs have been asked for"]]
    assert shards[1].said == []


def test_all_blocks_are_wanted_in_the_block_and_not_after_it():
    shards = Shard(), Shard()
    engine = engine_of(*shards)
    assert [shard.blocks.wanted for shard in shards] == [False, False]
    with engine.all_blocks():
        assert [shard.blocks.wanted for shard in shards] == [True, True]
    assert [shard.blocks.wanted for shard in shards] == [False, False]
    with pytest.raises(KeyboardInterrupt), engine.all_blocks():
        raise KeyboardInterrupt
    assert [shard.blocks.wanted for shard in shards] == [False, False]


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_it_is_broken_only_if_all_executors_are(order):
    shards = Shard(1), Shard(1), Shard(1)
    engine = engine_of(*shards)
    errors = [InterchangeLostError("status 1"), BlocksError("no worker came"), BlocksError("refused")]
    for number in order:
        assert engine.broken() is None
        shards[number].breaks(errors[number])
    assert engine.broken() in errors


def test_an_engine_of_nothing_is_not_broken():
    assert engine_of().broken() is None


def test_workers_of_an_executor_that_is_no_more_do_not_count():
    shards = Shard(4), Shard(2)
    engine = engine_of(*shards)
    shards[0].breaks(InterchangeLostError("status -9"))
    assert engine.workers() == 2


@pytest.mark.parametrize("tasks_out", [0, 1, 2, 5], ids=["idle", "half busy", "busy", "more than busy"])
def test_an_executor_that_is_no_more_gets_no_tasks_while_another_lives(tasks_out):
    """All that it gets fails at once, so that it is always free: it would swallow the whole campaign."""
    shards = Shard(4), Shard(2)
    engine = engine_of(*shards)
    shards[0].breaks(InterchangeLostError("status -9"))
    futures = [engine.submit(math.sqrt, 2.0) for _ in range(tasks_out + 1)]
    assert [future for future in futures if future.done()] == []
    assert len(shards[1].calls) == tasks_out + 1


def test_an_executor_that_has_just_died_gets_no_tasks_either():
    """Its workers are counted anew with the next look only, some seconds later."""
    shards = Shard(4), Shard(2)
    engine = engine_of(*shards)
    shards[0].executor.executor_exception = InterchangeLostError("status -9")
    shards[0].executor.bad_state_is_set = True
    assert not engine.submit(math.sqrt, 2.0).done()
    assert len(shards[1].calls) == 1


def test_if_all_are_no_more_a_task_fails_with_the_reason():
    shards = Shard(4), Shard(2)
    engine = engine_of(*shards)
    for shard in shards:
        shard.breaks(BlocksError("no worker came"))
    with pytest.raises(BlocksError, match="no worker came"):
        engine.submit(math.sqrt, 2.0).result(0)
    assert busy_with(*shards) == [0, 0]


def test_networks_are_not_to_blame_for_the_end_of_their_executor():
    """While others live, the campaign shall try them again; as failures of theirs they would be recorded for good."""
    shards = Shard(4), Shard(2)
    evaluator = engine_of(*shards).evaluator(SETTINGS)
    records = [evaluator(Request(index, "evolution", 0, b"network", 0)) for index in range(2)]
    assert len(shards[0].calls) == 2
    shards[0].breaks(InterchangeLostError("status -9"))
    for record in records:
        assert isinstance(record.exception(0), LOST)


@pytest.mark.parametrize("shards", [[Shard], [Shard, Shard]], ids=["one", "two"])
def test_networks_are_not_to_blame_for_the_end_of_all_executors(shards):
    shards = [make(4) for make in shards]
    evaluator = engine_of(*shards).evaluator(SETTINGS)
    records = [evaluator(Request(index, "evolution", 0, b"network", 0)) for index in range(3)]
    for shard in shards:
        shard.executor.executor_exception = BlocksError("no worker came of 3 blocks in a row")
    for shard in shards:
        shard.breaks(shard.executor.executor_exception)
    for record in records:
        assert isinstance(record.exception(0), BrokenExecutor)
        assert "no worker came" in str(record.exception(0))
    with pytest.raises(BrokenExecutor, match="no worker came"):
        evaluator(Request(3, "evolution", 0, b"network", 0))


def dies_of(error):
    return error  # which is what it gives whoever submits, as Parsl's executor does


def pipe_ends(_error):
    return zmq.ContextTerminated()  # where a task was on its way to an interchange that has died


@pytest.mark.parametrize("seen", [dies_of, pipe_ends])
@pytest.mark.parametrize("others", [0, 1])
def test_networks_are_not_to_blame_where_their_executor_ends_before_it_has_them(seen, others):
    """Parsl hands tasks over in a thread of its own, so that any time may lie between."""
    shards = [Shard(4), *(Shard(1) for _ in range(others))]
    evaluator = engine_of(*shards).evaluator(SETTINGS)
    record = evaluator(Request(0, "evolution", 0, b"network", 0))
    error = InterchangeLostError("status -9")
    (future,), shards[0].futures = shards[0].futures, []
    shards[0].breaks(error)
    future.set_exception(seen(error))
    assert isinstance(record.exception(0), LOST)


def test_networks_are_to_blame_for_what_they_do_while_their_executor_lives():
    shard = Shard(4)
    evaluator = engine_of(shard).evaluator(SETTINGS)
    record = evaluator(Request(0, "evolution", 0, b"network", 0))
    shard.futures[0].set_exception(ValueError("cannot be pickled"))
    assert not isinstance(record.exception(0), LOST)
