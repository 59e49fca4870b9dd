"""Random sets first, then what a predictor proposes, built in the background, the same after a resume."""

import math
from concurrent.futures import Executor, Future
from contextlib import closing
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from networks.genes import GENES, kind_of, numeric_genes, unpack
from networks.genome import decode, encode
from networks.hyperparameters import Hyperparameters, hyperparameter
from networks.space import SLOTS, Limits, sample
from search.budget import Budget
from search.campaign import CampaignError, Crew, run_campaign
from search.evaluation import Evaluation, Status
from search.journal import Journal
from search.predictors import PREDICTORS
from search.simulated_cluster import Shift, SimulatedCluster, log_normal
from search.tuning import Plan, Tuning
from search.tuning_folder import TuningFolder

START = encode(decode(encode(sample(np.random.default_rng(8))), Limits()))  # with nothing left to be repaired


def free(genome):
    """All that may vary, drawn with no regard for the genome's own values."""
    return replace(Hyperparameters.around_genome(genome), around=False)


SPACE = replace(free(START), vary=free(START).vary[:9])  # of the training


class AtOnce(Executor):
    """Does what it is given before it returns."""

    def submit(self, function, /, *arguments):
        future = Future()
        future.set_result(function(*arguments))
        return future


class Held(Executor):
    """Keeps what it is given until it is told to do it."""

    def __init__(self):
        self.kept = []

    def submit(self, function, /, *arguments):
        future = Future()
        self.kept.append(lambda: future.set_result(function(*arguments)))
        return future


class Site:
    """A tuning, and the folder by which its predictors reach workers."""

    def __init__(self, path, plan, seed=0, background=None, space=SPACE):
        self.folder = TuningFolder(path)
        self.folder.write_space(space)
        self.builds = []
        self.tuning = Tuning(space, plan, seed, background or AtOnce(), self.publish)

    def publish(self, build):
        self.builds.append(build)
        if build.predictor is not None:
            self.folder.write_predictor(build.name, build.predictor)
        return build.predictor is not None

    def evaluate(self, index, fitness_of):
        """Ask, draw as a worker does, and tell."""
        drawn = self.folder.draw(self.tuning.ask(index))
        assert drawn.warning == ""
        done = Evaluation(
            drawn.request,
            Status.OK,
            fitness=fitness_of(drawn.request.genome),
            draws=drawn.draws,
            started=float(index),
            ended=index + 1.0,
        )
        self.tuning.tell(done)
        return done


def corner(genome):
    """Good where learning rate and weight decay are both high: one set in four is above a half."""
    genes = unpack(genome)
    return min(genes[0] / 31, genes[1] / 15)


def run(site, count, first=0, fitness_of=corner):
    return [site.evaluate(index, fitness_of) for index in range(first, first + count)]


@pytest.mark.parametrize("name", PREDICTORS)
def test_chosen_sets_are_good_at_least_twice_as_often_as_random_ones(tmp_path, name):
    shares = {"random": [], name: []}
    for seed in range(3):
        for done in run(Site(tmp_path / str(seed), Plan(60, name), seed), 120):
            shares[done.request.origin].append(done.fitness > 0.5)
    assert [len(kind) for kind in shares.values()] == [180, 180]
    assert np.mean(shares[name]) > 2 * np.mean(shares["random"])


def test_random_draws_only_random_sets(tmp_path):
    site = Site(tmp_path, Plan(5, "random"))
    assert {done.request.origin for done in run(site, 40)} == {"random"}
    assert site.builds == []


def test_only_numbers_vary(tmp_path):
    start = unpack(START)
    fixed = np.setdiff1d(np.arange(GENES), list(numeric_genes(start)))
    for done in run(Site(tmp_path, Plan(8, "trees")), 16):
        genes = unpack(done.request.genome)
        assert all(genes[i] == start[i] for i in fixed)
        assert [kind_of(genes, s) for s in range(SLOTS)] == [kind_of(start, s) for s in range(SLOTS)]
        assert (genes != start).any()


@pytest.mark.parametrize(
    ("fitness_of", "reason"),
    [
        (lambda _: 0.0, "all 19 results are the same"),
        (lambda genome: 1.0 - (genome[0] > 240), "of 19 results 17 are good and 2 bad"),
    ],
)
def test_where_nothing_can_be_learnt_sets_stay_random_and_it_is_said(tmp_path, fitness_of, reason):
    site = Site(tmp_path, Plan(20, "svm"))
    assert {done.request.origin for done in run(site, 21, fitness_of=fitness_of)} == {"random"}
    assert reason in site.builds[0].reason


def test_too_few_results_leave_sets_random_until_there_are_enough(tmp_path):
    site = Site(tmp_path, Plan(0, "svm"))
    origins = [done.request.origin for done in run(site, 40)]
    assert origins == ["random"] * 13 + ["svm"] * 27  # of thirteen, four are the best quarter: one for each fold
    assert site.builds[0].learnt_on == 13


def test_random_sets_are_as_many_as_asked_however_many_are_under_way(tmp_path):
    site = Site(tmp_path, Plan(20, "trees"))
    asked = [site.tuning.ask(index) for index in range(5)]  # five workers
    origins = []
    for index in range(5, 45):
        drawn = site.folder.draw(asked.pop(0))
        origins.append(drawn.request.origin)
        site.tuning.tell(Evaluation(drawn.request, Status.OK, fitness=corner(drawn.request.genome), ended=1.0))
        asked.append(site.tuning.ask(index))
    assert origins == ["random"] * 20 + ["trees"] * 20


def test_a_fit_that_fails_leaves_sets_random_and_it_is_said(tmp_path, monkeypatch):
    def fail(*_arguments, **_more):
        raise MemoryError("no room")

    site = Site(tmp_path, Plan(20, "svm"))
    monkeypatch.setattr("sklearn.svm.SVC.fit", fail)
    assert {done.request.origin for done in run(site, 25)} == {"random"}
    assert all(build.predictor is None and "the fit failed" in build.reason for build in site.builds)


def test_the_first_predictor_is_waited_for_and_no_other(tmp_path):
    held = Held()
    site = Site(tmp_path, Plan(20, "trees"), background=held)
    run(site, 20)
    held.submit = AtOnce().submit  # the first is done at once …
    assert site.evaluate(20, corner).request.predictor == "trees_000019"
    del held.submit  # … and the next kept back: sets go on with the one that there is
    assert {done.request.predictor for done in run(site, 9, first=21)} == {"trees_000019"}
    assert len(held.kept) == 1
    held.kept.pop()()
    assert site.evaluate(30, corner).request.predictor == "trees_000021"
    assert [build.waited_s > 0 for build in site.builds] == [True, False]


def test_random_sets_end_by_the_time_that_workers_worked(tmp_path):
    site = Site(tmp_path, Plan(10_000, "trees", random_s=25.0))
    origins = [done.request.origin for done in run(site, 30)]  # a second each
    assert origins == ["random"] * 25 + ["trees"] * 5


def test_a_pause_of_the_run_is_no_time_that_workers_worked(tmp_path):
    site = Site(tmp_path, Plan(10_000, "trees", random_s=25.0))
    done = run(site, 20)
    resumed = Site(tmp_path, Plan(10_000, "trees", random_s=25.0))
    for one in done:
        resumed.tuning.tell(one)
    assert [one.request.origin for one in run(resumed, 10, first=10_000)] == ["random"] * 5 + ["trees"] * 5


@pytest.mark.parametrize("name", PREDICTORS)
@pytest.mark.parametrize("stop", [7, 20, 33])
def test_after_a_resume_in_either_phase_the_predictor_is_the_same_to_the_bit(tmp_path, name, stop):
    whole = Site(tmp_path / "whole", Plan(20, name), 4)
    done = run(whole, 40)
    resumed = Site(tmp_path / "resumed", Plan(20, name), 4)
    for one in done[:stop]:
        resumed.tuning.tell(one)
    assert run(resumed, 40 - stop, first=stop) == done[stop:]
    before = {build.name: build.predictor.arrays() for build in whole.builds}
    for build in resumed.builds:
        for key, array in build.predictor.arrays().items():
            np.testing.assert_array_equal(array, before[build.name][key])


def test_what_was_lost_with_its_worker_counts_and_teaches_nothing(tmp_path):
    site = Site(tmp_path, Plan(20, "trees"))
    for index in range(10):
        site.tuning.tell(Evaluation(site.tuning.ask(index), Status.LOST, "gone"))
    run(site, 12, first=10)
    assert site.builds[0].learnt_on == 10  # of which a worker told


class AlwaysAtOnce:
    def random(self):
        return 0.0


class Later(Executor):
    """Does what it is given by chance: at once, or when it is given something for the next time."""

    def __init__(self, chance):
        self.chance, self.kept = chance, []

    def submit(self, function, /, *arguments):
        future = Future()
        self.kept.append(lambda: future.set_result(function(*arguments)))
        if self.chance.random() < 0.5:
            self.work()
        return future

    def work(self):
        while self.kept:
            self.kept.pop()()


# Small, so that a campaign is quick; equal sets come up, too.
GENES_OF = numeric_genes(unpack(START))
SMALL = Hyperparameters(START, tuple(hyperparameter(gene.name, [n], gene) for n, gene in list(GENES_OF.items())[:4]))


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    workers=st.integers(1, 9),
    random_sets=st.integers(0, 30),
    total=st.integers(1, 45),
    failing=st.floats(0, 0.9),
    mean_life_s=st.sampled_from([30.0, 300.0, math.inf]),
    name=st.sampled_from(["svm", "trees", "tpe", "random"]),
)
def test_whatever_order_results_come_in_and_whatever_fails_the_asked_number_is_evaluated(
    tmp_path_factory, seed, workers, random_sets, total, failing, mean_life_s, name
):
    chance = np.random.default_rng(seed)
    later = Later(AlwaysAtOnce())
    site = Site(tmp_path_factory.mktemp("site"), Plan(random_sets, name), seed % 1000, later, SMALL)
    fates = [lambda: corner(genome_now), lambda: math.nan, lambda: 0.0]
    genome_now = b""

    def fitness(request):
        nonlocal genome_now
        genome_now = request.genome
        return fates[int(chance.integers(1, 3)) if chance.random() < failing else 0]()

    cluster = SimulatedCluster(
        [Shift()] * workers, log_normal(10.0, 1.0), fitness=fitness, mean_life_s=mean_life_s, seed=seed
    )

    def evaluator(request):
        if site.builds:  # the first is waited for, so it must not be kept back
            later.chance = chance
        if chance.random() < 0.5:
            later.work()
        if chance.random() < failing / 3:
            raise ValueError("the evaluator will not have it")
        return cluster(site.folder.draw(request).request)

    arrived = []
    with closing(Journal(site.folder.path / "journal.sqlite")) as journal:
        try:
            crew = Crew(cluster.crew.workers)
            run_campaign(site.tuning, evaluator, journal, Budget(total), crew, arrived.append, clock=cluster.clock)
        except CampaignError:  # says itself that nearly everything failed
            assert sum(one.status is not Status.OK for one in arrived) >= 20
        else:
            assert journal.count() == len({one.request.index for one in arrived}) == total
        assert journal.count() == len(arrived)
