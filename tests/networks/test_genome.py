"""Every byte string of the right length is a network within its limits."""

import json
import os
from dataclasses import asdict

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode

from networks import space
from networks.build import build
from networks.genes import GENES, HEADER, LAYER_GENES, SIZES, SLOT, kind_of, numeric_genes, pack, slot_start, unpack
from networks.genome import LENGTH, decode, encode
from networks.repair import activations, operations, weights
from networks.space import SLOTS, Convolution, FullyConnected, Limits, Pool, Upsample, walk

# CI draws 100,000 strings, and trains 500 of them.
EXAMPLES = int(os.environ.get("EVOSTEM_EXAMPLES", "2000"))
strings = st.binary(min_size=LENGTH, max_size=LENGTH)


@st.composite
def ups_and_downs(draw):
    """Genomes of which every second layer or so goes down or up: few random strings go up at all."""
    genes = unpack(draw(strings))
    for slot in range(SLOTS):
        start = slot_start(slot)
        genes[start] = draw(st.sampled_from([0, 3, 8, 15]))  # two convolutions, a pool, an upsampling
        genes[start + LAYER_GENES.index("stride")] = draw(st.sampled_from([0, 3]))
    return pack(genes)


genomes = st.one_of(strings, ups_and_downs())


@pytest.mark.timeout(1200)
@settings(deadline=None, max_examples=EXAMPLES)
@given(genomes)
def test_any_string_decodes_within_the_limits_and_comes_back(genome):
    limits = Limits()
    spec = decode(genome, limits)
    assert spec.stride <= spec.deepest_stride <= limits.stride
    assert sum(operations(spec.layers)) <= limits.operations
    assert sum(weights(spec.layers)) <= limits.weights
    assert sum(activations(spec.layers, limits.tile_px, spec.training.batch_size)) <= limits.memory_bytes
    assert any(isinstance(layer, Convolution) for layer in spec.layers)
    assert 1 <= len(spec.layers) <= SLOTS
    for layer in spec.layers:
        if isinstance(layer, Convolution):
            assert min(layer.kernel_height, layer.kernel_width) >= layer.stride
    assert decode(encode(spec), limits) == spec


@pytest.mark.timeout(1200)
@settings(deadline=None, max_examples=max(25, EXAMPLES // 200))
@given(genomes)
def test_any_string_trains_a_step_at_three_tile_sizes(genome):
    model = build(decode(genome, Limits()), 3)
    model.train()
    for side in (16, 32, 50):
        model(torch.randn(2, 1, side, side)).logsumexp(1).sum().backward()
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    assert gradients
    assert all(torch.isfinite(g).all() for g in gradients)


@settings(deadline=None, max_examples=40)
@given(genomes)
def test_operations_agree_with_the_counter_of_pytorch(genome):
    spec = decode(genome, Limits())
    model = build(spec, 2).eval()
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        model(torch.zeros(1, 1, 64, 64))
    head = 2 * model.head.weight[:, :, 0, 0].numel() * (64 // spec.stride) ** 2
    ours = 2 * sum(operations(spec.layers)) * 64 * 64 + head
    assert counter.get_total_flops() == pytest.approx(ours, rel=1e-6)


@settings(deadline=None, max_examples=40)
@given(genomes)
def test_channels_and_strides_on_the_way_are_those_of_the_built_network(genome):
    spec = decode(genome, Limits())
    model = build(spec, 2).eval()
    entered = []
    for part in (*model.layers, model.head):
        part.register_forward_pre_hook(lambda _, images: entered.append(images[0].shape))
    with torch.inference_mode():
        model(torch.zeros(1, 1, 16, 16))
    assert entered[0] == (1, 1, 16, 16)
    for step, before, after in zip(walk(spec.layers), entered[:-1], entered[1:], strict=True):
        assert before == (1, step.entering, 16 // step.before, 16 // step.before)
        assert after == (1, step.leaving, 16 // step.after, 16 // step.after)


def test_a_string_of_another_length_is_refused():
    with pytest.raises(ValueError, match=str(LENGTH)):
        decode(bytes(LENGTH - 1), Limits())


@given(genomes)
def test_genes_are_the_bits_of_the_string(genome):
    """Written out: the first gene, of five bits, and the first slot, of 32, which begins with its kind of four."""
    assert pack(unpack(genome)) == genome
    genes = unpack(genome)
    assert genes[0] == genome[0] >> 3
    assert genes[HEADER] == genome[3] >> 4
    assert genes[HEADER + SLOT - 1] == genome[6] & 1
    assert len(genes) == GENES
    assert (genes < SIZES).all()


@settings(deadline=None, max_examples=100)
@given(genomes, st.randoms(use_true_random=False))
def test_numeric_genes_leave_the_topology_alone(genome, random):
    genes = unpack(genome)
    changed = genes.copy()
    for number in numeric_genes(genes):
        changed[number] = random.randrange(SIZES[number])
    assert [kind_of(changed, s) for s in range(SLOTS)] == [kind_of(genes, s) for s in range(SLOTS)]


@settings(deadline=None, max_examples=100)
@given(genomes, st.integers(0, GENES - 1), st.integers(0, 255))
def test_genes_that_are_not_numeric_and_not_kinds_do_not_matter(genome, number, value):
    genes = unpack(genome)
    kinds = {HEADER + slot * SLOT for slot in range(SLOTS)}
    some_convolution = any(kind_of(genes, slot) == "convolution" for slot in range(SLOTS))
    if number in kinds or number in numeric_genes(genes) or not some_convolution:
        return
    changed = genes.copy()
    changed[number] = value % SIZES[number]
    assert decode(pack(changed), Limits()) == decode(genome, Limits())


def test_notation_names_the_layers():
    spec = decode(bytes(LENGTH), Limits())
    assert str(spec).startswith("conv ")
    assert str(spec).count(">") == len(spec.layers) - 1
    assert {type(layer) for layer in spec.layers} <= {Convolution, Pool, FullyConnected, Upsample}


@settings(deadline=None, max_examples=200)
@given(genomes, st.integers(200, 3000), st.integers(200, 20000), st.integers(2**20, 2**24))
def test_networks_shrink_to_tight_budgets(genome, operations_limit, weights_limit, memory_limit):
    limits = Limits(operations=operations_limit, weights=weights_limit, memory_bytes=memory_limit)
    spec, least = decode(genome, limits), space.KERNELS[0]
    for costs, most in (
        (operations(spec.layers), limits.operations),
        (weights(spec.layers), limits.weights),
        (activations(spec.layers, limits.tile_px, spec.training.batch_size), limits.memory_bytes),
    ):
        smallest = all(getattr(layer, "kernels", least) == least for layer in spec.layers)
        assert sum(costs) <= most or smallest
    assert decode(encode(spec), limits) == spec


def test_a_genome_is_twenty_times_smaller_than_the_network_as_readable_json():
    rng = np.random.default_rng(5)
    for _ in range(300):
        spec = decode(rng.bytes(LENGTH), Limits())
        layers = [{"kind": type(layer).__name__, **asdict(layer)} for layer in spec.layers]
        readable = json.dumps({"layers": layers, "training": asdict(spec.training)}, indent=2)
        assert len(readable) >= 20 * len(encode(spec))
