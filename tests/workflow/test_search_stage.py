"""What the search tells of its workers."""

from contextlib import closing

from search.evaluation import Evaluation, Request, Status
from search.journal import Journal
from search.payoff import Payoff
from workflow.config import TuningConfig
from workflow.search_stage import finalists_of, paid_off, repeat_warnings, too_many_workers


def test_a_warning_of_many_networks_is_said_once(tmp_path):
    seen = [("a", "disk full"), ("a", "disk full"), ("b", "disk full"), ("b", ""), ("c", "no such folder")]
    said = []
    with closing(Journal(tmp_path / "journal.sqlite")) as journal:
        journal.append(
            Evaluation(Request(i, "evolution", 0, b"", 0), Status.OK, warning=warning, host=host)
            for i, (host, warning) in enumerate(seen)
        )
        repeat_warnings(journal, said.append)
    assert said == ["warning from 2 nodes: disk full", "warning from c: no such folder"]


def network(index, stage, fitness, status=Status.OK):
    return Evaluation(Request(index, stage, 0, b"", 0), status, fitness=fitness)


def test_the_fittest_of_the_evolution_is_a_finalist_though_tuned_sets_seem_fitter():
    """So what is shipped is, by full training, no worse than what the evolution found."""
    evaluations = [network(0, "evolution", 0.7), network(1, "evolution", 0.8)]
    evaluations += [network(2, "tuning", 0.9), network(3, "tuning", 0.95), network(4, "tuning", 0.99, Status.DIVERGED)]

    def indices(count):
        return [e.request.index for e in finalists_of(lambda: evaluations, count)]

    assert (indices(1), indices(2), indices(3), indices(9)) == ([3], [3, 1], [3, 2, 1], [3, 2, 1, 0])
    evaluations.append(network(5, "evolution", 0.97))
    assert indices(2) == [5, 3]


def test_without_an_evolution_the_fittest_sets_are_the_finalists():
    sets = [network(index, "tuning", 0.1 * index) for index in range(4)]
    assert [e.request.index for e in finalists_of(lambda: sets, 2)] == [3, 2]


def test_it_is_said_where_all_sets_would_be_under_way_before_there_is_anything_to_learn_from():
    few, many = TuningConfig(), TuningConfig(chosen_sets=400)
    assert too_many_workers(few, 2, 1) == too_many_workers(many, 64, 1) == too_many_workers(few, 1, 8) == ""
    assert "65 sets are under way at once, so of 28 most or all will be random" in too_many_workers(few, 64, 1)
    assert "tuning.chosen_sets = 216" in too_many_workers(few, 8, 8)
    assert too_many_workers(TuningConfig(predictor="random"), 64, 1) == ""


def test_whether_the_predictor_paid_is_said_in_one_line():
    nothing = Payoff(14, 0, 0.5, 0.25, None, None, 0, None)
    trees = Payoff(14, 20, 0.5, 0.25, 0.75, None, 0, None)
    svm = Payoff(14, 20, 0.5, 0.25, 0.75, 0.031, 3, 0.8)
    assert paid_off(nothing) == ""
    assert paid_off(trees) == "tuning: 75% of the 20 chosen sets did well, of the 14 random ones 25%"
    assert paid_off(svm) == paid_off(trees) + (
        "; the SVM accepted 3.1% of the sets that it looked at, "
        "and none when 3 of the sets were chosen, which were the nearest to that"
    )
