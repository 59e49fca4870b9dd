"""Every byte string of the right length is a network within its limits."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode

from networks.build import build
from networks.genes import GENES, HEADER, SIZES, SLOT, kind_of, numeric_genes, pack, unpack
from networks.genome import LENGTH, decode, encode
from networks.repair import operations
from networks.space import SLOTS, Convolution, FullyConnected, Limits, Pool

genomes = st.binary(min_size=LENGTH, max_size=LENGTH)


@settings(deadline=None, max_examples=500)
@given(genomes)
def test_any_string_decodes_within_the_limits_and_comes_back(genome):
    limits = Limits()
    spec = decode(genome, limits)
    assert spec.stride <= limits.stride
    assert sum(operations(spec.layers)) <= limits.operations
    assert any(isinstance(layer, Convolution) for layer in spec.layers)
    assert 1 <= len(spec.layers) <= SLOTS
    for layer in spec.layers:
        if isinstance(layer, Convolution):
            assert min(layer.kernel_height, layer.kernel_width) >= layer.stride
    assert decode(encode(spec), limits) == spec


@settings(deadline=None, max_examples=25)
@given(genomes, st.sampled_from([16, 32, 50]))
def test_any_string_trains_a_step(genome, side):
    model = build(decode(genome, Limits()), 3)
    model.train()
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
    assert {type(layer) for layer in spec.layers} <= {Convolution, Pool, FullyConnected}
