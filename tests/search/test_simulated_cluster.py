"""The simulated cluster beside timelines made by hand and the theory of queues; the campaign itself on many workers."""

import math
from collections import Counter
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from search.budget import Budget
from search.campaign import Crew, run_campaign
from search.evaluation import Request as Asked
from search.evaluation import Status, rng_of, training_seed
from search.evolution import Evolution
from search.journal import Journal
from search.simulated_cluster import Shift, SimulatedCluster, log_normal, simulate, toy_fitness, utilisation


class Drawing:
    """Networks at random: what is simulated here is the cluster."""

    stage = "evolution"

    def ask(self, index):
        return Asked(index, self.stage, 0, rng_of(0, index).bytes(35), training_seed(0, index))

    def tell(self, evaluation):
        pass


def given(*durations):
    """The durations of the networks by their numbers, over and over."""
    return lambda request, _rng: durations[request.index % len(durations)]


def exponential(mean):
    return lambda _request, rng: rng.exponential(mean)


def bars(journal):
    """(worker, network, start, end) of each record, by start and worker."""
    records = journal.evaluations()
    return sorted(
        ((e.worker, e.request.index, e.started, e.ended) for e in records if e.worker), key=lambda b: (b[2], b[0])
    )


def on(workers, duration, **more):
    return SimulatedCluster([Shift()] * workers, duration, **more)


def test_two_workers_by_hand():
    """Networks last 3, 1, 1, 4, 2 s: the second worker takes three while the first has one."""
    journal = simulate(on(2, given(3, 1, 1, 4, 2)), Drawing, 5)
    assert bars(journal) == [
        ("0", 0, 0, 3),
        ("1", 1, 0, 1),
        ("1", 2, 1, 2),
        ("1", 3, 2, 6),
        ("0", 4, 3, 5),
    ]
    assert journal.crew("evolution") == [(0, 2), (6, 0)]
    assert utilisation(journal, "evolution") == pytest.approx(11 / 12)


def test_a_barrier_by_hand():
    """The same networks two at a time: 3 + 4 + 2 s, of two workers."""
    journal = simulate(on(2, given(3, 1, 1, 4, 2)), Drawing, 5, barrier=2)
    assert sorted(bar[1:] for bar in bars(journal)) == [(0, 0, 3), (1, 0, 1), (2, 3, 4), (3, 3, 7), (4, 7, 9)]
    assert utilisation(journal, "evolution") == pytest.approx(11 / 18)


def test_a_slow_driver_by_hand():
    """Two workers, a second each, and a driver that needs two for each network: a worker waits for its next one."""
    journal = simulate(on(2, given(1), driver_s=2), Drawing, 4)
    assert [bar[2:] for bar in bars(journal)] == [(2, 3), (4, 5), (6, 7), (8, 9)]


def test_workers_that_start_late_and_leave_by_hand():
    """One from 1 s on; one from 4 to 9.5 s, lost with network 6, which is tried once more."""
    cluster = SimulatedCluster([Shift(), Shift(3, 9.5)], given(2), start_up_s=1)
    journal = simulate(cluster, Drawing, 7)
    assert (
        bars(journal)
        == [
            ("0", 0, 1, 3),
            ("0", 1, 3, 5),
            ("1", 2, 4, 6),
            ("0", 3, 5, 7),
            ("1", 4, 6, 8),
            ("0", 5, 7, 9),
            ("0", 6, 9, 11),
        ]
        or journal.losses()
    )
    assert sum(journal.losses().values()) == 1


def test_constant_durations_leave_nobody_idle():
    for workers in (1, 7, 100):
        assert utilisation(simulate(on(workers, given(60)), Drawing, 5 * workers), "evolution") == pytest.approx(1)


def test_a_barrier_costs_what_the_longest_of_a_generation_takes():
    """The longest of n exponential durations is the harmonic number H_n times their mean, so that 1/H_n is worked."""
    n, generations = 30, 80
    share = utilisation(simulate(on(n, exponential(60)), Drawing, n * generations, barrier=n), "evolution")
    harmonic = sum(1 / k for k in range(1, n + 1))
    assert share == pytest.approx(1 / harmonic, rel=0.1)


def test_without_a_barrier_only_the_end_is_lost():
    """Workers are idle only while the last networks finish: n exponential ones, of which one ends after the other."""
    n, count = 30, 6000
    share = utilisation(simulate(on(n, exponential(60)), Drawing, count), "evolution")
    harmonic = sum(1 / k for k in range(1, n + 1))
    assert share == pytest.approx(count / (count + n * (harmonic - 1)), abs=0.01)


def test_a_driver_that_is_too_slow_is_what_the_rate_comes_from():
    """Workers could finish 10 networks a second, the driver submits 5."""
    cluster = on(100, given(10), driver_s=0.2)
    simulate(cluster, Drawing, 2000)
    assert 2000 / cluster.now == pytest.approx(5, rel=0.03)


def test_durations_have_the_mean_that_was_asked_for():
    draw = log_normal(600, 0.5)
    drawn = np.array([draw(Drawing().ask(i), np.random.default_rng(i)) for i in range(20000)])
    assert drawn.mean() == pytest.approx(600, rel=0.02)
    assert np.log(drawn).std() == pytest.approx(0.5, rel=0.02)


def test_lost_workers_lose_no_network_for_good():
    """Workers live 20 durations on average: a twentieth of the networks, as of all time, is lost at first."""
    cluster = on(50, given(60), mean_life_s=1200, start_up_s=10, seed=3)
    journal = simulate(cluster, Drawing, 4000)
    records = list(journal.evaluations())
    assert sorted(e.request.index for e in records) == list(range(4000))
    losses = sum(journal.losses().values())
    chance = 1 - math.exp(-60 / 1200)
    assert losses / (4000 + losses) == pytest.approx(chance, rel=0.25)
    lost = [e for e in records if e.status is Status.LOST]
    assert len(lost) / 4000 == pytest.approx(chance**2, abs=4 * chance / math.sqrt(4000))
    assert utilisation(journal, "evolution") > 0.9


def test_the_crew_follows_workers_that_come_and_go():
    shifts = [Shift()] * 10 + [Shift(60, 180)] * 90
    journal = simulate(SimulatedCluster(shifts, given(7)), Drawing, 2200)
    assert {count for _, count in journal.crew("evolution")} == {0, 10, 100}
    at_most = max(sum(b[2] <= t < b[3] for b in bars(journal)) for t in (50.5, 100.5, 200.5))
    assert at_most == 100
    assert sum(b[2] <= 100.5 < b[3] for b in bars(journal)) == 100
    assert sum(b[2] <= 200.5 < b[3] for b in bars(journal)) == 10
    assert utilisation(journal, "evolution") > 0.97


def test_hung_networks_are_given_up_when_nothing_is_heard_of_them():
    cluster = on(3, lambda request, _rng: math.inf if request.index == 4 else 10)
    with closing(Journal(Path(":memory:"))) as journal:
        crew = Crew(cluster.crew.workers, patience_s=300)
        run_campaign(Drawing(), cluster, journal, Budget(20), crew, lambda _: None, clock=cluster.clock)
        status = {e.request.index: e.status for e in journal.evaluations()}
    assert status.pop(4) is Status.TIMED_OUT
    assert set(status.values()) == {Status.OK}
    assert len(status) == 19


def test_a_budget_of_time_counts_the_time_with_workers_however_often_the_driver_is_started():
    """Two workers come after 1000 s, networks last 10 s. Each life ends with the network that waited ahead."""
    cluster = SimulatedCluster([Shift(1000)] * 2, given(10))
    with closing(Journal(Path(":memory:"))) as journal:
        for life in (40, 80, 100, 100):
            ended = run_campaign(
                Drawing(), cluster, journal, Budget(999, life), cluster.crew, lambda _: None, clock=cluster.clock
            )
            assert ended == f"{life} s have passed"
        started = Counter(e.started for e in journal.evaluations())
    assert started == dict.fromkeys(range(1000, 1101, 10), 2) | {1040: 1, 1080: 1, 1100: 1}


def test_the_same_seed_is_the_same_campaign():
    def records(seed):
        cluster = on(20, log_normal(60, 0.5), mean_life_s=600, seed=seed)
        return list(simulate(cluster, lambda: Evolution(10, 1), 300).evaluations())

    assert records(1) == records(1)
    assert records(1) != records(2)


@pytest.mark.parametrize("workers", [10, 1000, 25_000])
def test_thousands_of_workers_never_wait_for_the_driver(workers):
    """It takes half a millisecond for each network; 25,000 workers that need ten minutes ask for one every 24 ms."""
    driver_s = 0.0005
    journal = simulate(on(workers, log_normal(600, 0.3), driver_s=driver_s), Drawing, workers * 6 // 5)
    assert journal.count() == workers * 6 // 5
    free_since = dict.fromkeys(map(str, range(workers)), 0.0)
    for worker, _, start, end in bars(journal):
        assert start - free_since[worker] <= (driver_s * workers * 1.01 if free_since[worker] == 0 else 2 * driver_s)
        free_since[worker] = end
    assert min(free_since.values()) > 0


def test_made_up_fitness_is_a_share():
    some = [toy_fitness(Drawing().ask(i)) for i in range(100)]
    assert 0 < min(some) < max(some) < 1


def test_workers_that_leave_cost_no_network(tmp_path):
    """Of 200 workers 196 leave: what waits for the other four waits long, and is not given up."""
    cluster = SimulatedCluster([Shift()] * 4 + [Shift(0, 100)] * 196, log_normal(12, 0.5), seed=1)
    crew = Crew(cluster.crew.workers, patience_s=324)
    with closing(Journal(tmp_path / "journal.sqlite")) as journal:
        run_campaign(Drawing(), cluster, journal, Budget(2500), crew, lambda _: None, clock=cluster.clock)
        statuses = Counter(e.status for e in journal.evaluations())
    assert statuses.keys() <= {Status.OK, Status.LOST}
    assert statuses.total() == 2500
