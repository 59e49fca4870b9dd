"""All results are written before the pictures are drawn: no picture may lose them."""

from contextlib import closing

import h5py
import numpy as np
import pytest

from analysis.population import Rules
from analysis.results import save_results
from analysis.run_results import save_targets
from apps.draw import draw_figures
from data_prep.errors import InputError
from networks.genome import encode
from networks.space import sample
from search.evaluation import Evaluation, Request, Status
from search.journal import Journal

NAMES = [
    "gene_importance.png",
    "genealogy.csv",
    "genealogy.png",
    "pareto_front.png",
    "predictor_payoff.png",
    "search_history.png",
    "worker_timeline.png",
]


@pytest.fixture
def folder(tmp_path):
    """A run's folder without a detector or targets: what is drawn comes from the journal."""
    genome = encode(sample(np.random.default_rng(0)))
    save_results(iter([]), {"class_names": ("vacancy",)}, tmp_path / "maps.h5")
    save_targets((), tmp_path / "targets.json")
    with closing(Journal(tmp_path / "journal.sqlite")) as journal:
        request = Request(0, "evolution", 0, genome, 1, (), "prior")
        record = {"inference_s_per_megapixel": 0.1, "started": 1.0, "ended": 2.0}
        journal.append([Evaluation(request, Status.OK, fitness=0.5, **record)])
    return tmp_path


def draw(folder):
    return draw_figures(folder, (), Rules(3), folder / "maps.h5")


def test_what_the_journal_holds_is_drawn(folder):
    drawn = draw(folder)
    assert drawn.failed == []
    assert sorted(path.name for path in drawn.figures) == NAMES
    beside = [name.replace(".png", ".pdf") for name in NAMES if name.endswith(".png")]
    assert sorted(path.name for path in (folder / "figures").iterdir()) == sorted(NAMES + beside)


def test_a_picture_that_fails_is_told_and_the_others_are_drawn(folder, monkeypatch):
    def fail(*_arguments):
        raise ValueError("no such\ncolour")

    monkeypatch.setattr("analysis.figures.pareto_front.draw_pareto_front", fail)
    drawn = draw(folder)
    assert drawn.failed == ["pareto_front.png: ValueError: no such colour"]
    assert sorted(path.name for path in drawn.figures) == [name for name in NAMES if name != "pareto_front.png"]


def test_what_the_user_can_put_right_is_not_passed_over(folder, monkeypatch):
    def fail(*_arguments):
        raise InputError("figures: cannot be written, the disk is full")

    monkeypatch.setattr("analysis.figures.pareto_front.draw_pareto_front", fail)
    with pytest.raises(InputError, match="disk is full"):
        draw(folder)


@pytest.mark.parametrize(
    ("unreadable", "shown"), [((), [1, 3, 4]), ((1,), [2, 3, 4]), ((1, 4), [2, 3]), ((1, 2, 4), [3])]
)
def test_maps_are_drawn_of_the_first_middle_and_last_frame_that_could_be_read(
    unreadable, shown, learnt, tmp_path, monkeypatch
):
    run = learnt.copied(tmp_path / "run")
    with h5py.File(run.maps, "a") as stored:
        for number in unreadable:
            stored[f"tiny/{number:06d}"].attrs["error"] = "unreadable"
    drawn = []
    monkeypatch.setattr("analysis.figures.defect_maps.draw_defect_maps", lambda *given: drawn.append(given))
    monkeypatch.setattr("apps.draw._of_defects", lambda *_: [])
    run.draw()
    ((movie, results, truths, path),) = drawn
    assert [result.frame for result in results] == shown
    assert all(result.probability is not None for result in results)
    assert len(truths) == len(shown)
    assert (movie.source, path.name) == (run.source.movie, "defect_maps_tiny.png")
