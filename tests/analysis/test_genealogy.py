"""The winner's line is that of the fitter parents, and its steps add up."""

import csv

import pytest

from analysis.genealogy import family, main_line, most_telling, winner_of, write_line
from networks.difference import difference
from networks.genome import decode
from networks.space import Limits
from search.evaluation import Status


@pytest.fixture
def run(evaluated):
    return [
        evaluated(0, 0.3),
        evaluated(1, 0.4),
        evaluated(2, 0.2),
        evaluated(3, 0.5, (0, 1)),
        evaluated(4, 0.45, (2,)),
        evaluated(5, status=Status.CRASHED, parents=(3,)),
        evaluated(6, 0.7, (4, 3)),
        evaluated(7, 0.6, (6,)),
    ]


def line(evaluations):
    return [step.network.request.index for step in main_line(evaluations, winner_of(evaluations))]


def test_the_line_goes_through_the_fitter_parents_from_the_founder_to_the_winner(run):
    steps = main_line(run, winner_of(run))
    assert line(run) == [1, 3, 6]
    assert [step.other and step.other.request.index for step in steps] == [None, 0, 4]
    assert sum(step.gain for step in steps) == pytest.approx(0.7)
    old, new = (decode(run[index].request.genome, Limits()) for index in (3, 6))
    assert steps[2].changes == tuple(difference(old, new))


def test_the_family_is_all_from_whom_the_winner_descends(run):
    assert {network.request.index for network, _ in family(run, winner_of(run))} == {6, 4, 3, 2, 1, 0}


def test_a_tuned_winner_descends_from_the_network_that_was_tuned(evaluated, run):
    tuned = evaluated(8, 0.9, stage="tuning", origin="svm", parents=(6,))
    assert line([*run, tuned]) == [1, 3, 6, 8]


def test_a_parent_that_the_journal_lost_ends_the_line(evaluated):
    assert line([evaluated(5, 0.6, (2,)), evaluated(6, 0.7, (5,))]) == [5, 6]


def test_of_equals_the_first_wins_and_failures_never(evaluated):
    assert winner_of([evaluated(1, 0.5), evaluated(0, 0.5)]).request.index == 1
    assert winner_of([evaluated(0, status=Status.LOST)]) is None


def test_of_a_long_line_the_ends_and_the_greatest_gains_are_told(evaluated):
    fitness = [0.1, 0.11, 0.3, 0.29, 0.5, 0.51, 0.52]
    chain = [evaluated(i, value, (i - 1,) if i else ()) for i, value in enumerate(fitness)]
    steps = main_line(chain, chain[-1])
    assert most_telling(steps, 4) == [0, 2, 4, 6]
    assert most_telling(steps, 12) == list(range(7))
    assert most_telling(steps[:1], 12) == [0]


def test_the_line_is_written_as_a_table(run, tmp_path):
    with write_line(main_line(run, run[6]), tmp_path / "line.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["network"] for row in rows] == ["1", "3", "6"]
    assert [row["parent"] for row in rows] == ["", "1", "3"]
    assert rows[2]["made_by"] == "uniform+insert_layer"
    assert "→" in rows[2]["changes"]
