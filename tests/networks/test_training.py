"""Training: it learns what can be learnt, the same every time, and says when it cannot."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score, jaccard_score, recall_score

from data_prep.labels import IGNORE
from data_prep.tiles import TileSet, save_tiles
from networks.build import build
from networks.cost import forget_peak_memory, peak_memory_bytes, training_flops, training_flops_by_slope, weights
from networks.genome import LENGTH, decode, encode
from networks.inherit import save_weights
from networks.loss import loss as loss_of
from networks.metrics import BINS, class_scores, pixel_scores
from networks.optimiser import schedule_for
from networks.space import LEARNING_RATES, SCHEDULES, Convolution, Limits, NetworkSpec, sample
from networks.train import Checks, tiles_on_device, train

CPU = torch.device("cpu")


def spec_for(seed, **training):
    spec = decode(encode(sample(np.random.default_rng(seed))), Limits())
    return replace(
        spec, training=replace(spec.training, optimiser="adamw", learning_rate=LEARNING_RATES[18], **training)
    )


@pytest.mark.parametrize("loss", ["cross_entropy", "focal", "dice"])
def test_it_learns_blobs(blob_tiles, loss):
    trained = train(spec_for(1, loss=loss), tiles_on_device(blob_tiles, CPU), 40, 60, seed=1)
    everything_a_defect = 0.11
    assert trained.diverged == ""
    assert trained.iterations == 40
    assert trained.scores["f1"] > 0.6 > 2 * everything_a_defect


def test_the_same_seed_gives_the_same_network_bit_for_bit(blob_tiles):
    data = tiles_on_device(blob_tiles, CPU)
    first, again, other = (train(spec_for(2), data, 6, 60, seed) for seed in (7, 7, 8))
    pairs = list(zip(first.model.state_dict().values(), again.model.state_dict().values(), strict=True))
    assert all(torch.equal(a, b) for a, b in pairs)
    assert first.scores == again.scores
    assert first.scores != other.scores


def test_dropout_comes_from_the_seed_too_and_changes_the_network(blob_tiles):
    data, spec = tiles_on_device(blob_tiles, CPU), spec_for(2)
    wet, dry = (
        replace(spec, layers=tuple(replace(layer, dropout=rate) for layer in spec.layers)) for rate in (0.2, 0.0)
    )
    first, again, without = (train(one, data, 6, 60, seed=7) for one in (wet, wet, dry))
    assert first.scores == again.scores != without.scores


def test_divergence_is_a_result(blob_tiles):
    spec = spec_for(3)
    wild = replace(spec, training=replace(spec.training, optimiser="sgd", learning_rate=1e30))
    trained = train(wild, tiles_on_device(blob_tiles, CPU), 20, 60, seed=1)
    assert "not finite" in trained.diverged
    assert trained.scores == {}


def test_the_time_cap_ends_training_early(blob_tiles):
    trained = train(spec_for(4), tiles_on_device(blob_tiles, CPU), 100_000, 0.2, seed=1)
    assert 1 <= trained.iterations < 100_000
    assert trained.scores


def test_training_ends_at_the_first_check_that_is_not_met(blob_tiles):
    data = tiles_on_device(blob_tiles, CPU)
    unchecked = train(spec_for(1), data, 10, 60, seed=1)
    met = train(spec_for(1), data, 20, 60, seed=1, checks=Checks("iou", {5: 0.0, 10: 0.0}))
    assert (met.iterations, met.stopped, sorted(met.on_the_way)) == (20, "", [5, 10])
    missed = train(spec_for(1), data, 20, 60, seed=1, checks=Checks("iou", {5: 0.0, 10: 0.9, 15: 0.0}))
    assert (missed.iterations, missed.on_the_way) == (10, met.on_the_way)
    # What is stopped is scored as it stood: looking on the way changes nothing.
    assert missed.scores["iou"] == missed.on_the_way[10]
    assert "wanted 0.900" in missed.stopped
    # The schedule is that of the whole training, so a training of 10 iterations is another one.
    assert unchecked.scores != missed.scores


def test_a_child_begins_where_its_parent_ended(blob_tiles, tmp_path):
    data = tiles_on_device(blob_tiles, CPU)
    spec = decode(encode(spec_for(1)), Limits())
    parent = train(spec, data, 40, 60, seed=1)
    save_weights(parent.model, encode(spec), tmp_path / "1.safetensors")
    # So slowly that a child stays what it begins as.
    slow = replace(spec, training=replace(spec.training, learning_rate=LEARNING_RATES[0]))
    child = train(slow, data, 2, 60, seed=2, parents=[tmp_path / "1.safetensors"])
    fresh = train(slow, data, 2, 60, seed=2)
    assert (child.inherited, fresh.inherited) == (1.0, 0.0)
    assert abs(child.scores["f1"] - parent.scores["f1"]) < 0.1
    assert fresh.scores["f1"] < parent.scores["f1"] - 0.2


def test_scores_agree_with_scikit_learn():
    rng = np.random.default_rng(4)
    truth = rng.random(4000) < 0.1
    # In the middle of bins, so that no value lies on a threshold.
    probability = (np.floor(np.clip(rng.normal(0.3 + 0.3 * truth, 0.2), 0, 0.999) * BINS) + 0.5) / BINS
    scores = pixel_scores(probability.astype(np.float32), truth)
    assert scores["f1"] == pytest.approx(f1_score(truth, probability >= scores["threshold"]))
    peers = {
        "f1": f1_score,
        "iou": jaccard_score,
        "accuracy": accuracy_score,
        "balanced_accuracy": balanced_accuracy_score,
    }
    for name, peer in peers.items():
        assert scores[name] == pytest.approx(max(peer(truth, probability >= t / BINS) for t in range(BINS + 1)))


def test_a_network_that_learnt_nothing_scores_as_one_that_answers_background_everywhere():
    truth = np.arange(1000) < 30
    scores = pixel_scores(np.full(1000, 0.2, np.float32), truth)
    assert scores["accuracy"] == 0.97
    assert scores["balanced_accuracy"] == 0.5
    assert scores["f1"] == pytest.approx(2 * 30 / 1030)


def test_flops_and_weights_of_a_network_counted_by_hand():
    layer = Convolution(4, 3, 5, 1, 1, "zeros", "relu", "batch", 0.0, skip=False)
    model = build(NetworkSpec((layer,), spec_for(5).training), classes=2)
    assert weights(model) == 4 * 15 + 2 * 4 + (4 * 2 + 2)
    convolution, head = 2 * 15 * 4 * 32 * 32, 2 * 4 * 2 * 32 * 32
    # Backward: gradients of weights and of inputs cost as much again each; the image needs none.
    assert training_flops(model, 8, 32) == 8 * (2 * convolution + 3 * head)
    assert all(parameter.grad is None for parameter in model.parameters())


@pytest.mark.parametrize("seed", range(5))
def test_flops_counted_directly_agree_with_the_slope_over_4_to_18_iterations(seed):
    spec = decode(np.random.default_rng(seed).bytes(LENGTH), Limits())
    model = build(spec, classes=3)
    for side in (32, 50):
        assert training_flops_by_slope(model, 4, side) == pytest.approx(training_flops(model, 4, side), rel=1e-9)


@pytest.mark.parametrize("kind", SCHEDULES[1:])
def test_learning_rates_rise_first_and_all_but_the_constant_end_near_nothing(kind):
    optimiser = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
    schedule, rates = schedule_for(optimiser, kind, 100), []
    for _ in range(100):
        rates.append(optimiser.param_groups[0]["lr"])
        optimiser.step()
        schedule.step()
    assert max(rates) == pytest.approx(0.1, rel=1e-3)
    assert rates[0] < 0.03
    assert rates[-1] == pytest.approx(0.1) if kind == "constant" else rates[-1] < 0.001


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="only Linux forgets a peak")
def test_peak_memory_is_that_of_one_evaluation_not_of_the_life_of_the_worker():
    large = torch.ones(100 << 20, dtype=torch.uint8)
    high = peak_memory_bytes(CPU)
    del large
    forget_peak_memory(CPU)
    assert peak_memory_bytes(CPU) < high - (80 << 20)


def test_tiles_are_read_once_per_worker(blob_tiles):
    assert tiles_on_device(blob_tiles, CPU) is tiles_on_device(Path(blob_tiles), CPU)


@pytest.mark.parametrize("kind", ["cross_entropy", "focal", "dice"])
def test_unlabelled_pixels_do_not_count_and_a_batch_of_them_is_no_loss_to_anyone(kind):
    torch.manual_seed(0)
    logits = torch.randn(2, 3, 8, 9)
    labels = torch.randint(0, 3, (2, 8, 9))
    labels[:, :4] = IGNORE
    weight = torch.tensor([1.0, 3.0, 0.2])
    loss = loss_of(logits, labels, kind, weight, 2)
    changed = logits.clone()
    changed[:, :, :4] = 100.0
    assert torch.equal(loss_of(changed, labels, kind, weight, 2), loss)
    if kind == "cross_entropy":
        torch.testing.assert_close(loss, torch.nn.functional.cross_entropy(logits, labels, weight, ignore_index=IGNORE))
    assert loss_of(logits, torch.full_like(labels, IGNORE), kind, weight, 2) == 0


def test_a_set_of_plain_images_is_learnt_image_by_image(tmp_path):
    """Rings and disks, anywhere in the tile: no pixel is labelled."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:32, :32]

    def draw(count):
        kinds = rng.integers(0, 3, count).astype(np.uint8)
        images = rng.normal(0, 0.3, (count, 32, 32)).astype(np.float32)
        for image, kind in zip(images, kinds, strict=True):
            distance = np.hypot(*(np.stack([y, x]) - rng.uniform(9, 23, (2, 1, 1))))
            image += 2 * np.exp(-((distance - (0, 5, 0)[kind]) ** 2) / (2 * (1.2, 1.2, 4.0)[kind] ** 2))
        return images, kinds

    train_images, train_kinds = draw(300)
    images, kinds = draw(100)
    names, origins = ("ring", "disk"), np.zeros((100, 3), np.int64)
    tiles = TileSet(train_images, train_kinds, images, kinds, origins, names, 8.0, None, -1.0, {})
    save_tiles(tiles, {}, tmp_path / "shapes.h5")
    data = tiles_on_device(tmp_path / "shapes.h5", CPU)
    assert data.tiles.per_tile
    layers = [Convolution(16, 5, 5, 1, 1, "zeros", "relu", "batch", 0.0, skip=False) for _ in range(3)]
    training = replace(sample(np.random.default_rng(1)).training, optimiser="adamw", learning_rate=0.01, batch_size=12)
    for loss in ("cross_entropy", "focal", "dice"):
        spec = NetworkSpec(tuple(layers), replace(training, loss=loss))
        trained = train(spec, data, 100, 60, seed=2)
        assert trained.diverged == ""
        assert trained.scores["accuracy"] > 0.75, loss  # chance: 0.33
        assert training_flops(trained.model, 12, 32) > 0
    with torch.inference_mode():
        assert trained.model(torch.zeros(4, 1, 40, 50)).shape == (4, 3)


def test_scores_of_classes_agree_with_scikit_learn():
    rng = np.random.default_rng(4)
    truth = rng.integers(0, 3, 500)
    found = np.where(rng.random(500) < 0.7, truth, rng.integers(0, 4, 500))
    scores, there = class_scores(found, truth, 4), [0, 1, 2]
    assert scores["f1"] == pytest.approx(f1_score(truth, found, average="macro", labels=there))
    assert scores["iou"] == pytest.approx(jaccard_score(truth, found, average="macro", labels=there))
    assert scores["accuracy"] == pytest.approx(accuracy_score(truth, found))
    assert scores["balanced_accuracy"] == pytest.approx(recall_score(truth, found, average="macro", labels=there))
