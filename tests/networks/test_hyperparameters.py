"""Sets of hyperparameters: what they say, how they are drawn, and that the topology stays."""

import json

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from networks.genes import SIZES, kind_of, numeric_genes, unpack
from networks.genome import LENGTH, decode, encode
from networks.hyperparameters import Hyperparameters, hyperparameter
from networks.space import BATCH_SIZES, OPTIMISERS, SLOTS, Convolution, Limits, NetworkSpec, Pool, Upsample, sample

genomes = st.binary(min_size=LENGTH, max_size=LENGTH)
seeds = st.integers(0, 2**32 - 1)
# So wide that repair leaves alone what a genome says, but for windows that miss pixels and links that do not fit.
ROOMY = Limits(operations=2**60, stride=2**20, weights=2**60, memory_bytes=2**60, tile_px=2**22)


def some_genome():
    """Of a network with three or more convolutions, as all of the prior have."""
    return encode(sample(np.random.default_rng(0)))


def kinds(spec):
    return [layer.operation if isinstance(layer, Pool) else type(layer) for layer in spec.layers]


def only(*some):
    """A space of the named training genes, with the choices given."""
    genes = {gene.name: (number, gene) for number, gene in numeric_genes(unpack(some_genome())).items()}
    vary = [hyperparameter(name, [genes[name][0]], genes[name][1], choices) for name, choices in some]
    return Hyperparameters(some_genome(), tuple(vary))


@settings(deadline=None, max_examples=200)
@given(genomes, seeds, st.booleans())
def test_a_genome_tells_which_set_it_was_made_of(genome, seed, around):
    space = Hyperparameters(genome, Hyperparameters.around_genome(genome).vary, around)
    for chosen in space.draw(3, np.random.default_rng(seed)):
        assert chosen.dtype == np.uint8
        np.testing.assert_array_equal(space.set_of(space.genome(chosen)), chosen)


@settings(deadline=None, max_examples=200)
@given(genomes, seeds)
def test_the_network_of_a_set_has_the_values_chosen_and_the_topology_of_the_base(genome, seed):
    there = [kind_of(unpack(genome), slot) for slot in range(SLOTS)]
    assume("convolution" in there)  # else it is given one
    assume("upsample" not in there)  # which goes where nothing went down before it
    space = Hyperparameters.around_genome(genome)
    base = decode(genome, ROOMY)
    chosen = space.draw(1, np.random.default_rng(seed))[0]
    spec = decode(space.genome(chosen), ROOMY)
    assert kinds(spec) == kinds(base)
    said = {h.name: h.choices[choice] for h, choice in zip(space.vary, chosen, strict=True)}
    for name, value in vars(spec.training).items():
        assert said.pop(name) == value
    for number, layer in enumerate(spec.layers, start=1):
        ours = {name: said.pop(f"layer {number} {name}") for name in vars(layer) if name != "operation"}
        window = min(ours.get("side", 99), ours.get("kernel_height", 99), ours.get("kernel_width", 99))
        if "stride" in ours and window < ours["stride"]:
            ours["stride"] = 1  # a window that would miss pixels
        if isinstance(layer, Pool) and ours["stride"] == 1 and ours["side"] == 2:
            ours["side"] = 3  # an even window has no middle
        if isinstance(layer, Convolution) and not layer.skip:
            ours["skip"] = False  # a link may not fit
        assert {name: value for name, value in vars(layer).items() if name != "operation"} == ours
    assert not said


@settings(deadline=None, max_examples=100)
@given(genomes, seeds)
def test_only_what_may_vary_differs_from_the_base(genome, seed):
    space = Hyperparameters(genome, Hyperparameters.around_genome(genome).vary[::3])
    made = unpack(space.genome(space.draw(1, np.random.default_rng(seed))[0]))
    varied = [number for h in space.vary for number in h.genes]
    fixed = np.delete(np.arange(len(SIZES)), varied)
    np.testing.assert_array_equal(made[fixed], unpack(genome)[fixed])


def test_one_hyperparameter_may_set_many_genes():
    genes = unpack(some_genome())
    numbers = [number for number, gene in numeric_genes(genes).items() if gene.name.endswith("activation")]
    gene = numeric_genes(genes)[numbers[0]]
    space = Hyperparameters(some_genome(), (hyperparameter("activation", numbers, gene, ["tanh", "elu"]),))
    for choice, name in enumerate(space.vary[0].choices):
        spec = decode(space.genome(np.array([choice], np.uint8)), ROOMY)
        assert {layer.activation for layer in spec.layers if not isinstance(layer, Pool)} == {name}
    assert len(numbers) > 1
    assert set(space.vary[0].choices) == {"tanh", "elu"}


def frequencies(space, sets):
    return [
        np.bincount(column, minlength=len(h.choices)) / len(sets) for h, column in zip(space.vary, sets.T, strict=True)
    ]


def test_random_sets_have_each_choice_as_often_as_it_stands_in_its_table():
    space = only(("optimiser", None), ("batch_size", None))
    sets = space.draw(20_000, np.random.default_rng(3))
    optimisers, sizes = frequencies(space, sets)
    assert space.vary[0].choices == ("adamw", "sgd")  # the former twice in its table
    assert OPTIMISERS.count("adamw") == 2 * OPTIMISERS.count("sgd")
    assert optimisers == pytest.approx([2 / 3, 1 / 3], abs=0.02)
    assert sizes == pytest.approx([1 / len(BATCH_SIZES)] * len(BATCH_SIZES), abs=0.02)
    together = np.histogram2d(*sets.T, bins=[2, len(BATCH_SIZES)])[0] / len(sets)  # none depends on the other
    assert together == pytest.approx(np.outer([2 / 3, 1 / 3], [1 / len(BATCH_SIZES)] * len(BATCH_SIZES)), abs=0.02)


def test_of_choices_that_somebody_named_each_is_as_likely():
    space = only(("optimiser", ["sgd", "adamw"]), ("batch_size", [12]), ("momentum", {0.8, 0.95}))
    sets = space.draw(20_000, np.random.default_rng(4))
    optimisers, sizes, momenta = frequencies(space, sets)
    assert optimisers == pytest.approx([0.5, 0.5], abs=0.02)
    assert sizes == pytest.approx([1])
    assert momenta == pytest.approx([0.5, 0.5], abs=0.02)
    specs = [decode(space.genome(chosen), ROOMY).training for chosen in sets[:50]]
    assert {spec.batch_size for spec in specs} == {12}
    assert {spec.momentum for spec in specs} == {0.8, 0.95}


def test_a_choice_that_there_is_not_is_refused():
    with pytest.raises(ValueError, match="batch_size has no 7"):
        only(("batch_size", [4, 7]))
    with pytest.raises(ValueError):
        only(("batch_size", [4])).set_of(only(("batch_size", [8])).genome(np.array([0], np.uint8)))


def test_around_a_genome_some_sets_are_all_new_and_some_nearly_the_same():
    space = Hyperparameters.around_genome(some_genome())
    base = space.set_of(some_genome())
    sets = space.draw(8000, np.random.default_rng(5))
    # Kept with a chance that is itself drawn from 0 to 1, or else drawn, and perhaps what the base has.
    by_chance = np.array([h.chances[choice] for h, choice in zip(space.vary, base, strict=True)])
    assert (sets == base).mean(axis=0) == pytest.approx(0.5 + 0.5 * by_chance, abs=0.03)
    shares = (sets == base).mean(axis=1)
    assert (shares > 0.9).mean() > 0.08
    assert (shares < by_chance.mean() + 0.1).mean() > 0.08
    anywhere = Hyperparameters(some_genome(), space.vary).draw(8000, np.random.default_rng(6))
    assert (anywhere == base).mean(axis=0) == pytest.approx(by_chance, abs=0.03)


@settings(deadline=None, max_examples=50)
@given(genomes, st.booleans())
def test_a_space_comes_back_from_json(genome, around):
    space = Hyperparameters(genome, Hyperparameters.around_genome(genome).vary, around)
    assert Hyperparameters.from_plain(json.loads(json.dumps(space.to_plain()))) == space


def test_a_space_with_named_choices_comes_back_from_json():
    space = only(("optimiser", ["sgd"]), ("batch_size", [4, 12]))
    back = Hyperparameters.from_plain(json.loads(json.dumps(space.to_plain())))
    assert back == space
    np.testing.assert_array_equal(back.draw(9, np.random.default_rng(1)), space.draw(9, np.random.default_rng(1)))


@settings(deadline=None, max_examples=100)
@given(genomes, seeds)
def test_features_are_from_0_to_1_and_tell_sets_apart(genome, seed):
    space = Hyperparameters.around_genome(genome)
    sets = space.draw(30, np.random.default_rng(seed))
    features = space.features(sets)
    assert features.min() >= 0
    assert features.max() <= 1
    assert len(np.unique(features, axis=0)) == len(np.unique(sets, axis=0))


def test_numbers_are_one_feature_in_their_order_and_names_one_each():
    space = only(("batch_size", None), ("loss", ["cross_entropy", "dice"]), ("optimiser", ["sgd"]), ("momentum", [0.9]))
    features = space.features(np.array([[0, 0, 0, 0], [2, 1, 0, 0], [3, 0, 0, 0]], np.uint8))
    assert features.tolist() == [[0, 1, 0, 1, 0], [2 / 3, 0, 1, 1, 0], [1, 1, 0, 1, 0]]


def test_strides_stay_where_a_network_goes_up_again():
    plain = Convolution(8, 3, 3, 2, 1, "zeros", "relu", "batch", 0.0, skip=False)
    training = decode(some_genome(), ROOMY).training
    up, down = (encode(NetworkSpec(layers, training)) for layers in ((plain, Upsample(join=True)), (plain, plain)))
    assert not [h.name for h in Hyperparameters.around_genome(up).vary if h.name.endswith("stride")]
    assert [h.name for h in Hyperparameters.around_genome(down).vary if h.name.endswith("stride")] == [
        "layer 1 stride",
        "layer 2 stride",
    ]
