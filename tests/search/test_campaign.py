"""The loop: exact budgets, no barrier, nothing recorded is lost or repeated."""

import threading
import time
from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing

import pytest

from networks.genome import LENGTH
from search.budget import Budget
from search.campaign import CampaignError, Crew, run_campaign
from search.evaluation import Evaluation, Request, Status, WorkerLostError
from search.evolution import Evolution
from search.journal import Journal
from search.utilisation import Utilisation


def record(request, fitness=0.5, status=Status.OK, started=0.0, ended=0.0):
    return Evaluation(request, status, fitness=fitness, started=started, ended=ended)


def ignore(_evaluation):
    pass


class Killed(BaseException):
    """Stands for the death of the driver."""


@pytest.fixture
def path(tmp_path):
    return tmp_path / "journal.sqlite"


def test_the_budget_is_met_exactly_whatever_the_order_of_arrival(path):
    with ThreadPoolExecutor(4) as pool, closing(Journal(path)) as journal:

        def evaluator(request):
            def work():
                time.sleep(0.001 * (request.index % 3))
                return record(request, fitness=request.genome[0] / 255)

            return pool.submit(work)

        run_campaign(Evolution(5, seed=1), evaluator, journal, Budget(33), Crew(lambda: 4), ignore)
        evaluations = list(journal.evaluations())
    assert len(evaluations) == 33
    assert len({e.request.genome for e in evaluations}) == 33
    assert sorted(e.request.index for e in evaluations) == list(range(33))


def test_a_finished_network_is_replaced_at_once_while_others_run_on(path):
    slow = threading.Event()
    with ThreadPoolExecutor(2) as pool, closing(Journal(path)) as journal:

        def evaluator(request):
            def work():
                # The first network runs until nearly all others are done: with a barrier this would hang.
                if request.index == 0:
                    assert slow.wait(20)
                return record(request)

            return pool.submit(work)

        def count(_evaluation, seen=Counter()):  # noqa: B006 (counts over calls)
            seen["all"] += 1
            if seen["all"] == 19:
                slow.set()

        run_campaign(Evolution(4, seed=1), evaluator, journal, Budget(20), Crew(lambda: 2), count)
        order = [e.request.index for e in journal.evaluations()]
    assert order[-1] == 0
    assert len(order) == 20


def test_workers_never_wait_for_the_driver_and_never_get_more_than_the_budget(path):
    running, most = set(), []

    class Later(Future):
        pass

    waiting = []

    def evaluator(request):
        future = Later()
        running.add(request.index)
        most.append(len(running))
        waiting.append((future, request))
        if len(waiting) == 4 or request.index == 9:
            for ready, asked in waiting:
                running.discard(asked.index)
                ready.set_result(record(asked))
            waiting.clear()
        return future

    with closing(Journal(path)) as journal:
        run_campaign(Evolution(4, seed=1), evaluator, journal, Budget(10), Crew(lambda: 3), ignore)
        assert journal.count() == 10
    assert max(most) == 4  # three workers and one network ahead


@pytest.mark.parametrize("deaths", [[1], [3, 7], [2, 2, 11], [14]])
def test_a_killed_driver_goes_on_and_repeats_nothing(path, deaths):
    evaluated = Counter()

    def evaluator(request):
        evaluated[request.index] += 1
        future = Future()
        future.set_result(record(request, fitness=request.genome[3] / 255))
        return future

    for death in [*deaths, None]:
        results = Counter()

        def die(_evaluation, results=results, death=death):
            results["n"] += 1
            if results["n"] == death:
                raise Killed

        with closing(Journal(path)) as journal:
            strategy = Evolution(4, seed=2)
            try:
                run_campaign(strategy, evaluator, journal, Budget(30), Crew(lambda: 2), die)
            except Killed:
                continue
    with closing(Journal(path)) as journal:
        evaluations = list(journal.evaluations())
    assert len(evaluations) == 30
    assert len({e.request.index for e in evaluations}) == 30
    assert len({e.request.genome for e in evaluations}) == 30
    # What was in flight at a death was asked and never recorded; what was recorded ran once.
    assert all(evaluated[e.request.index] <= 1 + len(deaths) for e in evaluations)


def test_a_lost_worker_is_a_record(path):
    def evaluator(request):
        future = Future()
        if request.index % 5 == 2:
            future.set_exception(WorkerLostError("worker went away"))
        else:
            future.set_result(record(request))
        return future

    with closing(Journal(path)) as journal:
        run_campaign(Evolution(4, seed=1), evaluator, journal, Budget(20), Crew(lambda: 2), ignore)
        lost = [e for e in journal.evaluations() if e.status is Status.LOST]
    assert len(lost) == 4
    assert all("worker went away" in e.reason and e.fitness == 0 for e in lost)


def test_it_stops_when_everything_fails_from_the_start(path):
    def evaluator(request):
        future = Future()
        future.set_result(Evaluation(request, Status.CRASHED, "no such device"))
        return future

    with closing(Journal(path)) as journal:
        with pytest.raises(CampaignError, match="no such device"):
            run_campaign(Evolution(4, seed=1), evaluator, journal, Budget(500), Crew(lambda: 2), ignore)
        assert 20 <= journal.count() < 30


def test_records_come_back_from_the_journal_unchanged(path):
    request = Request(
        7,
        "evolution",
        2,
        bytes(range(LENGTH)),
        123456789,
        (3, 4),
        "uniform+change_genes",
        0.2,
        0.7,
        ((0.25, 0.1), (0.5, 0.2)),
    )
    evaluation = Evaluation(
        request, Status.DIVERGED, "loss 'nan'; \"quoted\"", "disk full", 0.25, {"f1": 0.25}, 80, 12.5, 10**10,
        4321, 10**9, 0.125, 0.5, (0.1, 0.2), "node7", "3", "cuda:0", 1.5, 9.75,
    )  # fmt: skip
    with closing(Journal(path)) as journal:
        journal.append([evaluation])
    with closing(Journal(path)) as journal:
        assert list(journal.evaluations()) == [evaluation]
        assert list(journal.evaluations("tuning")) == []
        assert journal.next_index() == 8


def bar(start, end):
    return record(Request(0, "evolution", 0, b"", 0), started=start, ended=end)


def utilisation(bars, crew):
    fold = Utilisation()
    for evaluation in bars:
        fold.add(evaluation)
    return fold.share(crew)


def test_utilisation_of_hand_made_timelines():
    assert utilisation([], []) == 0
    assert utilisation([bar(0, 10), bar(0, 10)], [(0, 2), (10, 0)]) == pytest.approx(1)
    assert utilisation([bar(0, 10), bar(0, 5)], [(0, 2), (10, 0)]) == pytest.approx(0.75)
    assert utilisation([bar(0, 4), bar(6, 10)], [(0, 1)]) == pytest.approx(0.8)  # a pause counts
    assert utilisation([bar(0, 4), bar(104, 110)], [(0, 1), (4, 0), (104, 1)]) == pytest.approx(
        1
    )  # a stopped run does not
    assert utilisation([bar(0, 10), bar(5, 10)], [(0, 1), (5, 2)]) == pytest.approx(1)  # a worker that came later


def test_who_asks_to_stop_does_not_wait_for_networks_that_nobody_works_on(path):
    asked = []

    def evaluator(request):
        asked.append(request.index)
        return Future()  # in the queue of a cluster that has not begun

    with closing(Journal(path)) as journal:
        crew = Crew(lambda: 0)
        assert run_campaign(Evolution(5, 0), evaluator, journal, Budget(9), crew, ignore, lambda: bool(asked)) == ""
        assert journal.count() == 0
    assert asked == [0]  # without workers, one is enough to have some asked for


@pytest.mark.parametrize(("seconds", "ahead"), [(0.0, range(2, 17)), (0.2, range(1, 2))])
def test_more_networks_wait_where_they_are_quicker_than_a_step_of_the_driver(path, seconds, ahead):
    submitted, told = [], []
    most = 0

    def evaluator(request):
        nonlocal most
        submitted.append(request.index)
        most = max(most, len(submitted) - len(told))
        future = Future()
        threading.Timer(seconds, future.set_result, [record(request)]).start()
        return future

    with closing(Journal(path)) as journal:
        run_campaign(Evolution(5, 0), evaluator, journal, Budget(70), Crew(lambda: 2), told.append)
        assert journal.count() == 70
    assert most - 2 in ahead
