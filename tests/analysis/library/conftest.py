"""Movies that several tests of the library look at."""

import pytest

from tests.analysis.library import movies


@pytest.fixture(scope="session")
def movie(tmp_path_factory):
    return movies.simulated(tmp_path_factory.mktemp("movie"), "one", seed=1)


@pytest.fixture(scope="session")
def other(tmp_path_factory):
    """Another crystal, turned otherwise, with other noise."""
    return movies.simulated(tmp_path_factory.mktemp("other"), "two", seed=2)


@pytest.fixture(scope="session")
def with_hole(tmp_path_factory):
    changes = {"holes": 1, "hole_from_frame": 1, "hole_radius_nm": 0.9, "frames": 3, "seed": 4}
    return movies.simulated(tmp_path_factory.mktemp("hole"), "hole", **changes)
