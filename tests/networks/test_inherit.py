"""Children begin with a parent's weights where layers agree, and nowhere else."""

from dataclasses import replace

import pytest
import torch

from networks.agreement import HEAD, agreement, shared
from networks.build import build
from networks.genome import decode, encode
from networks.inherit import inherit, save_weights
from networks.space import (
    LEARNING_RATES,
    WEIGHT_DECAYS,
    Convolution,
    FullyConnected,
    Limits,
    NetworkSpec,
    Pool,
    Training,
)

TRAINING = Training("adamw", LEARNING_RATES[12], WEIGHT_DECAYS[4], 0.9, 4, "cross_entropy", 2.0, 1.0)


def convolution(kernels, side, normalisation="batch"):
    return Convolution(kernels, side, side, 1, 1, "zeros", "relu", normalisation, 0.0, skip=False)


def spec(*layers):
    """The network of layers as a genome keeps it."""
    return decode(encode(NetworkSpec(layers, TRAINING)), Limits())


PARENT = spec(convolution(8, 5), convolution(16, 3), convolution(16, 3), FullyConnected(8, "relu", 0.0))


def model_of(network, seed):
    torch.manual_seed(seed)
    model = build(network, 3)
    for name, buffer in model.named_buffers():
        if "running_mean" in name:
            buffer.normal_()
    return model


@pytest.fixture
def left(tmp_path):
    """The parent's model, and the file in which it left its weights."""
    model = model_of(PARENT, 1)
    save_weights(model, encode(PARENT), tmp_path / "1.safetensors")
    return model, tmp_path / "1.safetensors"


def test_the_same_network_inherits_everything_and_answers_the_same(left):
    parent, file = left
    child = model_of(PARENT, 2)
    assert inherit(child, PARENT, [file]) == 1.0
    image = torch.randn(1, 1, 16, 16)
    with torch.inference_mode():
        torch.testing.assert_close(child.eval()(image), parent.eval()(image), rtol=0.01, atol=0.01)


def test_around_an_inserted_layer_everything_is_inherited(left):
    parent, file = left
    child_spec = spec(
        convolution(8, 5), convolution(16, 3), Pool("max", 3, 1), convolution(16, 5), convolution(16, 3),
        FullyConnected(8, "relu", 0.0),
    )  # fmt: skip
    pairs = agreement(child_spec, PARENT)
    assert pairs == [(0, 0), (1, 1), (4, 2), (5, 3), (HEAD, HEAD)]
    child, fresh = model_of(child_spec, 2), model_of(child_spec, 2).state_dict()
    inherit(child, child_spec, [file])
    own, theirs = child.state_dict(), parent.state_dict()
    for mine, other in ((0, 0), (1, 1), (4, 2), (5, 3)):
        for name in (name for name in theirs if name.startswith(f"layers.{other}.")):
            got = own[name.replace(f"layers.{other}.", f"layers.{mine}.")]
            torch.testing.assert_close(got, theirs[name], rtol=1e-3, atol=1e-3)
    for name in (name for name in own if name.startswith("layers.3.")):
        assert torch.equal(own[name], fresh[name])  # the new layer is as it was made


@pytest.mark.parametrize(
    ("first", "agrees"),
    [
        (convolution(8, 5), True),
        (replace(convolution(8, 5), activation="elu", padding="replicate", dropout=0.1), True),
        (convolution(8, 3), False),
        (convolution(8, 5, normalisation="none"), False),
    ],
)
def test_only_what_has_the_same_shapes_agrees(first, agrees):
    child = spec(first, *PARENT.layers[1:])
    assert ((0, 0) in agreement(child, PARENT)) is agrees
    assert (shared(child, PARENT) == 1.0) is agrees


def test_the_parent_with_more_in_common_gives_its_weights(left, tmp_path):
    _, file = left
    other = spec(convolution(8, 5), convolution(24, 3))
    save_weights(model_of(other, 5), encode(other), tmp_path / "2.safetensors")
    files = [tmp_path / "2.safetensors", file, tmp_path / "gone.safetensors"]
    assert inherit(model_of(PARENT, 2), PARENT, files) == 1.0
    assert inherit(model_of(PARENT, 2), PARENT, [tmp_path / "gone.safetensors"]) == 0.0
    assert 0 < inherit(model_of(PARENT, 2), PARENT, files[:1]) < 1
