"""Every operator: any strings in, a string out that differs, and what its source says of it."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from networks.genes import GENES, HEADER, LAYER, LENGTH, SIZES, SLOT, expressed, pack, pick, unpack
from networks.genome import encode
from networks.space import KINDS, SLOTS, sample
from search.operators import CROSSOVERS, MUTATIONS
from search.operators.change_genes import NEW_VALUE_SHARE, STEEPNESS
from search.operators.tournament import tournament

genes = st.binary(min_size=LENGTH, max_size=LENGTH).map(unpack)
seeds = st.integers(0, 2**32)
every = pytest.mark.parametrize("name", [*CROSSOVERS, *MUTATIONS])
every_crossover = pytest.mark.parametrize("name", CROSSOVERS)


def child_of(name, first, second, seed):
    """What an operator of either kind makes."""
    rng = np.random.default_rng(seed)
    return CROSSOVERS[name](first, second, rng) if name in CROSSOVERS else MUTATIONS[name](first, rng)


def slots_of(child):
    return [tuple(slot) for slot in child[HEADER:].reshape(SLOTS, SLOT).tolist()]


def layers_of(child):
    """The slots with a layer, in order."""
    return [slot for slot in slots_of(child) if pick(KINDS, slot[0], LAYER[0][2]) != "empty"]


def prior(seed):
    return unpack(encode(sample(np.random.default_rng(seed))))


# What holds for all


@every
@settings(deadline=None)
@given(first=genes, second=genes, seed=seeds)
def test_any_strings_give_a_string_and_stay_as_they_are(name, first, second, seed):
    before = first.copy(), second.copy()
    child = child_of(name, first, second, seed)
    assert child.shape == (GENES,)
    assert child.dtype == np.int64
    assert (child >= 0).all()
    assert (child < SIZES).all()
    assert (unpack(pack(child)) == child).all()
    assert (first == before[0]).all()
    assert (second == before[1]).all()
    assert not np.shares_memory(child, first)
    assert not np.shares_memory(child, second)


@every
@settings(deadline=None)
@given(first=genes, second=genes, seed=seeds)
def test_the_generator_decides_alone(name, first, second, seed):
    assert (child_of(name, first, second, seed) == child_of(name, first, second, seed)).all()


@every
def test_most_children_of_the_prior_are_other_networks_than_their_parents(name):
    other, distinct = 0, set()
    for seed in range(200):
        first, second = prior(seed), prior(1000 + seed)
        child = expressed(child_of(name, first, second, seed))
        other += all((child != expressed(parent)).any() for parent in (first, second))
        distinct.add(child_of(name, prior(0), prior(1), seed).tobytes())
    assert other > 100
    assert len(distinct) > 3  # and not always the same child


# Crossovers


@every_crossover
@settings(deadline=None)
@given(first=genes, second=genes, seed=seeds)
def test_a_crossover_takes_genes_of_training_and_whole_slots_in_place_from_either_parent(name, first, second, seed):
    child = child_of(name, first, second, seed)
    assert all(gene in pair for gene, *pair in zip(child[:HEADER], first, second, strict=False))
    for slot, *pair in zip(slots_of(child), slots_of(first), slots_of(second), strict=True):
        assert slot in pair


@every_crossover
@settings(deadline=None)
@given(parent=genes, seed=seeds)
def test_a_parent_crossed_with_itself_comes_out_again(name, parent, seed):
    assert (child_of(name, parent, parent.copy(), seed) == parent).all()


def sources(name, seed):
    """From which parent, 0 or 1, each unit of a child came: the training genes, then the slots."""
    child = child_of(name, np.zeros(GENES, np.int64), np.ones(GENES, np.int64), seed)
    slots = child[HEADER:].reshape(SLOTS, SLOT)
    assert (slots == slots[:, :1]).all()
    return child[:HEADER].tolist(), slots[:, 0].tolist()


def test_one_point_has_one_boundary_and_every_boundary_as_often():
    boundaries = Counter()
    for seed in range(4000):
        training, slots = sources("one_point", seed)
        assert not any(training)
        assert slots == sorted(slots)
        boundaries[slots.index(1)] += 1
    assert set(boundaries) == set(range(SLOTS))
    assert all(abs(count - 500) < 5 * np.sqrt(500) for count in boundaries.values())


def test_two_point_puts_one_stretch_of_the_second_into_the_first_every_stretch_as_often():
    stretches = Counter()
    for seed in range(9000):
        training, slots = sources("two_point", seed)
        assert not any(training)
        low, high = slots.index(1), SLOTS - slots[::-1].index(1)
        assert all(slots[low:high])
        stretches[low, high] += 1
    assert len(stretches) == SLOTS * (SLOTS + 1) // 2
    assert all(abs(count - 250) < 5 * np.sqrt(250) for count in stretches.values())


def test_uniform_takes_each_unit_by_itself_from_either_with_the_same_chance():
    units = np.array([np.concatenate(sources("uniform", seed)) for seed in range(4000)])
    assert np.abs(units.mean(axis=0) - 0.5).max() < 5 * 0.5 / np.sqrt(4000)
    together = np.corrcoef(units.T) - np.eye(HEADER + SLOTS)
    assert np.abs(together).max() < 5 / np.sqrt(4000)


# Mutations of layers


def alike(child, parent):
    return (child[:HEADER] == parent[:HEADER]).all()


def without(layers, place):
    return [*layers[:place], *layers[place + 1 :]]


@settings(deadline=None)
@given(parent=genes, seed=seeds)
def test_delete_takes_out_one_layer_and_leaves_the_others_in_order(parent, seed):
    child, layers = child_of("delete_layer", parent, None, seed), layers_of(parent)
    assert alike(child, parent)
    if len(layers) < 2:
        assert (child == parent).all()
    else:
        assert layers_of(child) in [without(layers, place) for place in range(len(layers))]


@settings(deadline=None)
@given(parent=genes, seed=seeds)
def test_insert_adds_one_layer_and_leaves_the_others_in_order(parent, seed):
    child, layers = layers_of(child_of("insert_layer", parent, None, seed)), layers_of(parent)
    assert alike(child_of("insert_layer", parent, None, seed), parent)
    if len(layers) == SLOTS:
        assert child == layers
    else:
        assert len(child) == len(layers) + 1
        assert layers in [without(child, place) for place in range(len(child))]


@settings(deadline=None)
@given(parent=genes, seed=seeds)
def test_duplicate_puts_a_layer_once_more_right_behind_itself(parent, seed):
    child, layers = child_of("duplicate_layer", parent, None, seed), layers_of(parent)
    assert alike(child, parent)
    if len(layers) in (0, SLOTS):
        assert (child == parent).all()
    else:
        doubled = [[*layers[: place + 1], *layers[place:]] for place in range(len(layers))]
        assert layers_of(child) in doubled


@settings(deadline=None)
@given(parent=genes, seed=seeds)
def test_exchange_puts_two_layers_in_each_others_place(parent, seed):
    child, layers = child_of("exchange_layers", parent, None, seed), layers_of(parent)
    assert alike(child, parent)
    empty = [slot not in layers for slot in slots_of(parent)]
    assert [slot not in layers for slot in slots_of(child)] == empty
    swapped = []
    for one in range(len(layers)):
        for other in range(one):
            swapped.append(list(layers))
            swapped[-1][one], swapped[-1][other] = layers[other], layers[one]
    assert layers_of(child) in (swapped or [layers])


@pytest.mark.parametrize(("name", "places"), [("delete_layer", 5), ("duplicate_layer", 5), ("insert_layer", 6)])
def test_every_layer_has_its_turn(name, places):
    """Where the child first differs from its parent of five distinct layers: all places occur."""
    parent = next(g for g in map(prior, range(1000)) if len(set(layers_of(g))) == len(layers_of(g)) == 5)
    changed = Counter()
    for seed in range(400):
        pairs = zip([*layers_of(child_of(name, parent, None, seed)), None], [*layers_of(parent), ()], strict=False)
        changed[next(place for place, (after, before) in enumerate(pairs) if after != before)] += 1
    assert len(changed) == places
    assert min(changed.values()) > 400 / places / 4


# Mutation of genes


def changes(parent, seed):
    child = MUTATIONS["change_genes"](parent, np.random.default_rng(seed))
    return np.flatnonzero(child != parent), child


def test_change_genes_changes_as_many_as_the_power_law_says():
    parent = prior(3)
    able = int(sum((np.array([expressed(one_gene(parent, gene, value)) for value in range(SIZES[gene])])
                    != expressed(parent)).any() for gene in range(GENES)))  # fmt: skip
    counts = np.array([len(changes(parent, seed)[0]) for seed in range(5000)])
    most = able // 2
    assert counts.min() == 1
    assert counts.max() <= most
    # The chance of `most` or fewer than k, of the continuous law from 1 to most + 1.
    power = 1 - STEEPNESS
    for k in (2, 3, 5, 9):
        share = (1 - k**power) / (1 - (most + 1) ** power)
        assert (counts < k).mean() == pytest.approx(share, abs=5 * 0.5 / np.sqrt(5000))


def one_gene(parent, gene, value):
    child = parent.copy()
    child[gene] = value
    return child


@settings(deadline=None)
@given(parent=genes, seed=seeds)
def test_every_changed_gene_says_something_else(parent, seed):
    changed, child = changes(parent, seed)
    assert len(changed)
    for gene in changed:
        assert (expressed(one_gene(parent, gene, child[gene])) != expressed(parent)).any()


def test_most_changes_are_the_smallest_that_say_something_else():
    """The learning rate, 24 values in 32 that are all but evenly spaced: steps of one entry of its table."""
    parent = prior(3)
    entry = [pick(range(24), value, 5) for value in range(32)]
    steps = []
    for seed in range(20000):
        changed, child = changes(parent, seed)
        if changed.size and changed[0] == 0:
            steps.append(abs(entry[child[0]] - entry[parent[0]]))
    small = np.mean(np.array(steps) == 1)
    assert min(steps) == 1
    # A new value that is drawn from all may be a neighbour too: two entries in 23, at most four values in 30.
    error = 5 * 0.5 / np.sqrt(len(steps))
    assert 1 - NEW_VALUE_SHARE - error < small < 1 - NEW_VALUE_SHARE * (1 - 4 / 30) + error
    assert max(steps) > 5


# Selection


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_tournaments_choose_by_their_exact_probabilities(size):
    """The one at place r of n wins if none of the drawn stands above it, and not all stand below."""
    members, trials = 5, 20000
    rng = np.random.default_rng(size)
    wins = Counter(tournament(members, size, rng) for _ in range(trials))
    for place in range(members):
        chance = ((place + 1) ** size - place**size) / members**size
        assert wins[place] / trials == pytest.approx(chance, abs=5 * np.sqrt(chance / trials))
