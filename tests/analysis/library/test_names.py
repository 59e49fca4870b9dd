"""What people decided about kinds: kept, found again, and only where it was meant."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.library.names import (
    SAME_PICTURE,
    SAME_RATIO,
    Decisions,
    Signature,
    load_decisions,
    load_signatures,
    nearest,
    save_decisions,
    save_signatures,
)
from data_prep.errors import InputError


def signature(ratio=0.5, sublattice="A", seed=0, length=1.0):
    picture = np.random.default_rng(seed).normal(size=169)
    return Signature(sublattice, ratio, length * picture / np.linalg.norm(picture))


def again(one, amount=0.05, seed=9):
    """The same kind on another realisation of the noise."""
    rng = np.random.default_rng(seed)
    return Signature(
        one.sublattice, one.ratio + amount * rng.normal(), one.picture + amount / 13 * rng.normal(size=169)
    )


EXTENDED = Signature("", np.nan, np.zeros(0))
SOME = [signature(0.4, seed=1), signature(0.9, seed=2), signature(0.4, "B", seed=1), EXTENDED]


def test_distances():
    one = signature(0.5)
    assert one.distance(one) == 0
    assert one.distance(signature(0.5 + SAME_RATIO)) == pytest.approx(1)
    further = Signature("A", 0.5, one.picture * (1 + SAME_PICTURE))
    assert one.distance(further) == pytest.approx(1)
    assert one.distance(signature(0.5, "B")) == np.inf
    assert one.distance(EXTENDED) == EXTENDED.distance(one) == np.inf
    assert EXTENDED.distance(EXTENDED) == 0
    assert signature(np.nan, "").distance(signature(0.5, "")) == 0


@given(st.floats(0, 2), st.floats(0, 2), st.integers(0, 5), st.integers(0, 5), st.floats(0, 1))
def test_distance_is_the_same_either_way(ratio, other, seed, other_seed, length):
    one, two = signature(ratio, seed=seed), signature(other, seed=other_seed, length=length)
    assert one.distance(two) == two.distance(one) >= 0


def test_names_are_found_again_on_other_noise():
    decisions = Decisions()
    for number, one in enumerate(SOME):
        decisions.name(one, f"kind {number}")
    assert decisions.names_of([again(one) if len(one.picture) else one for one in SOME]) == [
        "kind 0", "kind 1", "kind 2", "kind 3",
    ]  # fmt: skip


def test_a_name_says_nothing_of_other_groups():
    decisions = Decisions()
    decisions.name(SOME[0], "mine")
    rather_like = Signature("A", 0.45, SOME[0].picture)
    assert decisions.names_of([rather_like, SOME[0], SOME[1]]) == [None, "mine", None]
    assert decisions.names_of(SOME[1:]) == [None] * 3
    assert decisions.names_of([]) == []


def test_the_last_name_holds():
    decisions = Decisions()
    decisions.name(SOME[0], "first")
    decisions.name(SOME[0], "second")
    assert [name for name, _ in decisions.names] == ["second"]
    decisions.name(again(SOME[0]), "third")
    assert decisions.names_of(SOME) == ["third", None, None, None]


def test_groups_of_one_name_are_merged_and_a_split_undoes_it():
    decisions = Decisions()
    decisions.name(SOME[0], "both")
    decisions.name(SOME[1], "both")
    decisions.name(SOME[3], "hole")
    assert decisions.names_of(SOME) == ["both", "both", None, "hole"]
    decisions.split([again(SOME[0]), again(SOME[1])])
    assert decisions.splits == []
    assert decisions.names_of(SOME) == [None, None, None, "hole"]


def test_one_group_is_to_be_two():
    decisions = Decisions()
    decisions.name(SOME[0], "named")
    decisions.split([SOME[0]])
    assert decisions.splits == [SOME[0]]
    assert decisions.names_of(SOME)[0] == "named"


@pytest.mark.parametrize("known", SOME)
def test_the_nearest_is_found_if_it_is_near_enough(known):
    assert nearest(known, SOME) == SOME.index(known)
    assert nearest(known, []) is None
    assert nearest(Signature("C", 0.4, known.picture), SOME) is None


def test_decisions_are_kept(tmp_path):
    path = tmp_path / "names.json"
    assert load_decisions(path) == Decisions()
    decisions = Decisions()
    for number, one in enumerate(SOME):
        decisions.name(one, f"kind {number} é")
    decisions.split([SOME[1]])
    save_decisions(decisions, path)
    kept = load_decisions(path)
    assert kept.names_of(SOME) == decisions.names_of(SOME)
    assert len(kept.splits) == 1
    assert nearest(kept.splits[0], SOME) == 1
    kept.name(SOME[0], "another")  # what was rounded is known as itself
    assert len(kept.names) == len(SOME)


def test_signatures_are_kept(tmp_path):
    path = tmp_path / "signatures.json"
    save_signatures({1: SOME[:2], 12: [EXTENDED]}, path)
    kept = load_signatures(path)
    assert list(kept) == [1, 12]
    assert [nearest(one, SOME) for one in kept[1]] == [0, 1]
    assert kept[12][0].distance(EXTENDED) == 0


def damage(stored):
    entry = stored["names"][0]
    yield stored | {"format": "evostem kinds 99"}
    yield {"format": stored["format"]}
    yield stored | {"names": [1]}
    yield stored | {"names": 7}
    yield stored | {"splits": [{"sublattice": "A"}]}
    yield stored | {"names": [entry | {"picture": ["x"]}]}
    yield stored | {"names": [entry | {"ratio": "half"}]}
    yield stored | {"names": [entry | {"ratio": [1]}]}
    yield []
    yield None


@pytest.mark.parametrize("number", range(10))
def test_a_damaged_file_is_told(tmp_path, number):
    path = tmp_path / "names.json"
    decisions = Decisions()
    decisions.name(SOME[0], "one")
    save_decisions(decisions, path)
    path.write_text(json.dumps(list(damage(json.loads(path.read_text())))[number]))
    with pytest.raises(InputError, match=r"names\.json"):
        load_decisions(path)


@pytest.mark.parametrize("text", [b"", b"{", b"\xff\xfe\x00", b"NaN", b'{"format": "evostem kinds 1", "names": ['])
def test_no_json_is_told(tmp_path, text):
    path = tmp_path / "names.json"
    path.write_bytes(text)
    with pytest.raises(InputError, match=r"names\.json"):
        load_decisions(path)
