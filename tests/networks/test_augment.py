"""Augmentation: labels move with the image, and what differs between frames is drawn as it differs."""

import math

import numpy as np
import pytest
import torch

from data_prep.labels import IGNORE
from networks import augment as module
from networks.augment import Holes, Noise, augment, paint_holes

DARK = -2.0
SIZE = (48, 64)  # not square, so that axes cannot be exchanged unseen


def seeded(seed=0):
    return Noise(torch.Generator().manual_seed(seed))


@pytest.fixture
def only(monkeypatch):
    """Leave one of the changes that `strength` scales, by the name of its constant."""

    def choose(*kept):
        for name in {"SCALE", "JITTER_PX", "CONTRAST", "OFFSET", "NOISE", "BLUR_PX"} - set(kept):
            monkeypatch.setattr(module, name, 0.0)

    return choose


def spots(places, size=SIZE, width=3.0):
    """An image (y, x) with a bright spot at each place and labels (y, x): k on the k-th spot."""
    y, x = torch.meshgrid(torch.arange(float(size[0])), torch.arange(float(size[1])), indexing="ij")
    image, labels = torch.zeros(size), torch.zeros(size, dtype=torch.uint8)
    for number, (at_y, at_x) in enumerate(places, start=1):
        squared = (y - at_y) ** 2 + (x - at_x) ** 2
        image += torch.exp(-squared / (2 * width**2))
        labels[squared <= 9] = number
    return image, labels


def centre(weight):
    """Centre (y, x) of a weight (y, x)."""
    y, x = np.mgrid[: weight.shape[0], : weight.shape[1]]
    return np.array([(weight * y).sum(), (weight * x).sum()]) / weight.sum()


def batch_of(image, labels, count):
    return image.repeat(count, 1, 1, 1), labels.repeat(count, 1, 1)


@pytest.mark.parametrize(
    "kept", [(), ("SCALE",), ("JITTER_PX",), ("CONTRAST", "OFFSET"), ("NOISE",), ("BLUR_PX",), ("SCALE", "JITTER_PX")]
)
def test_labels_stay_on_their_spot(only, kept):
    only(*kept)
    images, labels = batch_of(*spots([(24, 38)]), 64)
    moved, moved_labels = augment(images, labels, 1.5, DARK, seeded())
    assert (moved.shape, moved_labels.shape, moved_labels.dtype) == (images.shape, labels.shape, torch.uint8)
    found = []
    for image, label in zip(moved[:, 0].numpy(), moved_labels.numpy(), strict=True):
        at = centre(label == 1)
        # Peaks of the image itself, at what gain and offset it may have, and over the noise of a pixel.
        around = (np.hypot(*(np.mgrid[:48, :64] - at[:, None, None])) < 8) & (label != IGNORE)
        bright = np.where(around, np.clip(image - np.median(image), 0, None), 0) ** 2
        assert np.hypot(*(centre(bright) - at)) < (1.5 if "NOISE" in kept else 0.6)
        found.append(tuple(at.round(1)))
    assert len(set(found)) > 30  # turned by any angle, the spot ends up in many places


def test_turns_are_by_any_angle_and_half_are_mirrored(only):
    only()
    places = np.array([(24, 32), (24, 44), (18, 32)])
    moved_labels = augment(*batch_of(*spots(places), 200), 1.0, DARK, seeded())[1].numpy()
    arms = [
        [centre(label == k) - centre(label == 1) for k in (2, 3)] for label in moved_labels if {2, 3} <= set(label.flat)
    ]
    assert len(arms) == 200
    lengths = np.linalg.norm(arms, axis=2)
    np.testing.assert_allclose(lengths, np.broadcast_to([12, 6], lengths.shape), atol=0.6)
    angles = np.array([math.atan2(*first) for first, _ in arms])
    assert (np.histogram(angles, 8, (-math.pi, math.pi))[0] > 10).all()
    handed = np.sign([first[0] * second[1] - first[1] * second[0] for first, second in arms])
    assert 70 < (handed > 0).sum() < 130


def test_scales_are_within_their_bounds(only):
    only("SCALE")
    moved_labels = augment(*batch_of(*spots([(24, 20), (24, 44)]), 100), 1.0, DARK, seeded())[1].numpy()
    apart = [np.linalg.norm(centre(label == 1) - centre(label == 2)) for label in moved_labels if 2 in label]
    apart = 24 / np.array([distance for distance in apart if np.isfinite(distance)])
    assert 0.93 < apart.min() < 0.96
    assert 1.04 < apart.max() < 1.07


def test_scan_jitter_displaces_each_row_of_image_and_labels_alike(only, monkeypatch):
    only("JITTER_PX")
    # Not turned, a vertical line stays one.
    monkeypatch.setattr(module, "TURN", 0.0)
    image = torch.exp(-((torch.arange(65.0) - 32) ** 2) / 8).expand(48, 65)
    labels = ((torch.arange(65) - 32).abs() <= 3).to(torch.uint8).expand(48, 65)
    moved, moved_labels = augment(*batch_of(image, labels, 60), 4.0, DARK, seeded())
    x = torch.arange(65.0)
    line = (moved[:, 0] * x).sum(2) / moved[:, 0].sum(2)
    labelled = ((moved_labels == 1) * x).sum(2) / (moved_labels == 1).sum(2)
    assert (line - labelled).abs().max() < 0.6  # labels move by whole pixels
    shifts = line - 32
    spread = shifts.std(1)
    # Each tile draws its own deviation between 0 and the largest.
    assert spread.max() < 1.4 * 4 * module.JITTER_PX
    assert spread.mean().item() == pytest.approx(4 * module.JITTER_PX / 2, rel=0.3)
    # Neighbouring rows go together, rows far apart do not.
    strong = shifts[spread > spread.median()]
    strong = (strong - strong.mean(1, keepdim=True)) / strong.std(1, keepdim=True)
    near, far = (strong[:, k:] * strong[:, :-k] for k in (1, 12))
    assert near.mean() > 0.6
    assert abs(far.mean()) < 0.2


def test_strength_0_leaves_turns_and_mirror_images(monkeypatch):
    image, labels = spots([(24, 38)])
    moved, _ = augment(*batch_of(image, labels, 40), 0.0, DARK, seeded())
    flat = augment(torch.full((8, 1, *SIZE), 0.7), torch.zeros(8, *SIZE, dtype=torch.uint8), 0.0, DARK, seeded())[0]
    torch.testing.assert_close(flat, torch.full_like(flat, 0.7))
    monkeypatch.setattr(module, "TURN", 0.0)
    turned, kept = augment(*batch_of(image, labels, 40), 0.0, DARK, seeded())
    same = [torch.allclose(tile[0], image, atol=1e-5) for tile in turned]
    mirrored = [torch.allclose(tile[0], image.flip(0), atol=1e-5) for tile in turned]
    assert sum(same) + sum(mirrored) == 40
    assert min(sum(same), sum(mirrored)) > 5
    for as_was, label in zip(same, kept, strict=True):
        assert torch.equal(label, labels if as_was else labels.flip(0))
    assert not torch.equal(moved, turned)


def test_pixels_from_outside_are_unlabelled_and_unlabelled_ones_stay_so(only):
    only()
    labels = torch.ones(64, *SIZE, dtype=torch.uint8)
    labels[:, 20:28, 28:36] = IGNORE  # the middle
    moved = augment(torch.zeros(64, 1, *SIZE), labels, 1.0, DARK, seeded())[1]
    assert set(moved.unique().tolist()) == {1, IGNORE}
    assert (moved[:, 22:26, 30:34] == IGNORE).all()
    assert (moved[:, 24, 40:44] == 1).all()
    # What is farther from the middle than half a diagonal can come from nowhere inside.
    y, x = np.mgrid[:48, :64]
    inside = np.hypot(y - 23.5, x - 31.5) < 23
    ring = inside & (np.hypot(y - 23.5, x - 31.5) > 7)
    assert (moved[:, ring] == 1).all()
    corners = moved[:, [0, 0, -1, -1], [0, -1, 0, -1]] == IGNORE
    assert 0.3 < corners.float().mean() < 1


def test_the_same_seed_gives_the_same_tiles():
    images, labels = batch_of(*spots([(24, 38)]), 8)
    first, again, other = (augment(images, labels, 1.0, DARK, seeded(seed)) for seed in (1, 1, 2))
    assert torch.equal(first[0], again[0])
    assert torch.equal(first[1], again[1])
    assert not torch.equal(first[0], other[0])


def test_noise_grows_with_brightness_as_counts_do(only):
    only("NOISE")
    levels = torch.tensor([DARK, 0.0, 2.0, 4.0])
    images = levels.repeat_interleave(16).view(64, 1, 1, 1).expand(64, 1, 64, 64)
    labels = torch.zeros(64, 64, 64, dtype=torch.uint8)
    runs = [augment(images, labels, 1.0, DARK, seeded(seed))[0] - images for seed in range(12)]
    variance = torch.stack([run.var((1, 2, 3)).view(4, 16) for run in runs]).mean((0, 2))
    # Straight in brightness: the same step of variance for the same step of brightness.
    assert (variance[3] / variance[1]).item() == pytest.approx((4 - DARK * 4 / 3) / (-DARK * 4 / 3), rel=0.2)
    assert (variance[2] / variance[1]).item() == pytest.approx((2 - DARK * 4 / 3) / (-DARK * 4 / 3), rel=0.2)
    assert (variance[0] / variance[1]).item() == pytest.approx(0.25, rel=0.25)
    assert torch.stack(runs).mean().abs() < 0.01


def test_blur_spreads_a_point_and_keeps_its_sum(only, monkeypatch):
    only("BLUR_PX")
    monkeypatch.setattr(module, "TURN", 0.0)
    image = torch.zeros(65, 65)
    image[32, 32] = 1.0
    moved, _ = augment(*batch_of(image, torch.zeros(65, 65, dtype=torch.uint8), 100), 1.0, DARK, seeded())
    peaks = moved[:, 0, 32, 32]
    torch.testing.assert_close(moved.sum((1, 2, 3)), torch.ones(100))
    sharp = (peaks > 0.999).float().mean()
    assert 0.5 < sharp < 0.9  # half are left alone, and a very narrow Gaussian changes nothing
    assert peaks.min() < 0.6
    # No direction is preferred.
    blurred = moved[peaks < 0.9, 0]
    torch.testing.assert_close(blurred, blurred.mT)


def test_contrast_and_level_differ_from_tile_to_tile(only):
    only("CONTRAST", "OFFSET")
    images = seeded().normal((200, 1, 32, 32))
    moved, _ = augment(images, torch.zeros(200, 32, 32, dtype=torch.uint8), 1.0, DARK, seeded())
    gain, level = moved.std((1, 2, 3)) / images.std((1, 2, 3)), moved.mean((1, 2, 3))
    assert gain.std() / gain.mean() > 0.08
    assert 0.1 < level.std() < 0.25


def test_strength_sets_how_much_tiles_differ():
    images, labels = torch.zeros(32, 1, 32, 32), torch.zeros(32, 32, 32, dtype=torch.uint8)
    spread = [augment(images, labels, s, DARK, seeded(1))[0].std().item() for s in (0.0, 0.5, 1.5)]
    assert spread[0] == 0.0
    assert spread[0] < spread[1] < spread[2]


def test_painted_holes_are_dark_flat_and_labelled_as_such():
    noise = seeded(3)
    images = noise.normal((64, 1, 48, 56))
    labels = torch.zeros(64, 48, 56, dtype=torch.uint8)
    painted, kinds = paint_holes(images, labels, Holes(-3.0, 6.0, 2), noise)
    hole = kinds == 2
    share = hole.flatten(1).any(1).float().mean()
    assert 0.02 < share < 0.4
    assert set(kinds.unique().tolist()) == {0, 2}
    inside = hole & (torch.nn.functional.avg_pool2d(hole[:, None].float(), 3, 1, 1)[:, 0] > 0.999)
    assert painted[:, 0][inside].max() < -1.5
    away = torch.nn.functional.max_pool2d(hole[:, None].float(), 3, 1, 1)[:, 0] == 0
    assert torch.equal(painted[:, 0][away], images[:, 0][away])


def test_tiles_of_two_networks_are_augmented_at_once_as_one_by_one():
    def augmented(images, *seeds):
        noise = Noise(*(torch.Generator().manual_seed(seed) for seed in seeds))
        labels = (images[:, 0] > 1).to(torch.uint8)
        return augment(*paint_holes(images, labels, Holes(-3.0, 6.0, 2), noise), 1.0, DARK, noise)

    images = seeded().normal((24, 1, 32, 32))
    together, kinds = augmented(images, 5, 6)
    first, second = augmented(images[:12], 5), augmented(images[12:], 6)
    torch.testing.assert_close(together, torch.cat([first[0], second[0]]))
    assert torch.equal(kinds, torch.cat([first[1], second[1]]))
