"""Figures say with their colours what the scores say with numbers."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from analysis.figures import (
    gene_importance,
    genealogy,
    pareto_front,
    predictor_payoff,
    search_history,
    worker_timeline,
)
from analysis.figures.defect_maps import compare
from analysis.population import Rules
from data_prep.labels import from_objects
from data_prep.objects import Objects
from search.evaluation import Status

PERIOD = 8.0
SHAPE = (80, 100)


def objects(*positions):
    places = np.array(positions, float).reshape(-1, 2)
    return Objects(places, np.ones(len(places)), np.zeros(SHAPE, np.int32))


def test_found_wrong_and_missed_have_their_colours():
    truth = from_objects(objects((20, 30), (50, 60)), np.array([1, 1]), ("vacancy",), PERIOD, "hand")
    image = compare(objects((21, 30), (40, 80), (2, 50)), truth, PERIOD)
    assert tuple(image[21, 30]) == (255, 255, 255)
    assert tuple(image[40, 80]) == (0xA6, 0x4D, 0xFF)
    assert tuple(image[50, 60]) == (0xFF, 0x95, 0x00)
    assert tuple(image[2, 50]) == (0, 0, 0)  # too near the edge to be scored
    assert tuple(image[70, 10]) == (0, 0, 0)


def test_without_truth_what_was_found_is_white():
    image = compare(objects((20, 30)), None, PERIOD)
    assert tuple(image[20, 30]) == (255, 255, 255)
    assert set(np.unique(image)) == {0, 255}


def searched(evaluated, length):
    """A search of a population of 3: from the prior, then children; each fifth fails, the last five are tuned."""
    statuses = [Status.CRASHED, Status.LOST, Status.DIVERGED, Status.TIMED_OUT]
    evaluations = []
    for i in range(length):
        status = Status.OK if i % 5 else statuses[i // 5 % 4]
        stage, origin = ("tuning", "svm") if 15 <= i >= length - 5 else ("evolution", None)
        parents = () if i < 4 or origin else (i - 1, i - 2)[: 1 + i % 2]
        evaluations.append(evaluated(i, 0.7 + 0.2 * i / max(length, 1), parents, status, stage, origin))
    return evaluations


BUILDS = [{"learnt_on": 5, "reason": "5 results are too few"}, {"learnt_on": 6, "reason": ""}]


def drawings(evaluations):
    """Each picture of a search, to be drawn into a path."""
    crews = {"evolution": [(100.0, 2), (150.0, 3)], "tuning": []}
    winner = max((e for e in evaluations if e.status is Status.OK), key=lambda e: e.fitness, default=None)
    return {
        "history": partial(search_history.draw_search_history, evaluations, Rules(3)),
        "genealogy": partial(genealogy.draw_genealogy, evaluations, winner, "iou"),
        "importance": partial(gene_importance.draw_gene_importance, evaluations),
        "pareto": partial(pareto_front.draw_pareto_front, evaluations, 2, "accuracy"),
        "payoff": partial(predictor_payoff.draw_predictor_payoff, evaluations, BUILDS, 0.25, "f1"),
        "timeline": partial(worker_timeline.draw_worker_timeline, evaluations, crews),
    }


PICTURES = list(drawings([]))


@pytest.mark.parametrize("picture", PICTURES)
@pytest.mark.parametrize("length", [0, 1, 2, 7, 100])
def test_the_pictures_of_a_search_can_be_drawn_at_any_length(evaluated, picture, length, tmp_path):
    path = drawings(searched(evaluated, length))[picture](tmp_path / "a.png")
    assert path.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("picture", PICTURES)
@pytest.mark.parametrize("status", [Status.CRASHED, Status.LOST])
def test_the_pictures_of_a_search_can_be_drawn_when_all_failed(evaluated, picture, status, tmp_path):
    failed = [evaluated(i, status=status) for i in range(9)]
    assert drawings(failed)[picture](tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


@pytest.fixture
def shown(monkeypatch):
    """Draws a picture and gives the figure instead of a file."""
    from matplotlib import pyplot as plt

    def show(evaluations, picture):
        for module in (genealogy, gene_importance, pareto_front, predictor_payoff, search_history, worker_timeline):
            monkeypatch.setattr(module, "save_figure", lambda figure, _: figure)
        return drawings(evaluations)[picture](None)

    yield show
    plt.close("all")


def legend(axes):
    return [text.get_text() for text in axes.get_legend().get_texts()]


@pytest.fixture
def tuned(evaluated):
    """A tuning of a given topology, without an evolution: six random sets, six that a model chose; one failed."""
    sets = [
        evaluated(i, 0.6 + i / 100, (), Status.OK if i else Status.CRASHED, "tuning", ("random", "trees")[i // 6])
        for i in range(12)
    ]
    draws = [1] * 6 + [4] * 6
    named = [replace(e.request, generation=i // 6, predictor=("", "trees_000006")[i // 6]) for i, e in enumerate(sets)]
    return [replace(e, request=r, draws=n) for e, r, n in zip(sets, named, draws, strict=True)]


@pytest.mark.parametrize("picture", PICTURES)
def test_the_pictures_of_a_tuning_without_evolution_can_be_drawn(tuned, picture, tmp_path):
    for length in (1, 2, 12):
        path = drawings(tuned[:length])[picture](tmp_path / "a.png")
        assert path.read_bytes().startswith(b"\x89PNG")


def test_the_history_of_a_tuning_without_evolution_is_one_panel_of_its_sets(tuned, shown):
    (panel,) = shown(tuned, "history").axes
    assert panel.get_title() == "tuning: 12 networks"
    assert legend(panel) == ["random", "trees", "failed: 1 crashed", "best so far"]
    best = next(line for line in panel.get_lines() if line.get_label() == "best so far")
    assert list(best.get_xdata()) == list(range(1, 13))
    assert list(best.get_ydata()[1:]) == pytest.approx([0.4 - i / 100 for i in range(1, 12)])


def test_the_payoff_is_told_in_numbers(tuned, shown):
    sets, shares = shown(tuned, "payoff").axes  # trees accept nothing, and reject nothing
    assert legend(sets) == ["random", "chosen by trees", "did well, below", "built anew"]
    assert [text.get_text() for text in shares.texts] == [
        "0.33",
        "1.00",
    ]  # of six random sets two are the upper quarter
    assert shares.get_title() == "3.0 times as often"


def test_the_acceptance_of_an_svm_leaves_out_what_it_rejected(tuned, shown):
    by_svm = [replace(e, request=replace(e.request, origin="svm")) if e.draws > 1 else e for e in tuned]
    by_svm[-1] = replace(by_svm[-1], draws=2000, rejected=1)
    acceptance = shown(by_svm, "payoff").axes[2]
    assert acceptance.get_title() == f"{5 / 2020:.3f} in all; none for 1 of the sets"
    (line,) = acceptance.get_lines()
    assert (list(line.get_xdata()), list(line.get_ydata())) == ([6], [5 / 2020])


def test_without_a_chosen_set_the_payoff_says_why(tuned, shown):
    first = shown(tuned[:6], "payoff").axes[0]
    assert first.texts[0].get_text() == "no set was chosen by a predictor: 5 results are too few"


def test_a_tuning_of_the_best_of_an_evolution_says_so(evaluated, tuned, shown):
    evolved = [evaluated(i, 0.9) for i in range(4)]
    later = [replace(e, request=replace(e.request, index=4 + i, parents=(3,))) for i, e in enumerate(tuned)]
    first, second = shown([*evolved, *later], "history").axes
    assert first.get_title() == "evolution: 4 networks"
    assert second.get_title() == "tuning of the best topology: 12 networks"


def test_the_fittest_of_a_tuning_without_evolution_has_no_genealogy(tuned, shown):
    (axes,) = shown(tuned, "genealogy").axes
    said = axes.texts[0].get_text()
    assert said.startswith("network 11, the fittest (error 0.290), has no ancestors")
    assert said.endswith("(trees)")


def test_networks_of_one_cost_are_in_the_middle(evaluated, shown):
    genome = evaluated(0).request.genome
    left, right = shown([evaluated(i, 0.5 + i / 10, genome=genome) for i in range(4)], "pareto").axes
    for panel in (left, right):
        dots = next(line for line in panel.get_lines() if line.get_label() == "networks")
        low, high = panel.get_xlim()
        assert dots.get_xdata() == pytest.approx([np.sqrt(low * high)] * 4)


def test_networks_that_are_all_the_same_tell_nothing_about_genes(evaluated, shown):
    genome = evaluated(0).request.genome
    axes = shown([evaluated(i, 0.5 + i / 1000, genome=genome) for i in range(70)], "importance").axes[0]
    assert "70 networks do not tell which genes matter" in axes.texts[0].get_text()


def test_failures_and_the_worst_do_not_squeeze_the_error_axis(evaluated, shown):
    good = [evaluated(i, 0.9 - 0.001 * i) for i in range(40)]
    worst = [evaluated(40, 0.0), evaluated(41, status=Status.CRASHED), evaluated(42, status=Status.LOST)]
    panel = shown([*good, *worst], "history").axes[0]
    low, high = panel.get_ylim()
    assert 0.05 < low < 0.1
    assert 0.135 < high < 0.15
    assert "failed: 1 crashed, 1 lost" in legend(panel)


@pytest.mark.parametrize(
    ("picture", "name"), [("history", "pixel F1"), ("genealogy", "pixel IoU"), ("pareto", "pixel accuracy")]
)
def test_the_error_axis_names_the_score_of_the_run(evaluated, shown, picture, name):
    assert shown(searched(evaluated, 20), picture).axes[0].get_ylabel() == f"validation error, 1 - {name}"


def test_of_very_many_networks_some_are_drawn_and_the_picture_says_so(evaluated, shown, monkeypatch):
    monkeypatch.setattr(search_history, "MOST_DOTS", 50)
    panel = shown([evaluated(i, i / 1000) for i in range(500)], "history").axes[0]
    dots = next(line for line in panel.get_lines() if line.get_label() == "prior")
    assert len(dots.get_xdata()) == 50
    assert "(one network in 10 drawn)" in legend(panel)


def test_too_few_networks_tell_nothing_about_genes(evaluated, shown):
    axes = shown(searched(evaluated, 20), "importance").axes[0]
    assert "Too few networks" in axes.texts[0].get_text()
    assert not axes.patches


def test_workers_that_come_later_are_in_the_timeline(evaluated, shown):
    above, below = shown(searched(evaluated, 20), "timeline").axes
    assert [label.get_text() for label in above.get_yticklabels()] == ["worker n1 0", "worker n1 1"]
    crew = next(line for line in below.get_lines() if line.get_label() == "workers there were")
    assert list(crew.get_ydata()) == [2, 3, 3]
    assert list(crew.get_xdata()) == [0, 50, 98]


def test_many_workers_are_shades(evaluated, shown):
    many = [evaluated(i, worker=str(i), started=100.0, ended=110.0 if i % 2 else 105.0) for i in range(60)]
    image = shown(many, "timeline").axes[0].get_images()[0].get_array()
    assert image.shape[0] == 60
    assert image.mean(axis=1).tolist() == pytest.approx([0.5 if i % 2 == 0 else 1 for i in range(60)])
