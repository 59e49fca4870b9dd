"""Evaluators that do all the wrong things: each network ends with its status and a reason, and the campaign goes on."""

import ctypes
import faulthandler
import math
import multiprocessing
import os
import signal
import sqlite3
import threading
import time
from collections import Counter
from concurrent.futures import BrokenExecutor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace

import numpy as np
import pytest

import search.journal
from apps.limits import memory_limit
from search.budget import Budget
from search.campaign import CampaignError, Crew, run_campaign
from search.evaluation import Evaluation, Request, Status, WorkerLostError
from search.evolution import Evolution
from search.journal import Journal, JournalError

BAD, COUNT = 3, 8  # the network with the fault, and how many there are


def record(request, **values):
    return Evaluation(request, Status.OK, **{"fitness": 0.5, "started": 1.0, "ended": 2.0, **values})


def ignore(_evaluation):
    pass


def campaign(path, evaluator, *, budget=COUNT, workers=lambda: 2, patience_s=math.inf, on_result=ignore, **rest):
    """Run a campaign; returns what its journal holds, by index."""
    with closing(Journal(path)) as journal:
        crew = Crew(workers, patience_s)
        run_campaign(Evolution(4, seed=3), evaluator, journal, Budget(budget), crew, on_result, **rest)
        return {evaluation.request.index: evaluation for evaluation in journal.evaluations()}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "journal.sqlite"


def check(evaluations, status, reason):
    assert sorted(evaluations) == list(range(COUNT))
    assert evaluations[BAD].status is status
    assert reason in evaluations[BAD].reason
    assert evaluations[BAD].fitness == 0
    assert {e.status for index, e in evaluations.items() if index != BAD} == {Status.OK}


class Mute(Exception):  # noqa: N818 (not an error that says what it is)
    def __str__(self):
        raise RuntimeError


def raising(error):
    def fault(_request):
        raise error

    return fault


class Pretender:
    __class__ = Evaluation  # says that it is a record, and has nothing that one has


@pytest.mark.parametrize(
    ("fault", "status", "reason"),
    [
        (raising(ValueError("no such\nlayer")), Status.CRASHED, "ValueError: no such layer"),
        (raising(MemoryError()), Status.OUT_OF_MEMORY, "MemoryError"),
        (raising(RuntimeError("DefaultCPUAllocator: can't allocate memory")), Status.OUT_OF_MEMORY, "can't allocate"),
        (raising(TimeoutError("too slow")), Status.TIMED_OUT, "too slow"),
        (raising(WorkerLostError("node 7 is gone")), Status.LOST, "node 7 is gone"),
        (raising(SystemExit(3)), Status.CRASHED, "SystemExit: 3"),
        (raising(KeyboardInterrupt()), Status.CRASHED, "KeyboardInterrupt"),
        (raising(Mute()), Status.CRASHED, "Mute"),
        (raising(ValueError("\ud800")), Status.CRASHED, "ValueError"),
        (lambda r: record(r, fitness=math.nan), Status.DIVERGED, "fitness nan"),
        (lambda r: record(r, fitness=np.float32("inf")), Status.DIVERGED, "fitness inf"),
        (lambda _: None, Status.CRASHED, "it is a NoneType, no record"),
        (lambda _: 0.93, Status.CRASHED, "it is a float, no record"),
        (lambda _: Pretender(), Status.CRASHED, "cannot be kept"),
        (lambda r: record(replace(r, index=r.index + 1)), Status.CRASHED, "another network"),
        (lambda r: replace(record(r), status="fine"), Status.CRASHED, "no record"),
        (lambda r: record(r, fitness="0.93"), Status.CRASHED, "fitness is a str, no number"),
        (lambda r: record(r, fitness=10**400), Status.CRASHED, "cannot be kept"),
        (lambda r: record(r, fitness=np.ones(2)), Status.CRASHED, "fitness is a ndarray, no number"),
        (lambda r: record(r, scores={"f1": object()}), Status.CRASHED, "score f1 is a object, no number"),
        (lambda r: record(r, scores=["f1"]), Status.CRASHED, "cannot be kept"),
        (lambda r: record(r, ended=math.nan), Status.CRASHED, "ended is nan"),
        (lambda r: record(r, host=b"node"), Status.CRASHED, "host is a bytes, no text"),
        (lambda r: replace(record(r, reason="gave up"), status=Status.TIMED_OUT), Status.TIMED_OUT, "gave up"),
    ],
)
def test_a_faulty_answer_is_a_record_of_what_is_wrong_with_it(path, fault, status, reason):
    with ThreadPoolExecutor(2) as pool:
        evaluations = campaign(path, lambda r: pool.submit(fault if r.index == BAD else record, r))
    check(evaluations, status, reason)


def test_numbers_of_numpy_are_numbers(path):
    def numpy_record(request):
        return record(
            request,
            fitness=np.float32(0.25),
            scores={"f1": np.float16(0.5)},
            iterations=np.int64(7),
            weights=np.uint8(3),
        )

    with ThreadPoolExecutor(2) as pool:
        evaluations = campaign(path, lambda r: pool.submit(numpy_record, r))
    assert {(e.status, e.fitness, e.scores["f1"], e.iterations, e.weights) for e in evaluations.values()} == {
        (Status.OK, 0.25, 0.5, 7, 3)
    }


@pytest.mark.parametrize("fault", [raising(ValueError("queue full")), lambda _: None])
def test_an_evaluator_that_cannot_even_submit_is_a_record(path, fault):
    with ThreadPoolExecutor(2) as pool:
        evaluations = campaign(path, lambda r: fault(r) if r.index == BAD else pool.submit(record, r))
    check(evaluations, Status.CRASHED, "queue full" if evaluations[BAD].reason.startswith("Value") else "NoneType")


def test_a_cancelled_future_is_a_lost_worker(path):
    def evaluator(request):
        future = Future()
        if request.index == BAD:
            future.cancel()
        else:
            future.set_result(record(request))
        return future

    check(campaign(path, evaluator), Status.LOST, "CancelledError")


def test_what_never_comes_back_is_given_up_and_what_comes_too_late_changes_nothing(path):
    late = []

    def evaluator(request):
        future = Future()
        if request.index == BAD:
            late.append((future, request))
        else:
            future.set_result(record(request))
        if request.index == COUNT - 1:
            threading.Timer(1.5, lambda: late[0][0].set_result(record(late[0][1], fitness=1.0))).start()
        return future

    def slow(request):
        time.sleep(0.3)  # the campaign lasts until after the late result
        return evaluator(request)

    check(campaign(path, slow, patience_s=1.0), Status.TIMED_OUT, "nothing heard for 1 s")


def end_process(_request):
    os._exit(1)


def segfault(_request):
    faulthandler.disable()  # nobody wants to read of it
    os.kill(os.getpid(), signal.SIGSEGV)


def allocate(_request):
    with memory_limit(1 << 30):
        kept = []
        while True:
            kept.append(np.empty(1 << 24, np.uint8))


def hang_in_c(_request):
    ctypes.PyDLL(None).sleep(600)  # PyDLL: with the interpreter's lock held


class Pools:
    """An evaluator with a process for each network."""

    def __init__(self, fault):
        self.fault = fault
        self.pools = []
        self.tried = Counter()

    def __call__(self, request):
        pool = ProcessPoolExecutor(1, multiprocessing.get_context("fork"))
        self.pools.append(pool)
        self.tried[request.index] += 1
        return pool.submit(self.fault if request.index == BAD else record, request)

    def close(self):
        for pool in self.pools:
            for process in list((pool._processes or {}).values()):
                process.kill()
            pool.shutdown()


@pytest.mark.parametrize(
    ("fault", "status", "reason", "tries", "patience_s"),
    [
        (end_process, Status.LOST, "terminated abruptly", 2, math.inf),
        (segfault, Status.LOST, "terminated abruptly", 2, math.inf),
        (allocate, Status.OUT_OF_MEMORY, "MemoryError", 1, math.inf),
        (hang_in_c, Status.TIMED_OUT, "nothing heard for 3 s", 1, 3.0),
    ],
)
def test_a_network_that_takes_its_process_along_is_a_record(path, fault, status, reason, tries, patience_s):
    with closing(Pools(fault)) as pools:
        evaluations = campaign(path, pools, patience_s=patience_s)
    check(evaluations, status, reason)
    assert pools.tried == {**dict.fromkeys(range(COUNT), 1), BAD: tries}


def test_a_pool_that_is_broken_for_good_ends_the_campaign_and_costs_no_network(path):
    with ProcessPoolExecutor(1, multiprocessing.get_context("fork")) as pool:

        def evaluator(request):
            return pool.submit(end_process if request.index == BAD else record, request)

        with pytest.raises(CampaignError, match="no more networks can be evaluated: BrokenProcessPool"):
            campaign(path, evaluator)
    with ThreadPoolExecutor(2) as pool:
        evaluations = campaign(path, lambda r: pool.submit(record, r))
    assert len(evaluations) == COUNT
    assert {e.status for e in evaluations.values()} == {Status.OK}


def test_what_came_back_is_recorded_before_a_broken_evaluator_ends_the_campaign(path):
    waiting = []

    def evaluator(request):
        if request.index == 5:
            for future, asked in waiting:
                future.set_result(record(asked))
            raise BrokenExecutor("the allocation is over")
        waiting.append((Future(), request))
        return waiting[-1][0]

    with pytest.raises(CampaignError, match="allocation is over"):
        campaign(path, evaluator, workers=lambda: 10)
    with closing(Journal(path)) as journal:
        assert sorted(e.request.index for e in journal.evaluations()) == [0, 1, 2, 3, 4]


def test_losses_are_remembered_beyond_the_drivers_death(path):
    class Killed(BaseException):
        pass

    tried = Counter()

    def evaluator(request):
        tried[request.genome] += 1
        future = Future()
        if request.index == BAD:
            if tried[request.genome] == 2:
                raise Killed  # before the second try comes to anything
            future.set_exception(WorkerLostError("gone"))
        else:
            future.set_result(record(request))
        return future

    with pytest.raises(Killed):
        campaign(path, evaluator, workers=lambda: 0)
    with closing(Journal(path)) as journal:
        ((killer, count),) = journal.losses().items()
    assert count == 1
    check(campaign(path, evaluator, workers=lambda: 0), Status.LOST, "gone")
    assert tried[killer] == 3  # the third in its second life
    with closing(Journal(path)) as journal:
        assert journal.losses() == {killer: 2}


def test_a_network_that_took_two_workers_is_not_tried_again_in_another_stage(path):
    genome = bytes(35)
    with closing(Journal(path)) as journal:
        for _ in range(2):
            journal.note_loss(Request(0, "evolution", 0, genome, 0), "gone")

    class Stubborn(Evolution):
        def ask(self, index):
            return replace(super().ask(index), genome=genome) if index == BAD else super().ask(index)

    asked = []

    def evaluator(request):
        asked.append(request.index)
        future = Future()
        future.set_result(record(request))
        return future

    with closing(Journal(path)) as journal:
        run_campaign(Stubborn(4, 3), evaluator, journal, Budget(COUNT), Crew(lambda: 2), ignore)
        check({e.request.index: e for e in journal.evaluations()}, Status.LOST, "2 workers were lost")
        assert journal.losses() == {genome: 2}
    assert BAD not in asked


def test_it_stops_when_nothing_is_heard_of_any_network_any_more(path):
    def evaluator(request):
        future = Future()
        if request.index < 5:
            future.set_result(record(request))
        else:
            future.set_exception(WorkerLostError("switched off"))
        return future

    with pytest.raises(CampaignError, match=r"nothing was heard of the last 2\d networks.*switched off"):
        campaign(path, evaluator, budget=500)


# (workers, networks that are done next) and how many networks are there when the campaign has submitted what it wants.
COMING_AND_GOING = [
    ((2, 2), 3),  # two at work and one waiting
    ((2, 2), 3),
    ((6, 6), 7),
    ((6, 0), 7),
    ((1, 1), 7),  # nothing is added for a worker that has more than enough
    ((1, 4), 6),
    ((1, 1), 2),
    ((0, 0), 1),
    ((3, 3), 4),
]


def test_the_queue_follows_workers_that_come_and_go(path, monkeypatch):
    monkeypatch.setattr("search.campaign.POLL_S", 0.01)
    monkeypatch.setattr("search.campaign.MOST_AHEAD", 0)  # it is not about networks that take no time
    waiting, seen = [], []
    state = {"step": 0, "count": -1, "unchanged": 0}

    def evaluator(request):
        waiting.append((Future(), request))
        return waiting[-1][0]

    def release(count):
        for future, request in waiting[:count]:
            future.set_result(record(request))
        del waiting[:count]

    def look():
        """Called once a round; once two rounds have changed nothing, workers work, come and go."""
        state["unchanged"] = state["unchanged"] + 1 if len(waiting) == state["count"] else 0
        if state["unchanged"] == 4:
            (_, done), _ = COMING_AND_GOING[state["step"]]
            seen.append(len(waiting))
            release(done)
            state["step"] += 1
            state["unchanged"] = 0
        state["count"] = len(waiting)
        finished = state["step"] == len(COMING_AND_GOING)
        if finished:
            release(len(waiting))
        return finished

    evaluations = campaign(
        path,
        evaluator,
        budget=1000,
        workers=lambda: COMING_AND_GOING[min(state["step"], len(COMING_AND_GOING) - 1)][0][0],
        stopping=look,
    )
    assert seen == [count for _, count in COMING_AND_GOING]
    assert sorted(evaluations) == list(range(len(evaluations)))
    with closing(Journal(path)) as journal:
        assert [workers for _, workers in journal.crew("evolution")] == [2, 6, 1, 0, 3, 0]


def test_ten_thousand_futures_at_once(path):
    waiting = []

    def evaluator(request):
        waiting.append((Future(), request))
        if len(waiting) == 10_000:
            threading.Thread(target=lambda: [f.set_result(record(r)) for f, r in waiting]).start()
        return waiting[-1][0]

    class Numbers:
        """A strategy that costs nothing."""

        stage = "evolution"
        told = 0

        def ask(self, index):
            return Request(index, self.stage, 0, index.to_bytes(4, "big"), 0)

        def tell(self, _evaluation):
            self.told += 1

    strategy = Numbers()
    with closing(Journal(path)) as journal:
        run_campaign(strategy, evaluator, journal, Budget(10_000), Crew(lambda: 20_000), ignore)
        assert journal.count() == strategy.told == 10_000


def test_a_stop_finishes_what_runs_and_submits_nothing_more(path):
    asked, done = [], []

    with ThreadPoolExecutor(3) as pool:

        def evaluator(request):
            asked.append(request.index)

            def work():
                time.sleep(0.02)
                return record(request)

            return pool.submit(work)

        evaluations = campaign(
            path, evaluator, budget=50, on_result=done.append, stopping=lambda: len(done) >= 10, workers=lambda: 3
        )
        assert len(evaluations) == len(asked) < 20
        assert len(campaign(path, evaluator, budget=50)) == 50
    assert len(asked) == 50  # nothing twice


def test_a_worker_lost_while_stopping_leaves_its_network_to_the_next_life(path):
    asked = []

    def evaluator(request):
        asked.append(request.index)
        future = Future()
        if request.index == 2:
            future.set_exception(WorkerLostError("gone"))
        else:
            future.set_result(record(request))
        return future

    evaluations = campaign(path, evaluator, budget=10, stopping=lambda: 2 in asked)
    assert 2 not in evaluations
    assert asked.count(2) == 1


@pytest.fixture
def hurried(monkeypatch):
    monkeypatch.setattr(search.journal, "LOCK_S", 0.05)
    monkeypatch.setattr(search.journal, "RETRY_S", 0.05)


def immediate(request):
    future = Future()
    future.set_result(record(request))
    return future


@pytest.mark.usefixtures("hurried")
def test_a_journal_that_is_locked_for_a_while_only_delays(path):
    said = []
    with closing(Journal(path, said.append)) as journal:
        other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        release = threading.Timer(0.5, lambda: other.execute("ROLLBACK"))

        def lock(evaluation):
            if evaluation.request.index == 4:
                other.execute("BEGIN EXCLUSIVE")
                release.start()

        run_campaign(Evolution(4, 3), immediate, journal, Budget(20), Crew(lambda: 2), lock)
        assert journal.count() == 20
        release.join()
        other.close()
    trouble, well = said
    assert "database is locked; trying again" in trouble
    assert "works again" in well


@pytest.mark.usefixtures("hurried")
def test_a_full_disk_that_stays_full_ends_the_campaign_and_the_same_command_goes_on(path, monkeypatch):
    monkeypatch.setattr(search.journal, "PATIENCE_S", 0.3)
    said = []
    with closing(Journal(path, said.append)) as journal:
        pages = journal._database.execute("PRAGMA page_count").fetchone()[0]
        journal._database.execute(f"PRAGMA max_page_count = {pages + 5}")  # SQLite's own way to have a full disk
        with pytest.raises(JournalError, match="disk is full"):
            run_campaign(Evolution(4, 3), immediate, journal, Budget(200), Crew(lambda: 2), ignore)
        before = {e.request.index: e for e in journal.evaluations()}
    assert before
    assert "disk is full; trying again" in said[0]
    after = campaign(path, immediate, budget=200)
    assert len(after) == 200
    assert before.items() <= after.items()
