"""A tuning that is killed in either phase goes on: nothing recorded is lost, and its predictors are the same."""

import json
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

EVOSTEM = str(Path(sys.executable).with_name("evostem"))
NETWORK = Path(__file__).parents[2] / "examples" / "lenet.json"
CONFIG = """
[search]
iterations = 2
[tuning]
random_sets = 12
chosen_sets = 12
together = {together}
[training]
finalists = 1
iterations = 3
"""


def records(journal):
    """The records, as text, in order of arrival."""
    if not journal.exists():
        return []
    try:
        with closing(sqlite3.connect(f"file:{journal}?mode=ro", uri=True)) as database:
            return [record for (record,) in database.execute("SELECT record FROM evaluations ORDER BY number")]
    except sqlite3.OperationalError:
        return []


def predictors(folder):
    """What is in the files of predictors, by their names."""
    found = {}
    for path in (folder / "tuning").glob("trees_*.npz"):
        with np.load(path, allow_pickle=False) as arrays:
            found[path.stem] = {name: arrays[name].tolist() for name in arrays}
    return found


@pytest.mark.htex
@pytest.mark.parametrize("together", [1, 3])
def test_a_tuning_killed_in_either_phase_goes_on_with_the_same_predictor(tiny_movie, tmp_path, together):
    movie, truth = tiny_movie
    config = tmp_path / "small.toml"
    config.write_text(CONFIG.format(together=together))
    command = [EVOSTEM, "tune", NETWORK, movie, "--truth", truth, "--config", config, "--predictor", "trees"]
    command = [*map(str, command), "--name", "r", "--workers", "2"]
    folder = tmp_path / "runs" / "r"
    journal = folder / "journal.sqlite"
    before, built = [], {}
    for wanted in (5, 17):
        driver = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        deadline = time.monotonic() + 120
        while len(records(journal)) < wanted and driver.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        driver.send_signal(signal.SIGKILL)
        _, said = driver.communicate(timeout=60)
        assert driver.returncode == -signal.SIGKILL, said
        now = records(journal)
        assert wanted <= len(now) < 24
        assert now[: len(before)] == before
        before, built = now, predictors(folder)
    assert built  # the second was in the second phase

    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    after = records(journal)
    assert after[: len(before)] == before
    evaluations = [json.loads(record) for record in after]
    assert len({one["request"]["index"] for one in evaluations}) == len(evaluations) == 24
    assert {one["request"]["stage"] for one in evaluations} == {"tuning"}
    origins = [one["request"]["origin"] for one in evaluations]
    assert origins[:12] == ["random"] * 12
    assert "trees" in origins[12:]
    latest = max(built)
    (folder / "tuning" / f"{latest}.npz").unlink(missing_ok=True)
    again = relearnt(folder, latest)
    assert again == built[latest]
    assert "learnt from" in done.stdout


def relearnt(folder, name):
    """The predictor that comes out of the journal alone."""
    from concurrent.futures import ThreadPoolExecutor
    from itertools import islice

    from networks.network_file import read_network
    from search.journal import Journal
    from search.tuning import Plan, Tuning

    built = []
    with closing(Journal(folder / "journal.sqlite")) as journal, ThreadPoolExecutor(1) as background:
        tuning = Tuning(read_network(NETWORK), Plan(0, "trees"), 0, background, lambda build: bool(built.append(build)))
        for evaluation in islice(journal.evaluations(), int(name.split("_")[1])):
            tuning.tell(evaluation)
        tuning.ask(99)
    assert built[0].name == name
    return {key: array.tolist() for key, array in built[0].predictor.arrays().items()}
