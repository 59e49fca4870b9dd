from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial.distance import cdist

from data_prep.objects import Objects, find_objects, paint, region_around

SHAPE = (24, 37)
PERIOD_PX = 10.0
Spot = Callable[[tuple[int, int], tuple[float, float], float], NDArray[np.float64]]
anywhere = st.tuples(st.floats(-4, SHAPE[0] + 3), st.floats(-4, SHAPE[1] + 3))


def at(*positions: tuple[float, float], shape: tuple[int, int] = SHAPE) -> Objects:
    """Point objects."""
    return Objects(np.array(positions, float).reshape(-1, 2), np.ones(len(positions)), np.zeros(shape, np.int32))


def disk(shape: tuple[int, int], centre: tuple[float, float], radius: float) -> NDArray[np.bool_]:
    y, x = np.mgrid[: shape[0], : shape[1]]
    return np.asarray((y - centre[0]) ** 2 + (x - centre[1]) ** 2 <= radius**2)


@given(positions=st.lists(anywhere, max_size=8), radius=st.floats(0.0, 6.0))
@settings(deadline=None, max_examples=60)
def test_paint_agrees_with_a_plain_loop_over_pixels(positions: list[tuple[float, float]], radius: float) -> None:
    painted = paint(at(*positions), radius)
    assert painted.shape == SHAPE
    for y, x in np.ndindex(SHAPE):
        distances = [float(np.hypot(y - p, x - q)) for p, q in positions]
        nearest = min(distances, default=np.inf)
        if abs(nearest - radius) < 1e-6:
            continue  # on the rim, rounding decides
        if nearest > radius:
            assert painted[y, x] == 0
        else:
            assert distances[painted[y, x] - 1] <= nearest + 1e-9


def test_a_region_lies_over_disks_and_has_no_disk_of_its_own() -> None:
    objects = at((12, 8), (12, 20))
    objects.regions[10:15, 6:20] = 2
    painted = paint(objects, 3.0)
    assert (painted[10:15, 6:20] == 2).all()
    assert painted[9, 8] == 1
    assert (painted[:, 20:] == 0).all()


def test_extended_objects_are_those_with_a_region() -> None:
    objects = at((3, 3), (12, 8), (20, 30))
    assert objects.extended().tolist() == [False, False, False]
    objects = at((3, 3), (12, 8), (20, 30))
    objects.regions[10:15, 6:20] = 2
    assert objects.extended().tolist() == [False, True, False]


def test_keep_drops_the_others_and_renumbers_their_regions() -> None:
    objects = Objects(
        np.array([(3.0, 3.0), (12.0, 8.0), (20.0, 30.0)]), np.array([0.1, 0.2, 0.3]), np.zeros(SHAPE, np.int32)
    )
    objects.regions[10:15, 6:20] = 2
    objects.regions[18:22, 28:33] = 3
    kept = objects.keep(np.array([True, False, True]))
    assert kept.positions.tolist() == [[3, 3], [20, 30]]
    assert kept.scores.tolist() == [0.1, 0.3]
    assert (kept.regions[10:15, 6:20] == 0).all()
    assert (kept.regions[18:22, 28:33] == 2).all()
    assert kept.extended().tolist() == [False, True]


@given(chosen=st.lists(st.booleans(), min_size=5, max_size=5))
@settings(deadline=None, max_examples=20)
def test_keep_leaves_each_region_with_its_own_object(chosen: list[bool]) -> None:
    rows = np.array([2, 6, 10, 14, 18])
    objects = Objects(np.stack([rows, rows], axis=1).astype(float), rows / 20, np.zeros(SHAPE, np.int32))
    for number, row in enumerate(rows):
        objects.regions[row, 3:9] = number + 1
    kept = objects.keep(np.array(chosen))
    assert len(kept) == sum(chosen)
    for number, (row, _) in enumerate(kept.positions.astype(int)):
        assert np.flatnonzero((kept.regions == number + 1).any(axis=1)).tolist() == [row]
    assert kept.regions.max() == len(kept)


def test_peaks_are_found_where_they_were_drawn(spot: Spot) -> None:
    shape = (60, 110)
    drawn = {(10.0, 15.0): 0.9, (40.3, 20.2): 0.6, (25.0, 80.0): 0.8, (52.0, 104.0): 0.7, (30.0, 50.0): 0.4}
    score = sum(height * spot(shape, place, 2.0) for place, height in drawn.items())
    found = find_objects(np.asarray(score), 0.5, PERIOD_PX)
    assert not found.extended().any()
    assert sorted(map(tuple, np.round(found.positions))) == [(10, 15), (25, 80), (40, 20), (52, 104)]
    by_place = dict(zip(map(tuple, np.round(found.positions)), found.scores, strict=True))
    for (y, x), height in drawn.items():
        if height > 0.5:
            assert by_place[round(y), round(x)] == pytest.approx(height, abs=0.02)


def test_of_two_peaks_too_near_for_two_columns_the_higher_counts(spot: Spot) -> None:
    shape = (50, 70)
    for apart, count in ((4, 1), (7, 2)):
        score = 0.9 * spot(shape, (20, 30), 0.8) + 0.8 * spot(shape, (20, 30 + apart), 0.8)
        found = find_objects(score, 0.5, PERIOD_PX)
        assert len(found) == count
        assert [20, 30] in found.positions.tolist()


def test_a_flat_peak_is_one_object_at_its_middle() -> None:
    score = np.zeros((40, 60))
    score[20:23, 30:33] = 1.0
    assert find_objects(score, 0.5, PERIOD_PX).positions.tolist() == [[21, 31]]


def test_a_thick_region_is_one_object_at_its_centre_of_mass() -> None:
    shape = (60, 90)
    noise = np.random.default_rng(7).uniform(0, 0.3, shape)
    thick, point = disk(shape, (30, 25), 9), disk(shape, (30, 70), 2)
    found = find_objects(noise + 0.6 * thick + 0.65 * point, 0.5, PERIOD_PX)
    assert found.extended().tolist() == [True] + [False] * (len(found) - 1)
    assert found.positions[0].tolist() == [30, 25]
    np.testing.assert_array_equal(found.regions == 1, thick)
    assert found.scores[0] == (noise + 0.6)[thick].max()


@given(disks=st.lists(st.tuples(st.integers(0, 16), st.integers(0, 22), st.floats(0.5, 6.0)), min_size=1, max_size=4))
@settings(deadline=None, max_examples=60)
def test_extended_are_the_parts_that_hold_a_disk(disks: list[tuple[int, int, float]]) -> None:
    shape, period = (17, 23), 5.0
    above = np.any([disk(shape, (y, x), radius) for y, x, radius in disks], axis=0)
    assume((ndimage.binary_fill_holes(above) == above).all())
    outside = np.argwhere(~np.pad(above, 1)) - 1
    expected = np.zeros(shape, bool)
    parts, count = ndimage.label(above)
    for part in range(1, count + 1):
        room = cdist(np.argwhere(parts == part), outside).min(axis=1).max()
        expected |= (parts == part) & (room >= 0.6 * period)
    np.testing.assert_array_equal(find_objects(above.astype(float), 0.5, period).regions > 0, expected)


def test_a_thin_chain_of_columns_is_points_and_not_a_region(spot: Spot) -> None:
    shape = (40, 100)
    score = np.max([spot(shape, (20, x), 3.0) for x in (20, 30, 40, 50)], axis=0)
    found = find_objects(score, 0.2, PERIOD_PX)
    assert not found.extended().any()
    assert sorted(found.positions[:, 1].tolist()) == [20, 30, 40, 50]


def test_a_gap_belongs_to_the_hole_around_it_only_if_it_is_smaller() -> None:
    shape = (90, 120)
    small_gap = disk(shape, (45, 60), 16) & ~disk(shape, (45, 60), 6)
    found = find_objects(small_gap.astype(float), 0.5, PERIOD_PX)
    np.testing.assert_array_equal(found.regions == 1, disk(shape, (45, 60), 16))
    assert found.positions.tolist() == [[45, 60]]
    large_gap = disk(shape, (45, 60), 40) & ~disk(shape, (45, 60), 30)
    assert find_objects(large_gap.astype(float), 0.5, PERIOD_PX).regions[45, 60] == 0


def test_nothing_above_the_threshold_is_no_object() -> None:
    found = find_objects(np.full(SHAPE, 0.4), 0.5, PERIOD_PX)
    assert len(found) == 0
    assert found.regions.shape == SHAPE
    assert not paint(found, 3.0).any()


def test_columns_of_a_hole_fill_a_solid_region() -> None:
    ring = np.array([(12 + 7 * np.sin(turn), 18 + 7 * np.cos(turn)) for turn in np.linspace(0, 2 * np.pi, 12)])
    region = region_around(ring, 3.0, SHAPE)
    assert region[12, 18]
    assert region[disk(SHAPE, (12, 18), 7)].all()
    assert not region[~disk(SHAPE, (12, 18), 10.5)].any()


def test_neighbours_on_a_diagonal_stay_two() -> None:
    score = np.zeros((60, 80))
    score[30, 30], score[34, 34] = 1.0, 0.9
    assert len(find_objects(score, 0.5, 8.0)) == 2
