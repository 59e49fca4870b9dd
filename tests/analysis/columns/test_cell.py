"""The unit cell against lattices that are drawn, and symmetry against the crystallographers' tables."""

import numpy as np
import pytest

from analysis.columns import fitted_cell
from data_prep.fourier.lattice import find_lattice
from data_prep.normalise import local_contrast
from tests.analysis.columns.lattices import HEXAGONAL, LATTICES, TWO, WIDTH, drawn


def cell_of(frame):
    lattice = find_lattice(frame)
    levelled = local_contrast(frame, lattice.period_px)
    return levelled, fitted_cell(levelled, lattice)


@pytest.fixture(scope="module", params=[(name, turn) for name in LATTICES for turn in (0.0, 0.3)], ids=str)
def known(request):
    """A lattice, its cell, and the columns and the order of the point group that were drawn."""
    name, turn = request.param
    vectors, columns, order = LATTICES[name]
    picture = drawn(vectors, columns, turn=turn, gradient=0.2)
    return picture, cell_of(picture.frame)[1], columns, order


def test_it_has_as_many_columns_and_as_much_symmetry_as_was_drawn(known):
    _, cell, columns, order = known
    assert len(cell.columns) == len(columns)
    assert cell.sublattice_names() == ("A", "B")[: len(columns)]
    assert len(cell.symmetry) == order
    np.testing.assert_array_equal(cell.symmetry[0], np.eye(2))


def test_columns_are_where_they_were_drawn_one_beside_the_other(known):
    """Steps of whole cells lead from a drawn column to its like, the step between the columns to the other ones."""
    picture, cell, columns, _ = known
    steps = (cell.columns - cell.columns[0]) @ cell.lattice.vectors
    first = picture.places[picture.sublattice == 0]
    middle = first[np.linalg.norm(first - [75, 110], axis=1).argmin()]
    ways = [steps]
    if len(columns) > 1 and columns[0][2] == columns[1][2]:  # which is called the brightest, chance tells
        ways.append(-steps)
    apart = [
        max(
            np.linalg.norm(picture.places[picture.sublattice == number] - middle - step, axis=1).min()
            for number, step in enumerate(way)
        )
        for way in ways
    ]
    assert min(apart) < 0.35
    for vector in cell.lattice.vectors:
        assert np.linalg.norm(first - middle - vector, axis=1).min() < 0.1


def test_operations_turn_the_columns_around_each_into_one_another(known):
    """Every drawn column near the middle is turned around one there, in px: it meets a column of its sublattice."""
    picture, cell, columns, _ = known
    for centre_of in range(len(columns)):
        mine = picture.places[picture.sublattice == centre_of]
        centre = mine[np.linalg.norm(mine - [75, 110], axis=1).argmin()]
        for turn in cell.turns():
            np.testing.assert_allclose(turn @ turn.T, np.eye(2), atol=0.03)
            for number in range(len(columns)):
                steps = picture.places[picture.sublattice == number] - centre
                near = steps[np.linalg.norm(steps, axis=1) < 30]
                apart = np.linalg.norm((near @ turn)[:, None] - steps, axis=2).min(axis=1)
                assert apart.max() < 1.0


def test_operations_are_a_group(known):
    _, cell, _, _ = known
    members = {tuple(operation.ravel().astype(int)) for operation in cell.symmetry}
    assert len(members) == len(cell.symmetry)
    for one in cell.symmetry:
        for other in cell.symmetry:
            assert tuple((one @ other).ravel().astype(int)) in members


def test_the_width_of_the_columns_is_told_and_what_they_stand_on(known):
    picture, cell, _, _ = known
    assert cell.width_px == pytest.approx(WIDTH, rel=0.05)
    levelled = local_contrast(picture.frame, cell.lattice.period_px)
    floor = levelled[np.hypot(*(np.indices(levelled.shape) - np.array([75, 110])[:, None, None])) < 40].min()
    assert floor == pytest.approx(cell.floor, abs=0.15)


def test_the_brightest_column_comes_first_wherever_it_was_drawn():
    dim, bright = (0.0, 0.0, 0.4), (1 / 3, 1 / 3, 1.0)
    picture = drawn(HEXAGONAL, (dim, bright))
    cell = cell_of(picture.frame)[1]
    brights = picture.places[picture.sublattice == 1]
    dims = picture.places[picture.sublattice == 0]
    step = (cell.columns[1] - cell.columns[0]) @ cell.lattice.vectors
    middle = brights[np.linalg.norm(brights - [75, 110], axis=1).argmin()]
    assert np.linalg.norm(dims - middle - step, axis=1).min() < 0.35
    assert np.linalg.norm(brights - middle - step, axis=1).min() > 5


def test_defects_and_a_hole_change_the_cell_little():
    perfect = cell_of(drawn(HEXAGONAL, TWO).frame)[1]
    rng = np.random.default_rng(0)

    def ratio(places, _):
        hole = np.linalg.norm(places - [60, 80], axis=1) < 35
        return np.where(hole, 0.0, np.where(rng.random(len(places)) < 0.1, 0.0, 1.0))

    damaged = cell_of(drawn(HEXAGONAL, TWO, ratio=ratio).frame)[1]
    assert len(damaged.columns) == 2
    assert len(damaged.symmetry) == 6
    assert damaged.width_px == pytest.approx(perfect.width_px, rel=0.05)
    assert damaged.floor == pytest.approx(perfect.floor, abs=0.15)


def test_the_amplitude_is_that_of_a_frame_of_such_cells():
    """In a frame of a Gaussian lattice the first Fourier coefficient is known in closed form."""
    picture = drawn(HEXAGONAL, ((0.0, 0.0, 1.0),), (300, 360))
    levelled, cell = cell_of(picture.frame)
    scale = picture.frame.std() / levelled.std()
    area = abs(np.linalg.det(cell.lattice.vectors))
    wave = np.linalg.norm(cell.lattice.basis[0])
    expected = 1000 / scale * 2 * np.pi * WIDTH**2 / area * np.exp(-2 * (np.pi * wave * WIDTH) ** 2)
    assert cell.amplitude() == pytest.approx(expected, rel=0.05)
