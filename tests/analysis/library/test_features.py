"""Points of pictures that are made of known parts and known noise."""

import numpy as np
import pytest

from analysis.library.cutouts import ALONE_SIDE
from analysis.library.features import LEAST_NOISE, MOST_PARTS, fit_features, windowed

STEPS = np.moveaxis(np.mgrid[:ALONE_SIDE, :ALONE_SIDE], 0, -1) - (ALONE_SIDE - 1) / 2
COLUMN = 3 * np.exp(-(STEPS**2).sum(axis=-1) / (2 * 2.0**2))
SIDEWAYS = 0.7 * STEPS[..., 0] * COLUMN / 3
WIDER = np.exp(-(STEPS**2).sum(axis=-1) / (2 * 3.5**2)) - COLUMN / 3


def pictures(amounts=0.0, part=SIDEWAYS, *, count=300, noise=0.2, seed=0):
    rng = np.random.default_rng(seed)
    amounts = np.broadcast_to(amounts, count)
    return (COLUMN + amounts[:, None, None] * part + noise * rng.normal(size=(count, *COLUMN.shape))).astype(np.float32)


def ratios(count=300, sd=0.07, mean=1.0, seed=0):
    return mean + sd * np.random.default_rng(seed).normal(size=count)


def test_coordinates_are_in_standard_deviations_of_the_noise():
    features = fit_features(pictures(np.linspace(-2, 2, 300)), pictures(seed=1), ratios())
    perfect = features.points(pictures(seed=2), ratios(seed=2))
    assert perfect.std(axis=0) == pytest.approx(1, abs=0.25)
    assert perfect[:, 1:].mean(axis=0) == pytest.approx(0, abs=0.3)
    assert features.noise[0] == pytest.approx(0.07, rel=0.15)
    assert features.points(pictures(), np.full(300, 0.5))[:, 0] == pytest.approx(0.5 / features.noise[0])


def test_a_component_is_what_defects_have_beyond_a_perfect_column():
    amounts = np.random.default_rng(3).choice([-1.0, 0, 2], 300)
    features = fit_features(pictures(amounts), pictures(seed=1), ratios())
    assert len(features.parts) == 1
    wanted = windowed(SIDEWAYS[None].astype(np.float32))[0]
    assert abs(features.parts[0] @ wanted) / np.linalg.norm(wanted) > 0.98
    seen = features.points(pictures(amounts), ratios())[:, 1]
    assert abs(np.corrcoef(seen, amounts)[0, 1]) > 0.98


def test_two_parts_are_two_components():
    rng = np.random.default_rng(3)
    images = pictures(rng.normal(0, 2, 300)) + (rng.normal(0, 3, 300)[:, None, None] * WIDER).astype(np.float32)
    features = fit_features(images, pictures(seed=1), ratios())
    assert len(features.parts) == 2


def test_defects_that_look_as_perfect_columns_do_have_only_a_ratio():
    features = fit_features(pictures(), pictures(seed=1), ratios())
    assert len(features.parts) == 0
    assert features.points(pictures(), ratios()).shape == (300, 1)


def test_more_pictures_than_pixels_give_the_same_components():
    """The quicker way that is taken for many pictures against the other one."""
    amounts = np.random.default_rng(3).choice([-1.0, 0, 2], 400)
    many = fit_features(pictures(amounts, count=400), pictures(seed=1), ratios())
    few = fit_features(pictures(amounts, count=400)[:160], pictures(seed=1), ratios())
    assert abs(many.parts[0] @ few.parts[0]) > 0.98


def test_no_noise_is_not_less_than_the_least():
    still = pictures(count=5, noise=0.0)
    features = fit_features(pictures(np.linspace(0, 1, 40), count=40, noise=0.0), still, np.ones(5))
    assert features.noise[0] == LEAST_NOISE
    least = LEAST_NOISE * np.linalg.norm(windowed(COLUMN[None].astype(np.float32)))
    assert features.noise[1:] == pytest.approx(least, rel=1e-3)


@pytest.mark.parametrize("count", [1, 2, 3, 12, 200])
@pytest.mark.parametrize("references", [0, 1, 2])
def test_however_few_there_are_points_are_finite(count, references):
    images = pictures(np.arange(count) % 2, count=count)
    features = fit_features(images, pictures(count=references, seed=1), ratios(references))
    points = features.points(images, np.where(np.arange(count) % 3 == 0, np.nan, 1.0))
    assert points.shape == (count, 1 + len(features.parts))
    assert len(features.parts) <= MOST_PARTS
    assert np.isfinite(points).all()
    assert (features.noise > 0).all()


def test_identical_pictures():
    features = fit_features(np.repeat(pictures(count=1), 20, axis=0), pictures(count=0), np.zeros(0))
    assert len(features.parts) == 0


def test_without_perfect_columns_a_part_is_still_seen():
    amounts = np.repeat([0.0, 4.0], 100)
    features = fit_features(pictures(amounts, count=200), pictures(count=0), np.zeros(0))
    seen = features.points(pictures(amounts, count=200), np.full(200, np.nan))
    assert (seen[:, 0] == 0).all()
    assert abs(seen[:100, 1].mean() - seen[100:, 1].mean()) > 5


def test_the_window_leaves_the_middle_and_takes_the_rim():
    one = np.ones((2, ALONE_SIDE, ALONE_SIDE), np.float32)
    seen = windowed(one).reshape(one.shape)
    assert seen[0, 6, 6] == 1
    assert seen[0, 6, 0] < 0.2
    assert seen[0] == pytest.approx(seen[0].T)
