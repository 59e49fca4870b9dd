"""A made-up run and its report, and a browser to look at it."""

import os

import pytest

from analysis.report.report import make_report
from search.evaluation import Status
from tests.analysis.report import chromium
from tests.analysis.report.made_run import make_run


@pytest.fixture(scope="session")
def some_networks(evaluated):
    """Evaluations of a search, one of them failed."""
    fitness = (0.4, 0.5, 0.7, 0.6)
    return [*(evaluated(index, value) for index, value in enumerate(fitness)), evaluated(4, status=Status.CRASHED)]


@pytest.fixture(scope="session")
def full_run(tiny_movie, some_networks, tmp_path_factory):
    """A run that has everything."""
    return make_run(tmp_path_factory.mktemp("runs") / "full & whole", *tiny_movie, some_networks, frames=(1, 2, 3, 4))


@pytest.fixture(scope="session")
def bare_run(tiny_movie, tmp_path_factory):
    """A run of one frame without truth or time, in which nothing was found, and none of whose figures was drawn."""
    folder = tmp_path_factory.mktemp("runs") / "bare"
    make_run(folder, *tiny_movie, frames=(1,), timed=False, scored=False, empty=True)
    for figure in (folder / "figures").iterdir():
        figure.unlink()
    return folder


@pytest.fixture(scope="session")
def report(full_run):
    """The report of the full run, and what failed in making it."""
    out = full_run / "report.html"
    return out, make_report(full_run, out)


@pytest.fixture(scope="session")
def open_page(tmp_path_factory):
    """Opens pages in a headless Chromium."""
    program = chromium.find()
    if program is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("no Chromium: apt-get install chromium")
    with chromium.browser(program, tmp_path_factory.mktemp("chromium")) as opened:
        yield opened
