"""Training in a group: each network becomes what it becomes alone."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from data_prep.tiles import TileSet, save_tiles
from networks.detector import Detector, load_detector
from networks.genome import LENGTH, decode, encode
from networks.grouped import alike, common_part, train_group
from networks.inherit import save_weights
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
from networks.train import tiles_on_device, train

CPU = torch.device("cpu")
SEEDS = (3, 8, 3)
TRAINING = Training("adamw", LEARNING_RATES[18], WEIGHT_DECAYS[8], 0.9, 4, "cross_entropy", 2.0, 1.0)


@pytest.fixture
def double(blob_tiles, monkeypatch):
    """The tiles, with all sums in double precision: what agrees there to ten digits differs by rounding alone."""
    monkeypatch.setattr(torch.Tensor, "float", torch.Tensor.double)
    torch.set_default_dtype(torch.float64)
    data = tiles_on_device(blob_tiles, CPU)
    yield replace(data, train=data.train.double(), validation=data.validation.double())
    torch.set_default_dtype(torch.float32)


def network(training=TRAINING, dropout=0.0):
    """Skip link, strides, pools, both paddings, with and without normalisation and dropout."""
    return NetworkSpec(
        (
            Convolution(8, 5, 3, 2, 1, "replicate", "silu", "batch", dropout, skip=False),
            Convolution(8, 3, 3, 1, 2, "zeros", "tanh", "none", dropout / 2, skip=True),
            Pool("max", 2, 2),
            Pool("average", 3, 1),
            FullyConnected(8, "elu", dropout),
        ),
        training,
    )


def three(training=TRAINING):
    """Three networks that differ in all that may differ in a group; the first has no dropout."""
    second = replace(
        training, learning_rate=LEARNING_RATES[10], momentum=0.8, weight_decay=WEIGHT_DECAYS[10], defect_weight=1.0
    )
    third = replace(
        training, learning_rate=LEARNING_RATES[23], momentum=0.95, weight_decay=WEIGHT_DECAYS[0], defect_weight=5.0
    )
    return [network(training), network(second, 0.1), network(third, 0.2)]


def assert_same(one, other, tolerance=1e-10):
    """That two networks came out of training the same."""
    assert (one.iterations, one.diverged, one.stopped, one.inherited) == (
        (other.iterations, other.diverged, other.stopped, other.inherited)
    )
    assert one.scores.keys() == other.scores.keys()
    assert one.scores == pytest.approx(other.scores, abs=1e-9 + tolerance)
    if not one.diverged:
        theirs = other.model.state_dict()
        assert list(one.model.state_dict()) == list(theirs)
        for name, value in one.model.state_dict().items():
            torch.testing.assert_close(value, theirs[name], rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize(
    ("optimiser", "schedule", "loss"),
    [
        ("adamw", "one_cycle", "cross_entropy"),
        ("adamw", "cosine", "focal"),
        ("adamw", "constant", "dice"),
        ("sgd", "one_cycle", "dice"),
        ("sgd", "cosine", "cross_entropy"),
        ("sgd", "constant", "focal"),
    ],
)
def test_a_network_becomes_in_a_group_what_it_becomes_alone(double, optimiser, schedule, loss):
    training = replace(TRAINING, optimiser=optimiser, schedule=schedule, loss=loss)
    specs = three(training)
    together = train_group(specs, double, 25, 60, SEEDS)
    for spec, seed, trained in zip(specs, SEEDS, together, strict=True):
        alone = train(spec, double, 25, 60, seed)
        assert_same(trained, alone)
        assert trained.scores
        assert trained.seconds > 0
        assert trained.inference_s_per_megapixel > 0


@pytest.mark.parametrize("seed", range(8))
def test_any_genome_can_be_trained_in_a_group(double, seed):
    spec = decode(np.random.default_rng(seed).bytes(LENGTH), Limits())
    specs = [spec, replace(spec, training=replace(spec.training, momentum=0.5, defect_weight=4.0))]
    for one, trained in zip(specs, train_group(specs, double, 3, 60, (1, 2)), strict=True):
        # Rounding differs by processor: 6e-10 on one with AVX-512, below 1e-10 on another.
        assert_same(trained, train(one, double, 3, 60, 1 + specs.index(one)), tolerance=1e-8)


def test_in_single_precision_they_are_the_same_but_for_rounding(blob_tiles):
    data, specs = tiles_on_device(blob_tiles, CPU), three(replace(TRAINING, optimiser="sgd", learning_rate=0.001))
    for spec, trained in zip(specs, train_group(specs, data, 10, 60, (1, 2, 3)), strict=True):
        assert_same(trained, train(spec, data, 10, 60, 1 + specs.index(spec)), tolerance=1e-3)
        assert all(value.dtype == torch.float32 for value in trained.model.parameters())


def test_one_that_diverges_leaves_the_others_as_they_are(double):
    first, second, third = three(replace(TRAINING, optimiser="sgd"))
    wild = replace(second, training=replace(second.training, learning_rate=1e200))
    one, lost, other = train_group([first, wild, third], double, 25, 60, SEEDS)
    assert_same(one, train(first, double, 25, 60, SEEDS[0]))
    assert_same(other, train(third, double, 25, 60, SEEDS[2]))
    assert_same(lost, train(wild, double, 25, 60, SEEDS[1]))
    assert lost.diverged == "loss not finite at iteration 10"
    assert lost.scores == {}


@pytest.mark.filterwarnings("ignore:Detected call of `lr_scheduler.step")  # of a first step that is skipped
def test_gradients_that_are_too_large_for_one_make_no_other_skip_a_step(blob_tiles, monkeypatch):
    """As on a GPU, where gradients are scaled to fit half precision, here single."""
    monkeypatch.setattr(torch.amp, "GradScaler", lambda *_, **__: torch.amp.grad_scaler.GradScaler("cpu", 2.0**118))
    data = tiles_on_device(blob_tiles, CPU)
    first, second, third = three(replace(TRAINING, optimiser="sgd", learning_rate=0.001, loss="focal"))
    large = replace(second, training=replace(second.training, defect_weight=1e12))
    begun = train(large, data, 1, 60, SEEDS[1]).model.head.weight
    specs = [first, large, third]
    together = train_group(specs, data, 10, 60, SEEDS)
    for spec, seed, trained in zip(specs, SEEDS, together, strict=True):
        assert_same(trained, train(spec, data, 10, 60, seed), tolerance=1e-3)
    torch.testing.assert_close(together[1].model.head.weight, begun, rtol=0, atol=0)


def test_a_group_of_which_all_diverge_ends(blob_tiles):
    wild = network(replace(TRAINING, optimiser="sgd", learning_rate=1e30))
    trained = train_group([wild, wild], tiles_on_device(blob_tiles, CPU), 10_000_000, 60, (1, 2))
    assert [(one.iterations, one.scores) for one in trained] == [(10, {}), (10, {})]
    assert all("not finite" in one.diverged for one in trained)


def test_each_begins_with_the_weights_of_its_own_parents(double, tmp_path):
    specs = three()
    for number in (0, 1):
        parent = train(specs[number], double, 10, 60, 20 + number)
        save_weights(parent.model, encode(specs[number]), tmp_path / f"{number}.safetensors")
    parents = [[tmp_path / "0.safetensors"], [], [tmp_path / "gone", tmp_path / "1.safetensors"]]
    together = train_group(specs, double, 5, 60, SEEDS, parents)
    assert [trained.inherited for trained in together] == [1.0, 0.0, 1.0]
    for spec, seed, files, trained in zip(specs, SEEDS, parents, together, strict=True):
        assert_same(trained, train(spec, double, 5, 60, seed, files))


def test_sets_of_plain_images_are_learnt_in_groups_too(tmp_path):
    rng = np.random.default_rng(0)
    kinds = rng.integers(0, 3, 60).astype(np.uint8)
    images = (rng.normal(0, 0.3, (60, 32, 32)) + kinds[:, None, None]).astype(np.float32)
    origins = np.zeros((20, 3), np.int64)
    tiles = TileSet(images[:40], kinds[:40], images[40:], kinds[40:], origins, ("grey", "bright"), 8.0, None, -1.0, {})
    save_tiles(tiles, {}, tmp_path / "kinds.h5")
    data = tiles_on_device(tmp_path / "kinds.h5", CPU)
    specs = three(replace(TRAINING, optimiser="sgd", learning_rate=0.001))
    for spec, trained in zip(specs, train_group(specs, data, 10, 60, (1, 2, 3)), strict=True):
        assert_same(trained, train(spec, data, 10, 60, 1 + specs.index(spec)), tolerance=1e-3)


def test_the_time_cap_ends_a_group_early(double):
    specs = three()
    for spec, seed, trained in zip(specs, SEEDS, train_group(specs, double, 100, 0.0, SEEDS), strict=True):
        assert trained.stopped == "time cap after 1 iterations"
        assert_same(trained, train(spec, double, 100, 0.0, seed))


def test_a_network_out_of_a_group_can_be_saved_and_used(blob_tiles, tmp_path):
    specs = three()
    for spec, trained in zip(specs, train_group(specs, tiles_on_device(blob_tiles, CPU), 5, 60, SEEDS), strict=True):
        detector = Detector(trained.model, spec, encode(network()), ("blob", "hole"), 8.0, None, 0.5, {})
        detector.save(tmp_path / "detector.safetensors")
        again = load_detector(tmp_path / "detector.safetensors").model
        image = torch.randn(1, 1, 40, 50)
        with torch.inference_mode():
            torch.testing.assert_close(again(image), trained.model(image), rtol=1e-5, atol=1e-5)


def test_a_group_has_one_shape():
    assert alike(three())
    spec = network()
    for name, value in {"batch_size": 6, "loss": "dice", "augmentation": 1.5, "optimiser": "sgd"}.items():
        other = replace(spec, training=replace(spec.training, **{name: value}))
        assert not alike([spec, other])
        assert common_part(spec) != common_part(other)
    assert not alike([spec, replace(spec, layers=spec.layers[:-1])])
    assert not alike([spec, replace(spec, layers=(replace(spec.layers[0], kernels=16), *spec.layers[1:]))])


def test_networks_of_different_shapes_are_refused_in_one_line(blob_tiles):
    specs = [network(), replace(network(), layers=network().layers[:2])]
    with pytest.raises(ValueError, match=r"^networks of a group .*$"):
        train_group(specs, tiles_on_device(blob_tiles, CPU), 5, 60, (1, 2))
