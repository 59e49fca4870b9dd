"""What a run's folder holds, by name."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis.detections import Detections
from analysis.results import FrameResult, save_results
from analysis.run_results import RunResults, load_targets, save_targets, table_path
from analysis.tables import write_table
from analysis.target import Target
from data_prep.errors import InputError
from data_prep.objects import Objects

LEGEND = (("vacancy", "#ff0000"), ("dopant", 2))
TARGETS = [
    Target(
        "film", Path("/far/film.tif"), (1, 2, 5), Path("/far/t.csv"), ("vacancy", "dopant"), 0.05, "HAADF", LEGEND, 0.5
    ),
    Target("still", Path("/far/s.dm4"), (0,), None, (), None, None),
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    nothing = Objects(np.zeros((0, 2)), np.zeros(0), np.zeros((8, 9), np.int32))
    found = Detections(nothing, np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))
    frames = (FrameResult("film", n, 8.0, np.zeros((8, 9), np.float32), found, nothing) for n in (1, 2, 5))
    save_results(frames, {}, tmp_path / "maps.h5")
    save_targets(TARGETS, tmp_path / "targets.json")
    return tmp_path


def test_targets_come_back(folder: Path) -> None:
    assert load_targets(folder / "targets.json") == TARGETS
    assert {hash(target) for target in load_targets(folder / "targets.json")} == {hash(target) for target in TARGETS}
    assert RunResults(folder).targets == {"film": TARGETS[0], "still": TARGETS[1]}


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("defects", "defects"),
        ("scores", "scores"),
        ("confusion", "confusion"),
        ("kinds", "library/kinds"),
        ("drift", "histories/drift"),
        ("surroundings", "histories/surroundings"),
    ],
)
def test_tables_have_their_places(folder: Path, name: str, place: str) -> None:
    assert table_path(folder, name) == folder / place
    write_table(pd.DataFrame({"a": [1, 2]}), folder / place)
    assert RunResults(folder).table(name)["a"].tolist() == [1, 2]


def test_frames_are_those_that_are_asked_for(folder: Path) -> None:
    results = RunResults(folder)
    assert [result.frame for result in results.frames("film")] == [1, 2, 5]
    assert [result.frame for result in results.frames("film", {5, 1, 3})] == [1, 5]
    assert list(results.frames("film", [])) == []
    assert list(results.frames("none")) == []


def test_without_a_library_there_are_no_kinds(folder: Path) -> None:
    assert RunResults(folder).kinds == []


def test_folders_without_results_say_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no results of a run yet; give the command that makes it"):
        RunResults(tmp_path)
    (tmp_path / "maps.h5").touch()
    with pytest.raises(InputError, match=r"its results are from an earlier evostem; remove maps\.h5, summary\.json"):
        RunResults(tmp_path)
