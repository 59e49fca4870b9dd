"""A network in numbers: any network has them all, and what is known of a network by hand comes out."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from networks.features import features
from networks.genome import LENGTH, decode
from networks.space import Convolution, FullyConnected, Limits, NetworkSpec, Pool, Training

TRAINING = Training("sgd", 1e-3, 1e-4, 0.9, 8, "dice", 2.0, 1.25, "cosine")
NETWORK = NetworkSpec(
    (
        Convolution(16, 5, 3, 1, 1, "zeros", "relu", "batch", 0.1, skip=False),
        Pool("max", 2, 2),
        Convolution(16, 3, 3, 1, 2, "replicate", "relu", "none", 0.0, skip=True),
        FullyConnected(8, "tanh", 0.0),
    ),
    TRAINING,
)


def test_what_is_known_by_hand_comes_out():
    found = features(NETWORK)
    assert found["learning rate"] == pytest.approx(-3)
    assert (found["number of convolutions"], found["number of pools"], found["total stride"]) == (2, 1, 2)
    assert found["kernel area, mean"] == pytest.approx((15 + 9) / 2)
    assert found["share of convolutions normalised"] == pytest.approx(0.5)
    assert found["number of weights"] == pytest.approx(np.log10(16 * 15 + 16 * 16 * 9 + 16 * 8))
    # At full resolution the first layer, at a quarter of the pixels the others.
    assert found["multiply-adds per pixel"] == pytest.approx(np.log10(16 * 15 + (16 * 16 * 9 + 16 * 8) / 4))


@given(st.binary(min_size=LENGTH, max_size=LENGTH))
def test_any_network_has_all_features(genome):
    found = features(decode(genome, Limits()))
    assert found.keys() == features(NETWORK).keys()
    assert np.isfinite(list(found.values())).all()
