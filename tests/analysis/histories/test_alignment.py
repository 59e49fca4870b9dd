import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.histories.alignment import Aligner

from .conftest import Crystal, honeycomb

CRYSTAL = Crystal(honeycomb())


def some_defects(share: float, seed: int = 3) -> dict[tuple[int, int, int], float]:
    """Ratios of this share of all columns, in view or not."""
    rng = np.random.default_rng(seed)
    return {
        (i, j, s): float(rng.uniform(0, 0.6))
        for i in range(-60, 60)
        for j in range(-60, 60)
        for s in (0, 1)
        if rng.random() < share
    }


def assert_aligned(drifts, defects, noise=0.02) -> None:
    """The drift is found, and every column has the cell that it had in the first frame."""
    aligner = Aligner(CRYSTAL.cell)
    offset = None
    for number, drift in enumerate(drifts):
        of_frame = defects[number] if isinstance(defects, list) else defects
        columns, numbers = CRYSTAL.columns(of_frame, drift, noise=noise, seed=number)
        cells, found = aligner.align(columns)
        np.testing.assert_allclose(found, np.subtract(drift, drifts[0]), atol=1e-6)
        true = np.array([column[:2] for column in numbers])
        offset = (cells - true)[0] if offset is None else offset
        assert (cells - true == offset).all()
        np.testing.assert_allclose(
            aligner.place(cells, columns.sublattice), columns.positions - drift + drifts[0], atol=1e-6
        )


def test_a_drift_of_whole_cells_and_fractions_is_told_by_the_defects() -> None:
    drifts = [(0, 0), (23.4, -17.8), (-31.0, 12.2), (40.0, 50.0), (41.3, 49.1), (0.2, 0.1)]
    assert_aligned(drifts, some_defects(0.05))


@settings(max_examples=40, deadline=None)
@given(
    st.tuples(st.floats(-40, 40), st.floats(-55, 55)),
    st.tuples(st.floats(-40, 40), st.floats(-55, 55)),
    st.integers(0, 5),
)
def test_any_drift_that_leaves_half_of_the_view_is_told(first, second, seed) -> None:
    assert_aligned([(0, 0), first, np.add(first, second)], some_defects(0.05, seed))


@pytest.mark.parametrize("noise", [0.0, 0.02, 0.12])
def test_without_defects_the_drift_is_the_least_from_frame_to_frame(noise: float) -> None:
    """Small steps make a long way; the noise of some columns is no pattern."""
    drifts = [(1.9 * number, -2.3 * number) for number in range(25)]
    assert_aligned(drifts, {}, noise)


def test_a_lone_vacancy_that_hops_is_no_drift() -> None:
    path = [(3, 9, 1), (3, 10, 1), (4, 11, 1), (4, 11, 1), (5, 11, 1), (4, 10, 1)]
    assert_aligned([(0.4 * number, 0.0) for number in range(6)], [{column: 0.4} for column in path])


def test_defects_that_come_and_go_do_not_mislead() -> None:
    steady = some_defects(0.015, 1)
    defects = [steady | some_defects(0.01, number) for number in range(2, 12)]
    assert_aligned([(7.3 * number, -3.9 * number) for number in range(10)], defects)


def test_what_left_the_view_is_known_when_it_returns() -> None:
    drifts = [(0, 0), (0, 60.0), (0, 110.0), (0, 110.0), (0, 55.0), (0, -2.0)]
    assert_aligned(drifts, some_defects(0.06))


def test_a_lattice_of_one_column_is_aligned_too() -> None:
    crystal = Crystal(honeycomb(mono=True))
    defects = {column: ratio for column, ratio in some_defects(0.06).items() if column[2] == 0}
    aligner = Aligner(crystal.cell)
    for number, drift in enumerate([(0.0, 0.0), (17.0, 23.0), (-3.0, 40.0)]):
        columns, _ = crystal.columns(defects, drift, seed=number)
        np.testing.assert_allclose(aligner.align(columns)[1], drift, atol=1e-6)
