"""What several test modules share."""

import matplotlib as mpl
import pytest

from data_prep.simulate import MovieSettings, simulate_movie

mpl.use("Agg")

pytest_plugins = ["tests.clusters.fixtures"]


def pytest_collection_modifyitems(items):
    """Tests on Slurm take their time, and one process: they wait more than they work."""
    for item in items:
        if item.get_closest_marker("slurm"):
            item.add_marker(pytest.mark.xdist_group("slurm"))
            item.add_marker(pytest.mark.timeout(600))


@pytest.fixture(scope="session")
def tiny_movie(tmp_path_factory):
    """A movie of five frames, 192 x 208 px, many defects; the truth beside it."""
    folder = tmp_path_factory.mktemp("movie")
    settings = MovieSettings(
        frames=5,
        size_px=(192, 208),
        field_nm=6.1,
        dopant_share=0.06,
        vacancy_share=0.05,
        pair_vacancy_share=0.04,
        hole_from_frame=3,
        hole_radius_nm=0.8,
        seed=5,
    )
    movie, truth = folder / "tiny.tif", folder / "tiny_truth.csv"
    simulate_movie(movie, truth, settings)
    return movie, truth


@pytest.fixture(scope="session")
def learnt(tiny_movie, tmp_path_factory):
    """A run on the tiny movie up to its analysis, but for the search; tests work on copies of it."""
    from tests.apps import small_run

    run = small_run.prepare(tmp_path_factory.mktemp("learnt") / "small", *tiny_movie)
    small_run.journal_of(run.folder, [])
    assert run.detect().analyse() == []
    return run
