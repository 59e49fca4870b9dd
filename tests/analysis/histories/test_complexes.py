import numpy as np
import pandas as pd
import pytest

from analysis.histories.complexes import find_complexes
from analysis.histories.decode import HOLE, decode
from analysis.histories.tracks import on_columns
from analysis.histories.watch import watch

from .conftest import DOPANT, VACANCY, Crystal, honeycomb, library_of

CENTRES = [(9, 12, 0), (6, 8, 0), (12, 14, 0)]
WANDERER = [(8, 17, 1), (8, 18, 1), (9, 19, 1), (9, 20, 1)]


def arms_of(crystal: Crystal, centre) -> list[tuple[int, int, int]]:
    """The three columns of the other sublattice nearest to this one, by the angle of the way there."""
    i, j, _ = centre
    near = [(i + a, j + b, 1) for a in (-1, 0, 1) for b in (-1, 0, 1)]
    steps = [crystal.place(column) - crystal.place(centre) for column in near]
    chosen = sorted(range(9), key=lambda n: np.linalg.norm(steps[n]))[:3]
    return sorted((near[n] for n in chosen), key=lambda c: np.arctan2(*(crystal.place(c) - crystal.place(centre))))


def told(crystal: Crystal, bound, others=(), centres=CENTRES, holes=()):
    """Watch a movie in which the k-th arm of each centre is a vacancy, 0 for none, as `bound` (t, c) says."""
    frames = []
    for t, row in enumerate(bound):
        defects = dict.fromkeys(centres, DOPANT) | {WANDERER[t % 4]: VACANCY} | dict(others)
        defects |= {arms_of(crystal, c)[k - 1]: VACANCY for c, k in zip(centres, row, strict=True) if k}
        frames.append(crystal.frame(t, defects, (0.3 * t, -0.2 * t), holes=holes))
    watched = watch(lambda: iter(frames), crystal.cell)
    states = decode(watched, library_of().kinds)
    complexes = find_complexes(watched, states, on_columns(watched, states, crystal.cell), crystal.cell)
    return watched, states, complexes


BOUND = np.array([[0, 1, 2], [0, 1, 3], [1, 1, 3], [3, 0, 3], [3, 2, 0], [3, 2, 0], [0, 2, 1], [2, 2, 1], [2, 0, 1]])


def test_each_dopant_has_its_three_arms_in_the_same_directions(crystal: Crystal) -> None:
    watched, _, complexes = told(crystal, BOUND)
    places = watched.places[complexes.centres]
    true = np.array([crystal.place(centre) for centre in CENTRES])
    order = np.linalg.norm(places[:, None] - true, axis=2).argmin(axis=1)
    np.testing.assert_allclose(places, true[order], atol=1e-6)
    assert sorted(order) == [0, 1, 2]
    for row, number in zip(complexes.arms, order, strict=True):
        arms = [crystal.place(column) for column in arms_of(crystal, CENTRES[number])]
        np.testing.assert_allclose(watched.places[row], arms, atol=1e-6)


def test_states_are_those_of_the_truth(crystal: Crystal) -> None:
    watched, states, complexes = told(crystal, BOUND)
    true = np.array([crystal.place(centre) for centre in CENTRES])
    order = np.linalg.norm(watched.places[complexes.centres][:, None] - true, axis=2).argmin(axis=1)
    assert complexes.states(states).tolist() == BOUND[:, order].tolist()


def test_arms_are_bound_and_no_other_column_is(crystal: Crystal) -> None:
    watched, _, complexes = told(crystal, BOUND)
    arms = np.array([crystal.place(arm) for centre in CENTRES for arm in arms_of(crystal, centre)])
    near = np.linalg.norm(watched.places[:, None] - arms, axis=2).min(axis=1) < 1e-6
    assert complexes.bound(len(watched.places)).tolist() == near.tolist()
    assert near.sum() == 9


def test_what_is_no_state_of_a_complex_has_none(crystal: Crystal) -> None:
    _, states, complexes = told(crystal, BOUND)
    number, *arms = complexes.centres[0], *complexes.arms[0]
    changed = states.copy()
    changed[0, arms[:2]] = VACANCY  # two at once
    changed[1, number] = 0  # no dopant
    changed[2, arms[1]] = HOLE
    changed[3, arms[2]] = -2  # out of view
    assert complexes.states(changed)[:4, 0].tolist() == [-1] * 4
    assert complexes.states(changed)[4:, 0].tolist() == complexes.states(states)[4:, 0].tolist()


def test_dopants_next_to_one_another_are_no_complexes(crystal: Crystal) -> None:
    watched, _, complexes = told(crystal, BOUND, {(9, 13, 0): DOPANT})
    assert len(complexes.centres) == 2
    away = np.linalg.norm(watched.places[complexes.centres] - crystal.place(CENTRES[0]), axis=1)
    assert (away > 15).all()


def test_a_dopant_that_is_seen_in_few_frames_is_no_centre(crystal: Crystal) -> None:
    watched, states, complexes = told(crystal, BOUND)
    gone = states.copy()
    gone[3:, complexes.centres[1]] = 0
    tracks = on_columns(watched, gone, crystal.cell)
    left = find_complexes(watched, gone, tracks, crystal.cell).centres
    assert left.tolist() == [complexes.centres[0], complexes.centres[2]]


@pytest.mark.parametrize("only", [0, 1])
def test_defects_on_one_sublattice_alone_are_no_complexes(crystal: Crystal, only: int) -> None:
    steady = {(9, 12, only): (DOPANT, VACANCY)[only]}
    frames = [crystal.frame(t, steady) for t in range(5)]
    watched = watch(lambda: iter(frames), crystal.cell)
    states = decode(watched, library_of().kinds)
    complexes = find_complexes(watched, states, on_columns(watched, states, crystal.cell), crystal.cell)
    assert len(complexes.centres) == 0
    assert complexes.states(states).shape == (5, 0)
    assert not complexes.bound(len(watched.places)).any()


def test_a_lattice_of_one_column_has_none() -> None:
    crystal = Crystal(honeycomb(mono=True))
    frames = [crystal.frame(t, {(9, 12, 0): DOPANT}) for t in range(5)]
    watched = watch(lambda: iter(frames), crystal.cell)
    states = decode(watched, library_of().kinds)
    assert len(find_complexes(watched, states, on_columns(watched, states, crystal.cell), crystal.cell).centres) == 0


def test_without_a_defect_there_is_none(crystal: Crystal) -> None:
    watched = watch(lambda: iter([crystal.frame(0), crystal.frame(1)]), crystal.cell)
    states = decode(watched, library_of().kinds)
    tracks = on_columns(watched, states, crystal.cell)
    assert isinstance(tracks, pd.DataFrame)
    assert len(find_complexes(watched, states, tracks, crystal.cell).centres) == 0
