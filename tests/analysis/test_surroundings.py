from dataclasses import replace

import numpy as np
import pytest

from analysis.results import MovieFacts
from analysis.surroundings import COLUMNS, surroundings

from .histories.conftest import DOPANT, VACANCY, Crystal, honeycomb, kinds_of, library_of

SIZE_NM = 0.03
INWARD = 0.4  # px, of the three nearest columns
SHIFTED = np.array([0.3, -0.2])  # px, of all columns near a defect
CENTRES = ((45, 50), (45, 110), (45, 160), (105, 60), (105, 115), (105, 160))


def frames(crystal, inward=INWARD, noise=0.0, count=4, movie="m", centres=CENTRES, kind=VACANCY) -> list:
    """Frames with defects whose three nearest neighbours have moved towards them."""
    rng = np.random.default_rng(1)
    sublattice = 1 if kind == VACANCY else 0
    columns = [crystal.nearest(place, sublattice)[0] for place in centres]
    made = []
    for number in range(count):
        frame = crystal.frame(number, dict.fromkeys(columns, kind), movie=movie)
        places = frame.columns.positions
        moved = rng.normal(0, noise, places.shape) + SHIFTED
        for column in columns:
            steps = crystal.place(column) - places
            length = np.linalg.norm(steps, axis=1)
            near = (frame.columns.sublattice != sublattice) & (
                length < 0.7 * np.linalg.norm(crystal.cell.lattice.vectors[0])
            )
            assert near.sum() == 3
            moved[near] += inward * steps[near] / length[near, None]
        moved[frame.columns.ratio < 0.3] = np.nan
        made.append(replace(frame, columns=replace(frame.columns, displacement=moved)))
    return made


def table_of(*movies, size=SIZE_NM):
    """The table of movies, each a crystal and its frames."""
    facts = {frames[0].movie: MovieFacts(size, 1.0, crystal.cell) for crystal, frames in movies}
    every = [frame for _, frames in movies for frame in frames]
    return surroundings(every, kinds_of, library_of().kinds, facts)


def assert_inward(table, crystal, inward=INWARD) -> None:
    """The nearest columns have moved inward, others have not."""
    away = np.hypot(table["dy_nm"], table["dx_nm"])
    nearest = away < 0.2
    assert nearest.sum() == 3
    assert (table["sublattice"][nearest] == "A").all()
    moved = table[["uy_pm", "ux_pm"]].to_numpy()
    unit = table[["dy_nm", "dx_nm"]].to_numpy() / away.to_numpy()[:, None]
    np.testing.assert_allclose(moved[nearest], -1000 * SIZE_NM * inward * unit[nearest], atol=0.05)
    np.testing.assert_allclose(moved[~nearest], 0, atol=0.05)
    bond = np.linalg.norm(crystal.cell.lattice.vectors[0]) / np.sqrt(3)
    np.testing.assert_allclose(table["bond_change_percent"][nearest], -100 * inward / bond, atol=0.05)


@pytest.mark.parametrize("turn", [0.0, 0.2, 1.3, -2.0])
def test_a_displacement_that_was_made_is_found(turn: float) -> None:
    crystal = Crystal(honeycomb(turn))
    table = table_of((crystal, frames(crystal)))
    assert set(table["kind"]) == {"vacancy"}
    assert list(table.columns) == list(COLUMNS)
    assert_inward(table, crystal)
    assert (table["count"] == 4 * len(CENTRES)).all()


def test_neighbours_are_where_the_lattice_has_them() -> None:
    crystal = Crystal(honeycomb())
    table = table_of((crystal, frames(crystal)))
    (column,) = crystal.nearest((75, 105), 1)
    for sublattice, name in ((0, "A"), (1, "B")):
        near = [crystal.place(n) - crystal.place(column) for n in crystal.nearest((75, 105), sublattice, 60)]
        true = sorted(tuple(np.round(SIZE_NM * step, 4)) for step in near if 0.1 < np.linalg.norm(step) <= 21)
        mine = table[table["sublattice"] == name]
        np.testing.assert_allclose(mine[["dy_nm", "dx_nm"]].sort_values(["dy_nm", "dx_nm"]), true, atol=2e-4)


def test_around_what_disturbs_nothing_nothing_has_moved() -> None:
    crystal = Crystal(honeycomb())
    table = table_of((crystal, frames(crystal, inward=0.0, noise=0.2)))
    sigma = table[["uy_pm", "ux_pm"]].to_numpy() / table["error_pm"].to_numpy()[:, None]
    assert np.abs(sigma).max() < 4.5
    assert table["bond_change_percent"].abs().max() < 3


def test_errors_are_those_of_means_over_columns_that_are_alike() -> None:
    """A third of the six operations leave a neighbour on a mirror line: 3 columns of each of the defects."""
    crystal = Crystal(honeycomb())
    table = table_of((crystal, frames(crystal, noise=0.2, count=8)))
    nearest = np.hypot(table["dy_nm"], table["dx_nm"]) < 0.2
    means = 1000 * SIZE_NM * 0.2 / np.sqrt(3 * 8 * len(CENTRES))
    np.testing.assert_allclose(table["error_pm"][nearest], means, rtol=0.2)


def test_movies_that_lie_otherwise_are_turned_to_lie_as_the_first() -> None:
    one, other = Crystal(honeycomb(0.2)), Crystal(honeycomb(0.8))
    table = table_of((one, frames(one)), (other, frames(other, movie="n")))
    assert_inward(table, one)
    assert table["count"].max() == 8 * len(CENTRES)


def test_movies_of_other_pixels_count_by_their_lengths() -> None:
    one, fine = Crystal(honeycomb()), Crystal(honeycomb(1.0, 14.0))
    movies = [frames(one), frames(fine, 1.4 * INWARD, movie="n", centres=((70, 70), (70, 140)))]
    facts = {"m": MovieFacts(SIZE_NM, 1.0, one.cell), "n": MovieFacts(SIZE_NM / 1.4, 1.0, fine.cell)}
    table = surroundings([*movies[0], *movies[1]], kinds_of, library_of().kinds, facts)
    assert_inward(table, one)
    assert table["count"].max() == 4 * len(CENTRES) + 8


def test_defects_near_one_another_or_the_edge_are_left_out() -> None:
    crystal = Crystal(honeycomb())
    crowded = [(45, 50), (45, 68), (105, 160), (3, 100), (75, 206)]
    table = table_of((crystal, frames(crystal, centres=crowded, count=2)))
    assert (table["count"] == 2).all()


def test_kinds_are_told_apart() -> None:
    crystal = Crystal(honeycomb())
    vacancies = frames(crystal)
    dopants = frames(crystal, inward=-0.3, kind=DOPANT)
    table = table_of((crystal, vacancies + dopants))
    assert set(table["kind"]) == {"vacancy", "dopant"}
    assert_inward(table[table["kind"] == "vacancy"].reset_index(), crystal)
    around = table[table["kind"] == "dopant"]
    nearest = around[np.hypot(around["dy_nm"], around["dx_nm"]) < 0.2]
    assert (nearest["sublattice"] == "B").all()
    assert (nearest["bond_change_percent"] > 4).all()


def test_of_unknown_scale_there_is_no_table() -> None:
    crystal = Crystal(honeycomb())
    table = table_of((crystal, frames(crystal, count=1)), size=None)
    assert (len(table), list(table.columns)) == (0, list(COLUMNS))
