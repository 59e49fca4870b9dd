"""The words say what changed, all of it and nothing else."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from networks.difference import GAP, align, difference, pair_cost
from networks.genome import LENGTH, decode
from networks.space import Convolution, FullyConnected, Limits, NetworkSpec, Pool, sample

networks = st.binary(min_size=LENGTH, max_size=LENGTH).map(lambda genome: decode(genome, Limits()))
TRAINING = sample(np.random.default_rng(0)).training
FIRST = Convolution(16, 7, 7, 1, 1, "zeros", "relu", "batch", 0.0, skip=False)
SECOND = Convolution(16, 3, 3, 1, 1, "replicate", "silu", "batch", 0.05, skip=False)
LAST = FullyConnected(24, "elu", 0.0)
POOL = Pool("max", 2, 2)


def network(*layers, **training):
    return NetworkSpec(layers, replace(TRAINING, **training))


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ((FIRST, SECOND), (FIRST, replace(SECOND, kernels=24)), ["kernels 16→24 in layer 2"]),
        ((FIRST, SECOND), (FIRST, replace(SECOND, skip=True)), ["skip no→yes in layer 2"]),
        (
            (FIRST, SECOND),
            (replace(FIRST, activation="leaky_relu", dropout=0.1), SECOND),
            ["activation relu→leaky relu, dropout 0→0.1 in layer 1"],
        ),
        ((FIRST, LAST), (FIRST, SECOND, LAST), ["+ conv 16@3x3 as layer 2"]),
        ((FIRST, POOL, LAST), (FIRST, LAST), ["- max pool 2x2, was layer 2"]),
        ((FIRST, LAST), (FIRST, FIRST, LAST), ["+ conv 16@7x7 as layer 2"]),
        ((FIRST, POOL, SECOND, LAST), (FIRST, SECOND, LAST, POOL), ["max pool 2x2 moved to layer 4"]),
        ((POOL, SECOND), (LAST, SECOND), ["+ full 24 as layer 1", "- max pool 2x2, was layer 1"]),
    ],
)
def test_one_step_of_an_operator_is_named(old, new, words):
    found = difference(network(*old), network(*new))
    assert sorted(found) in (sorted(words), sorted(word.replace("layer 2", "layer 1") for word in words))


def test_training_genes_are_named():
    before, after = network(FIRST, batch_size=4, loss="dice"), network(FIRST, batch_size=8, loss="cross_entropy")
    assert difference(before, after) == ["batch size 4→8", "loss dice→cross entropy"]


@settings(deadline=None, max_examples=200)
@given(networks, networks)
def test_only_equal_networks_have_no_difference(old, new):
    assert difference(old, old) == []
    assert bool(difference(old, new)) == (old != new)


def cost_of(pairs):
    return sum(GAP if left is None or right is None else pair_cost(left, right) for left, right in pairs)


def least_cost(old, new):
    """Over all ways to pair layers in order."""
    best = np.inf
    for count in range(min(len(old), len(new)) + 1):
        for here in combinations(range(len(old)), count):
            for there in combinations(range(len(new)), count):
                paired = sum(pair_cost(old[i], new[j]) for i, j in zip(here, there, strict=True))
                best = min(best, paired + GAP * (len(old) + len(new) - 2 * count))
    return best


@settings(deadline=None, max_examples=100)
@given(networks, networks)
def test_layers_are_paired_in_order_at_the_least_cost(old, new):
    old, new = old.layers[:5], new.layers[:5]
    pairs = align(old, new)
    assert tuple(left for left, _ in pairs if left is not None) == old
    assert tuple(right for _, right in pairs if right is not None) == new
    assert cost_of(pairs) == pytest.approx(least_cost(old, new))
