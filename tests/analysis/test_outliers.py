"""Columns that stand out, on made-up honeycombs whose intensities are known."""

import numpy as np
import pytest

from analysis.columns import Columns
from analysis.detections import Detections
from analysis.outliers import with_outliers
from data_prep.objects import Objects

SHAPE = (200, 220)
PERIOD_PX = 8.66  # of rows 10 px apart along a row
NOISE = 0.05
MAPS = np.stack([np.full(SHAPE, 0.9), np.full(SHAPE, 0.03), np.full(SHAPE, 0.07)]).astype(np.float32)


def columns(ratios: dict[int, float], seed: int = 0) -> Columns:
    """Two sublattices of columns, all as they should be but for these `ratios` by number."""
    rows, steps = np.meshgrid(np.arange(24), np.arange(30), indexing="ij")
    first = np.stack([PERIOD_PX * rows, 10.0 * steps + 5.0 * (rows % 2)], axis=-1).reshape(-1, 2)
    places = np.concatenate([first, first + np.array([PERIOD_PX / 3, 5.0])])
    inside = ((places >= 0) & (places <= np.array(SHAPE) - 1)).all(axis=1)
    sublattice = np.repeat([0, 1], len(first))[inside]
    places = places[inside]
    ratio = np.random.default_rng(seed).normal(1.0, NOISE, len(places)).clip(1 - 4 * NOISE, 1 + 4 * NOISE)
    for number, value in ratios.items():
        ratio[number] = value
    nothing = np.zeros((len(places), 2))
    return Columns(places, nothing.astype(np.int64), sublattice, ratio, nothing, np.ones(len(places)))


def found(positions=(), region=None) -> Detections:
    """What a network finds at these places, all of class 2."""
    places = np.array(positions, float).reshape(-1, 2)
    regions = np.zeros(SHAPE, np.int32) if region is None else region
    count = len(places)
    objects = Objects(places, np.full(count, 0.8), regions)
    return Detections(objects, np.full(count, 2), np.full(count, 30), np.full(count, 0.7))


def number_near(made: Columns, place: tuple[float, float], sublattice: int) -> int:
    away = np.linalg.norm(made.positions - place, axis=1) + 1e6 * (made.sublattice != sublattice)
    return int(away.argmin())


@pytest.mark.parametrize("sublattice", [0, 1])
@pytest.mark.parametrize("ratio", [0.0, 0.5, 1.6])
def test_a_column_far_from_its_sublattice_is_added_after_the_networks_finds(sublattice, ratio):
    odd = number_near(columns({}), (100, 100), sublattice)
    made = columns({odd: ratio})
    seen = with_outliers(found([(60.0, 60.0)]), made, MAPS, PERIOD_PX)
    assert seen.objects.positions.tolist() == [[60.0, 60.0], made.positions[odd].tolist()]
    assert seen.by_network.tolist() == [True, False]
    assert seen.kinds.tolist() == [2, 0]
    assert seen.areas_px.tolist() == [30, 0]
    assert seen.objects.scores == pytest.approx([0.8, 0.1])
    assert not seen.objects.extended().any()


@pytest.mark.parametrize("seed", range(20))
def test_perfect_columns_do_not_stand_out(seed):
    assert len(with_outliers(found(), columns({}, seed), MAPS, PERIOD_PX)) == 0


def test_many_defects_do_not_hide_one_another():
    """A tenth of all columns is missing, which widens their standard deviation but not that of the perfect ones."""
    perfect = columns({})
    inner = np.minimum(perfect.positions, np.array(SHAPE) - 1 - perfect.positions).min(axis=1) > 2 * PERIOD_PX
    odd = np.flatnonzero(inner)[::10]
    seen = with_outliers(found(), columns(dict.fromkeys(odd.tolist(), 0.5)), MAPS, PERIOD_PX)
    assert len(seen) == len(odd)


def test_what_the_network_found_is_not_found_twice():
    odd = number_near(columns({}), (100, 100), 0)
    made = columns({odd: 0.2})
    seen = with_outliers(found(made.positions[odd] + np.array([1.0, 1.5])), made, MAPS, PERIOD_PX)
    assert seen.by_network.tolist() == [True]


def test_columns_at_the_edge_and_beside_holes_are_not_judged():
    perfect = columns({})
    hole = np.zeros(SHAPE, np.int32)
    hole[90:120, 90:120] = 1
    beside, away = number_near(perfect, (105, 127), 0), number_near(perfect, (105, 160), 0)
    edge = number_near(perfect, (100, 3), 0)
    made = columns({beside: 0.2, away: 0.2, edge: 0.2})
    seen = with_outliers(found([(104.5, 104.5)], hole), made, MAPS, PERIOD_PX)
    assert seen.objects.positions[1:].tolist() == [made.positions[away].tolist()]
    assert (seen.objects.regions == hole).all()


def test_where_most_columns_are_odd_none_is():
    """As under contamination, or where the lattice is another."""
    perfect = columns({})
    away = np.linalg.norm(perfect.positions - [100, 110], axis=1)
    patch = dict.fromkeys(np.flatnonzero(away < 40).tolist(), 1.8)
    seen = with_outliers(found(), columns(patch), MAPS, PERIOD_PX)
    far_from_rim = np.linalg.norm(seen.objects.positions - [100, 110], axis=1) < 25
    assert not far_from_rim.any()


def test_without_a_lattice_nothing_is_added():
    assert len(with_outliers(found([(50.0, 50.0)]), None, MAPS, PERIOD_PX)) == 1
