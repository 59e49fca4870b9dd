"""Networks that come up again: a U-Net in layers of the genome is a U-Net."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from data_prep.tiles import TileSet, save_tiles
from networks.agreement import HEAD, agreement, shared
from networks.build import build
from networks.cost import training_flops
from networks.detector import Detector, load_detector
from networks.difference import difference
from networks.features import features
from networks.genes import HEADER, LAYER, LENGTH, SLOT, expressed, meanings, pack, unpack, value_of
from networks.genome import decode, encode
from networks.inherit import inherit, save_weights
from networks.reach import reach
from networks.repair import operations
from networks.space import KINDS, LEARNING_RATES, Convolution, Limits, NetworkSpec, Pool, Upsample, sample, walk
from networks.train import tiles_on_device, train

TRAINING = replace(sample(np.random.default_rng(3)).training, optimiser="adamw", learning_rate=LEARNING_RATES[18])
UP, JOINING = Upsample(join=False), Upsample(join=True)
MAX_POOL = Pool("max", 2, 2)


def convolution(kernels, stride=1, side=3):
    return Convolution(kernels, side, side, stride, 1, "zeros", "relu", "batch", 0.0, skip=False)


STRIDED = (
    convolution(8, side=5), convolution(16, 2), convolution(24, 2), convolution(24),
    JOINING, convolution(16), JOINING, convolution(8),
)  # fmt: skip
POOLED = (
    convolution(8, side=5), MAX_POOL, convolution(16), Pool("average", 3, 2), convolution(24),
    JOINING, convolution(16), JOINING,
)  # fmt: skip
HALF_WAY = (convolution(8, 2), MAX_POOL, convolution(16), UP, convolution(8))
NETWORKS = {"strided": STRIDED, "pooled": POOLED, "half-way up, not joined": HALF_WAY}
every_network = pytest.mark.parametrize("layers", NETWORKS.values(), ids=NETWORKS)


def network(layers):
    return NetworkSpec(layers, TRAINING)


def model_of(layers, seed=0, classes=3):
    """A model whose normalisation does something."""
    torch.manual_seed(seed)
    model = build(network(layers), classes)
    for name, buffer in model.named_buffers():
        if "running_mean" in name:
            buffer.normal_(std=0.3)
    return model.eval()


def block(entering, leaving, stride=1, side=3):
    padded = nn.Conv2d(entering, leaving, side, stride, side // 2, bias=False)
    return nn.Sequential(padded, nn.BatchNorm2d(leaving), nn.ReLU())


class PlainUNet(nn.Module):
    """A U-Net of three resolutions, written out by hand, its parts in the order of the layers of `STRIDED`."""

    def __init__(self, classes):
        super().__init__()
        self.top, self.down, self.deep = block(1, 8, side=5), block(8, 16, stride=2), block(16, 24, stride=2)
        self.bottom, self.middle, self.last = block(24, 24), block(24 + 16, 16), block(16 + 8, 8)
        self.head = nn.Conv2d(8, classes, 1)

    def forward(self, x):
        top = self.top(x)
        down = self.down(top)
        bottom = self.bottom(self.deep(down))
        middle = self.middle(torch.cat([self.doubled(bottom), down], 1))
        return self.head(self.last(torch.cat([self.doubled(middle), top], 1)))

    def doubled(self, x):
        return x.repeat_interleave(2, 2).repeat_interleave(2, 3)


def test_it_answers_as_a_plain_unet_of_the_same_weights():
    model, plain = model_of(STRIDED), PlainUNet(3).eval()
    plain.load_state_dict(dict(zip(plain.state_dict(), model.state_dict().values(), strict=True)))
    image = torch.randn(2, 1, 44, 60)
    with torch.inference_mode():
        torch.testing.assert_close(model(image), plain(image))
        odd = image[..., :43, :57]  # one row and three columns short of a multiple of the deepest stride
        padded = functional.pad(odd, (0, 3, 0, 1), mode="replicate")
        torch.testing.assert_close(model(odd), plain(padded)[..., :43, :57])


@every_network
@pytest.mark.parametrize("size", [(64, 64), (37, 50), (5, 91), (1, 3)])
def test_logits_have_the_resolution_of_the_image(layers, size):
    with torch.inference_mode():
        assert model_of(layers)(torch.zeros(2, 1, *size)).shape == (2, 3, *size)


def test_channels_and_strides_are_known_by_hand():
    assert [step.leaving for step in walk(STRIDED)] == [8, 16, 24, 24, 24 + 16, 16, 16 + 8, 8]
    assert [step.leaving for step in walk(POOLED)] == [8, 8, 16, 16, 24, 24 + 16, 16, 16 + 8]
    assert [step.after for step in walk(STRIDED)] == [1, 2, 4, 4, 2, 2, 1, 1]
    assert [step.joins for step in walk(STRIDED)] == [None, None, None, None, 2, None, 1, None]
    assert (network(STRIDED).stride, network(STRIDED).deepest_stride) == (1, 4)
    assert (network(HALF_WAY).stride, network(HALF_WAY).deepest_stride) == (2, 4)
    found = features(network(STRIDED))
    assert (found["number of upsamplings"], found["number of joins"], found["total stride"]) == (2, 2, 1)


def test_a_way_up_that_nothing_went_down_cannot_be_walked_and_is_repaired_away():
    with pytest.raises(ValueError, match="layer 2 goes up where no stride is left"):
        walk((convolution(8), UP))
    extra = network((UP, convolution(8), JOINING, MAX_POOL, UP, JOINING, convolution(16)))
    assert decode(encode(extra), Limits()).layers == (convolution(8), MAX_POOL, UP, convolution(16))


def test_strides_are_limited_on_the_way_and_not_at_the_end():
    down = convolution(8, 2)
    layers = (down, down, UP, down, UP, UP)
    assert decode(encode(network(layers)), Limits()).layers == layers
    shallow = decode(encode(network(layers)), Limits(stride=2)).layers
    assert shallow == (down, convolution(8), UP, down, UP)


@every_network
def test_the_genome_holds_it(layers):
    assert decode(encode(network(layers)), Limits()) == network(layers)


@every_network
def test_flops_agree_with_the_counter_of_pytorch(layers):
    model, spec = model_of(layers), network(layers)
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        model(torch.zeros(1, 1, 64, 64))
    head = model.head.weight.numel() * (64 // spec.stride) ** 2
    assert counter.get_total_flops() == pytest.approx(2 * (sum(operations(layers)) * 64**2 + head), rel=1e-9)
    with FlopCounterMode(display=False) as counter:  # 50 px are padded to 52, whatever is left of stride at the end
        model(torch.zeros(2, 1, 50, 50)).logsumexp(1).sum().backward()
    assert training_flops(model, 2, 50) == counter.get_total_flops()


@every_network
def test_it_inherits_from_itself_in_full(layers, tmp_path):
    parent, child = model_of(layers, seed=1), model_of(layers, seed=2)
    save_weights(parent, encode(network(layers)), tmp_path / "1.safetensors")
    assert inherit(child, network(layers), [tmp_path / "1.safetensors"]) == 1.0
    image = torch.randn(1, 1, 20, 28)
    with torch.inference_mode():
        torch.testing.assert_close(child(image), parent(image), rtol=0.02, atol=0.02)


def test_behind_a_join_only_layers_with_the_same_channels_agree():
    """Without the first join, the layer behind it has 24 and not 40 channels to see; all others are as they were."""
    unjoined = network((*STRIDED[:4], UP, *STRIDED[5:]))
    pairs = agreement(unjoined, network(STRIDED))
    assert pairs == [(place, place) for place in (0, 1, 2, 3, 7, HEAD)]
    sizes = [25 * 8, 9 * 8 * 16, 9 * 16 * 24, 9 * 24 * 24, 9 * 24 * 16, 9 * 24 * 8, 8]
    assert shared(unjoined, network(STRIDED)) == pytest.approx(1 - sizes[4] / sum(sizes))


def test_reach_is_where_the_gradient_ends():
    torch.manual_seed(1)
    for layers in NETWORKS.values():
        model, far = model_of(layers), []
        for place in range(64, 68):  # of each phase of the deepest stride
            image = torch.randn(4, 1, 132, 132, requires_grad=True)
            model(image)[:, :, place, place].sum().backward()
            seen = torch.nonzero(image.grad.abs().sum((0, 1)))
            far.append(int((seen - place).abs().max()))
        assert max(far) <= reach(network(layers)) < max(far) + 8
    assert reach(network(STRIDED)) == 16


def test_a_detector_of_it_comes_back_the_same(tmp_path):
    spec, model = network(STRIDED), model_of(STRIDED)
    Detector(model, spec, encode(spec), ("a", "b"), 8.0, None, 0.5, {}).save(tmp_path / "d.safetensors")
    loaded = load_detector(tmp_path / "d.safetensors")
    assert loaded.spec == spec
    image = torch.randn(1, 1, 30, 41)
    with torch.inference_mode():
        assert torch.equal(loaded.model(image), model(image))


def test_it_is_told_in_words():
    assert str(network(HALF_WAY)).split(" | ")[0].split(" > ")[1:4] == ["max 2/2", "conv 16@3x3 relu", "up"]
    assert str(network(STRIDED)).count("up +join") == 2
    assert difference(network(STRIDED), network((*STRIDED[:4], UP, *STRIDED[5:]))) == ["join yes→no in layer 5"]
    assert difference(network(HALF_WAY), network((*HALF_WAY, JOINING))) == ["+ upsampling with join as layer 6"]


def test_where_nothing_went_down_it_says_the_same_as_no_layer():
    """So that the search neither makes such a network nor takes it for another."""
    kind_bits = LAYER[0][2]
    up, empty = (value_of(KINDS, kind, kind_bits) for kind in ("upsample", "empty"))
    flat, deep = (unpack(encode(network(layers))) for layers in ((convolution(8),) * 3, (convolution(8, 2),) * 3))
    kind = HEADER + 3 * SLOT  # of the first slot without a layer
    for genes, same in ((flat, True), (deep, False)):
        changed = genes.copy()
        changed[kind] = up
        assert (decode(pack(changed), Limits()) == decode(pack(genes), Limits())) is same
        assert (expressed(changed) == expressed(genes)).all() == same
        assert (meanings(genes)[kind, up] == meanings(genes)[kind, empty]) == same
        assert meanings(changed)[kind + SLOT - 1].any() != same  # the last gene of the slot: whether it joins


def test_what_goes_for_no_layer_is_none():
    rng = np.random.default_rng(2)
    idle = 0
    for _ in range(3000):
        genes = unpack(rng.bytes(LENGTH))
        slots = np.flatnonzero(genes[HEADER::SLOT] == 15)
        for slot in slots:
            changed = genes.copy()
            changed[HEADER + slot * SLOT] = 14  # an empty slot
            if (expressed(changed) == expressed(genes)).all():
                idle += 1
                assert decode(pack(changed), Limits()) == decode(pack(genes), Limits())
    assert idle > 300


def test_it_learns_blobs(tmp_path):
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:32, :32]
    centres = rng.uniform(4, 28, (24, 3, 2, 1, 1))
    squared = ((np.stack([y, x]) - centres) ** 2).sum(axis=2)
    images = (rng.normal(0, 0.5, (24, 32, 32)) + 3 * np.exp(-squared / 8).sum(axis=1)).astype(np.float32)
    labels = (squared.min(axis=1) <= 6).astype(np.uint8)
    origins = np.array([[0, 0, 32 * i] for i in range(4)])
    sets = images[:20], labels[:20], images[20:], labels[20:]
    save_tiles(TileSet(*sets, origins, ("blob", "hole"), 8.0, None, -1.5, {}), {}, tmp_path / "tiles.h5")
    torch.set_num_threads(1)
    data = tiles_on_device(tmp_path / "tiles.h5", torch.device("cpu"))

    def loss(trained):
        with torch.inference_mode():
            return functional.cross_entropy(trained.model.eval()(data.validation), data.validation_labels.long()).item()

    little, more = (train(network(STRIDED), data, iterations, 60, seed=1) for iterations in (1, 40))
    assert loss(more) < 0.5 * loss(little)
    assert more.scores["f1"] > 0.6
