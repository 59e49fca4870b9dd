"""What was seen is known again, and what says the same counts as seen."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from networks.genes import GENES, HEADER, LAYER, LENGTH, SIZES, SLOT, TRAINING, expressed, meanings, pack, pick, unpack
from networks.genome import decode
from networks.space import KINDS, SLOTS, Limits
from search import seen
from search.seen import Seen

genes = st.binary(min_size=LENGTH, max_size=LENGTH).map(unpack)


@st.composite
def without_convolutions(draw):
    """Genes in which no slot is a convolution, so that decoding makes one of the first slot."""
    some = draw(genes)
    some[HEADER::SLOT] = draw(st.lists(st.integers(8, 15), min_size=SLOTS, max_size=SLOTS))
    return some


anything = st.one_of(genes, without_convolutions())


def network(some):
    return decode(pack(some), Limits())


def test_it_is_a_set_across_many_merges(monkeypatch):
    monkeypatch.setattr(seen, "RECENT", 64)
    rng, mine, plain = np.random.default_rng(1), Seen(), set()
    pool = [rng.integers(SIZES) for _ in range(1000)]
    for place in rng.integers(len(pool), size=5000):
        network_ = expressed(pool[place]).tobytes()
        assert (pool[place] in mine) == (network_ in plain)
        mine.add(pool[place])
        plain.add(network_)


def test_it_is_a_set_at_its_own_limit():
    rng, mine = np.random.default_rng(2), Seen()
    pool = rng.integers(SIZES, size=(seen.RECENT + 10, GENES))
    for some in pool:
        assert some not in mine
        mine.add(some)
    assert all(some in mine for some in pool[:: seen.RECENT // 50])
    assert all(some in mine for some in pool[-20:])


@settings(deadline=None, max_examples=300)
@given(anything, st.lists(st.tuples(st.integers(0, GENES - 1), st.integers(0, 31)), max_size=40))
def test_genes_that_express_the_same_are_the_same_network(some, changes):
    """Only changes that leave the expression as it is are kept: the network must be the same after all of them."""
    changed = some.copy()
    for gene, value in changes:
        before = changed[gene]
        changed[gene] = value % SIZES[gene]
        if (expressed(changed) != expressed(some)).any():
            changed[gene] = before
    assert network(changed) == network(some)


@settings(deadline=None, max_examples=300)
@given(anything, st.permutations(range(SLOTS)))
def test_where_the_empty_slots_are_makes_no_difference(some, order):
    """Slots in another order are seen as the same only if they are the same network, and always if only gaps moved."""
    slots = some[HEADER:].reshape(SLOTS, SLOT)
    moved = np.concatenate([some[:HEADER], slots[order].ravel()])
    if (expressed(moved) == expressed(some)).all():
        assert network(moved) == network(some)
    convolution, empty = slots[:, 0] < 8, np.isin(slots[:, 0], (13, 14))
    gaps_last = np.concatenate([some[:HEADER], slots[~empty].ravel(), slots[empty].ravel()])
    if convolution.any():
        assert (expressed(gaps_last) == expressed(some)).all()


@settings(deadline=None, max_examples=200)
@given(without_convolutions(), without_convolutions())
def test_without_a_convolution_the_first_slot_matters(some, other):
    """All else is equal: silent genes of the first slot make the convolution that every network has."""
    other[:HEADER], other[HEADER + SLOT :] = some[:HEADER], some[HEADER + SLOT :]
    if network(some) != network(other):
        assert (expressed(some) != expressed(other)).any()


def test_numbers_of_kinds_are_as_these_tests_take_them():
    kinds = [pick(KINDS, value, LAYER[0][2]) for value in range(16)]
    assert kinds[:8] == ["convolution"] * 8
    assert "convolution" not in kinds[8:]
    assert kinds[13:] == ["empty", "empty", "upsample"]
    assert "empty" not in kinds[:13]


@settings(deadline=None, max_examples=50)
@given(anything)
def test_values_with_equal_meanings_pick_equal_entries(some):
    """In a plain loop over genes and values: where the meaning stays the network stays."""
    says = meanings(some)
    for gene in range(GENES):
        row = says[gene, : SIZES[gene]]
        same = [value for value in range(SIZES[gene]) if row[value] == row[some[gene]]]
        for value in (same[0], same[-1]):
            changed = some.copy()
            changed[gene] = value
            assert network(changed) == network(some)


@settings(deadline=None, max_examples=50)
@given(genes)
def test_meanings_are_those_of_the_tables(some):
    """Of the training genes and the kinds, whose tables are known without looking at the slot.

    But for upsampling, which is as good as an empty slot where nothing went down before.
    """
    says = meanings(some)
    for gene, (_, table, bits) in [*enumerate(TRAINING), *((HEADER + SLOT * s, LAYER[0]) for s in range(SLOTS))]:
        for one in range(2**bits):
            for other in range(one):
                entries = {pick(table, one, bits), pick(table, other, bits)}
                equal = len(entries) == 1
                assert entries == {"empty", "upsample"} or (says[gene, one] == says[gene, other]) == equal
