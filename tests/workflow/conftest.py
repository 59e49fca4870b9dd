"""Run folders made by hand."""

from contextlib import closing
from dataclasses import replace

import numpy as np
import pytest

from networks.genome import encode
from networks.space import sample
from search.evaluation import Evaluation, Request, Status
from search.journal import Journal

SETTINGS = (
    'movie = "/far/away.tif"\n[search]\npopulation = 5\ngenerations = 4\n[tuning]\nrandom_sets = 3\nchosen_sets = 3\n'
)


class MadeRun:
    """A run folder with a journal that is filled by hand."""

    def __init__(self, path):
        self.path = path
        self.journal = path / "journal.sqlite"
        path.mkdir(parents=True)
        (path / "config.toml").write_text(SETTINGS)

    def record(self, *evaluations, crew=()):
        with closing(Journal(self.journal)) as journal:
            journal.append(evaluations)
            for stage, time, workers in crew:
                journal.note_crew(stage, time, workers)

    def contents(self):
        """Names, bytes and times of all files."""
        return {file.name: (file.read_bytes(), file.stat().st_mtime_ns) for file in self.path.iterdir()}


@pytest.fixture
def made_run(tmp_path):
    return MadeRun(tmp_path / "runs" / "made")


@pytest.fixture(scope="session")
def evaluation():
    """Makes an evaluation of a network of its own; it took the 10 s up to `ended`."""
    genomes = {}

    def make(index, fitness=0.5, ended=0.0, stage="evolution", status=Status.OK, parents=(), origin="prior", **facts):
        genome = genomes.setdefault(index, encode(sample(np.random.default_rng(index))))
        request = Request(index, stage, index // 5, genome, 7, parents, origin)
        made = Evaluation(request, status, fitness=fitness, **facts)
        return replace(made, started=ended - 10, ended=ended) if ended else made

    return make
