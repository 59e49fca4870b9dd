import numpy as np
import pytest

from analysis.histories.watch import watch
from analysis.margins import EDGE
from data_prep.objects import Objects

from .conftest import DOPANT, SHAPE, VACANCY, Crystal, honeycomb

DEFECTS = {(9, 12, 1): VACANCY, (7, 9, 0): DOPANT, (8, 16, 1): VACANCY}


def number_of(watched, crystal, column, origin=(0.0, 0.0)) -> int:
    """The number of the watched column at this place."""
    away = np.linalg.norm(watched.places - crystal.place(column) - origin, axis=1)
    assert away.min() < 1e-6
    return int(away.argmin())


def test_columns_keep_their_numbers_under_drift(crystal: Crystal) -> None:
    drifts = [(0, 0), (2.2, -3.1), (5.1, -4.0), (3.0, 1.0)]
    frames = [crystal.frame(number, DEFECTS, drift) for number, drift in enumerate(drifts)]
    watched = watch(lambda: iter(frames), crystal.cell)
    np.testing.assert_allclose(watched.drift, drifts, atol=1e-6)
    for column, kind in DEFECTS.items():
        number = number_of(watched, crystal, column)
        assert watched.sublattice[number] == column[2]
        for t, drift in enumerate(drifts):
            np.testing.assert_allclose(watched.positions[t, number], crystal.place(column) + drift, atol=1e-6)
            assert frames[t].network.kinds[watched.found[t, number]] == kind
            assert watched.ratio[t, number] < 0.6
    assert (watched.found >= 0).sum() == 3 * 4


def test_defects_and_the_columns_next_to_them_are_watched_and_all_others_counted(crystal: Crystal) -> None:
    frames = [crystal.frame(number, {(9, 12, 1): VACANCY}) for number in range(3)]
    watched = watch(lambda: iter(frames), crystal.cell)
    away = np.linalg.norm(watched.places - crystal.place((9, 12, 1)), axis=1)
    assert sorted(np.round(away, 3)) == sorted(
        np.round([0, *[10] * 6, *[10 / 3**0.5] * 3], 3)
    )  # itself, six of its sublattice, three of the other
    columns = frames[0].columns
    step = EDGE * crystal.cell.lattice.period_px + 1.1 * 10
    inner = ((columns.positions > step) & (columns.positions < np.array(SHAPE) - 1 - step)).all(axis=1)
    every = np.bincount(columns.sublattice[inner], minlength=2)
    assert watched.others.tolist() == [(every - [3, 7]).tolist()] * 2


def test_out_of_view_and_at_the_edge_columns_have_no_intensity(crystal: Crystal) -> None:
    column = (9, 12, 1)
    y = crystal.place(column)[0]
    edge = EDGE * crystal.cell.lattice.period_px
    steady = {(i, j, 0): DOPANT for i in range(0, 20, 3) for j in range(0, 24, 3)}
    drifts = [(0.0, 0.0), (edge + 1 - y, 0.0), (edge - 1 - y, 0.0), (edge + 12 - y, 0.0)]
    frames = [crystal.frame(number, {**steady, column: VACANCY}, drift) for number, drift in enumerate(drifts)]
    watched = watch(lambda: iter(frames), crystal.cell)
    number = number_of(watched, crystal, column)
    assert np.isfinite(watched.ratio[:, number]).tolist() == [True, True, False, True]
    assert np.isfinite(watched.positions[:, number, 0]).tolist() == [True, True, False, True]
    assert (watched.found[:, number] >= 0).tolist() == [True, True, False, True]
    # One step from the edge, it could have come from where nothing is seen.
    assert watched.inner[:, number].tolist() == [True, False, False, True]


def test_a_hole_takes_columns_has_a_rim_and_around_that_a_neighbour_may_be_in_the_rim(crystal: Crystal) -> None:
    centre, radius = np.array([70.0, 120.0]), 14.0
    columns, _ = crystal.columns()
    away = np.linalg.norm(columns.positions - centre, axis=1)
    with_defects = {column: VACANCY for column, n in _numbers(crystal).items() if away[n] < 60 and column[2] == 1}
    frames = [crystal.frame(0, with_defects)]
    frames += [crystal.frame(number, with_defects, holes=[(*centre, radius)], missed=with_defects) for number in (1, 2)]
    watched = watch(lambda: iter(frames), crystal.cell)
    distance = np.linalg.norm(watched.places - centre, axis=1)
    period = crystal.cell.lattice.period_px
    for t in (1, 2):
        assert watched.hole[t][distance < radius - 1].all()
        assert not watched.hole[t][distance > radius + 1].any()
        assert watched.rim[t][distance < radius + 1.4 * period - 1.5].all()
        assert not watched.rim[t][distance > radius + 1.4 * period + 1.5].any()
        assert not watched.inner[t][distance < radius + 1.4 * period + 11 - 1.5].any()
    assert not watched.hole[0].any()
    assert not watched.rim[0].any()
    near = (distance > radius + 1.4 * period + 12.5) & (distance < 44)
    assert near.any()
    assert watched.inner[:, near].all()


def _numbers(crystal: Crystal) -> dict[tuple[int, int, int], int]:
    return crystal.columns()[1]


def test_noise_is_the_deviation_of_perfect_columns(crystal: Crystal) -> None:
    frames = [crystal.frame(number, DEFECTS, noise=0.1) for number in range(5)]
    np.testing.assert_allclose(watch(lambda: iter(frames), crystal.cell).noise, 0.1, rtol=0.1)


def test_frames_without_a_lattice_are_passed_over(crystal: Crystal) -> None:
    frames = [crystal.frame(number, DEFECTS) for number in (3, 4, 7)]
    blind = type(frames[0])("m", 5, network=frames[0].network)
    unread = type(frames[0])("m", 6, error="cut short")
    watched = watch(lambda: iter([*frames[:2], blind, unread, frames[2]]), crystal.cell)
    assert watched.frames.tolist() == [3, 4, 7]
    assert watched.others.shape == (2, 2)
    assert watch(lambda: iter([blind, unread]), crystal.cell) is None


@pytest.mark.parametrize("mono", [False, True])
def test_without_defects_nothing_is_watched(*, mono: bool) -> None:
    crystal = Crystal(honeycomb(mono=mono))
    watched = watch(lambda: iter([crystal.frame(0), crystal.frame(1, drift=(1, 1))]), crystal.cell)
    assert watched.ratio.shape == (2, 0)
    assert (watched.others > 0).all()


def test_extended_objects_alone_are_holes(crystal: Crystal) -> None:
    """What is found within a region that is another object is in the hole, and no defect."""
    frame = crystal.frame(0, {(9, 12, 1): VACANCY})
    place = np.round(crystal.place((9, 12, 1))).astype(int)
    regions = np.zeros(SHAPE, np.int32)
    regions[place[0] - 8 : place[0] + 8, place[1] - 8 : place[1] + 8] = 2
    objects = Objects(np.array([place, place + 3.0]), np.ones(2), regions)
    network = type(frame.network)(objects, np.array([2, 4]), np.array([0, 256]), np.ones(2))
    views = type(frame.views)(*[np.append(frame.views.column, -1), *list(vars(frame.views).values())[1:]])
    frame = type(frame)("m", 0, frame.period_px, network=network, columns=frame.columns, views=views)
    assert watch(lambda: iter([frame, frame]), crystal.cell).ratio.shape[1] == 0
