"""Groups of made mixtures whose labels are known."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import multivariate_normal
from sklearn.metrics import adjusted_rand_score

from analysis.library.grouping import FEWEST, LEAST_SPREAD, Grouping, group, split_group

CENTRES = np.array([[0, 0, 0], [12, 0, 0], [0, 14, 4], [-12, -9, 6], [11, 13, -8.0]])


def mixture(sizes, seed=0, spread=1.0, centres=CENTRES):
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(len(sizes)), sizes)
    order = rng.permutation(len(labels))
    points = centres[labels] + spread * rng.normal(size=(len(labels), centres.shape[1]))
    return points[order], labels[order]


def valid(grouping: Grouping, dimension: int):
    assert grouping.means.shape == (grouping.count, dimension)
    assert grouping.covariances.shape == (grouping.count, dimension, dimension)
    assert (np.linalg.eigvalsh(grouping.covariances) > 0).all()
    assert grouping.weights.sum() == pytest.approx(1)
    assert (grouping.weights > 0).all()


@pytest.mark.parametrize("sizes", [(300,), (300, 200), (400, 80, 150), (200, 200, 50, 120), (200, 150, 300, 60, 90)])
@pytest.mark.parametrize("seed", [0, 1])
def test_groups_and_their_number_are_found(sizes, seed):
    points, labels = mixture(sizes, seed)
    grouping = group(points, seed)
    valid(grouping, 3)
    assert grouping.count == len(sizes)
    assert adjusted_rand_score(labels, grouping.assign(points)) > 0.99
    order = np.argmin(np.linalg.norm(CENTRES[:, None] - grouping.means, axis=2)[: len(sizes)], axis=1)
    assert grouping.weights[order] == pytest.approx(np.array(sizes) / sum(sizes), abs=0.02)
    assert grouping.means[order] == pytest.approx(CENTRES[: len(sizes)], abs=0.6)


def test_what_is_within_the_noise_is_one_group():
    points, _ = mixture((200, 200), centres=np.array([[0.0, 0], [0.5, 0]]))
    assert group(points, 0).count == 1


def test_one_dimension():
    points, labels = mixture((100, 60), centres=np.array([[0.0], [9.0]]))
    grouping = group(points, 0)
    valid(grouping, 1)
    assert adjusted_rand_score(labels, grouping.assign(points)) > 0.98


def test_the_same_seed_gives_the_same_groups():
    points, _ = mixture((60, 40, 30))
    one, again = group(points, 5), group(points, 5)
    assert (one.means == again.means).all()
    assert (one.assign(points) == again.assign(points)).all()


@pytest.mark.parametrize("count", [1, 2, FEWEST - 1, FEWEST, 13, 100])
def test_identical_points_are_one_group(count):
    points = np.full((count, 3), 2.5)
    grouping = group(points, 0)
    valid(grouping, 3)
    assert grouping.count == 1
    assert grouping.means[0] == pytest.approx(points[0])
    assert (grouping.assign(points) == 0).all()


def test_copies_of_two_points_are_two_groups():
    points = np.repeat([[0.0, 0], [20, 5]], [30, 12], axis=0)
    grouping = group(points, 0)
    assert grouping.count == 2
    assert adjusted_rand_score(np.repeat([0, 1], [30, 12]), grouping.assign(points)) == 1


def test_one_point():
    grouping = group(np.array([[3.0, 4.0]]), 0)
    valid(grouping, 2)
    assert grouping.count == 1


def test_few_points_that_are_far_apart_are_groups_and_near_ones_are_not():
    points, labels = mixture((5, 3, 2), centres=3 * CENTRES)
    grouping = group(points, 0)
    valid(grouping, 3)
    assert adjusted_rand_score(labels, grouping.assign(points)) == 1
    assert group(mixture((6, 4), centres=CENTRES * 0.1)[0], 0).count == 1


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 40), st.integers(1, 4), st.integers(0, 10_000), st.sampled_from([0.0, 1e-6, 1.0, 30.0]))
def test_anything_is_grouped_and_each_group_has_members(count, dimension, seed, scale):
    rng = np.random.default_rng(seed)
    points = scale * rng.normal(size=(count, dimension)) + 30 * rng.integers(0, 3, (count, 1))
    grouping = group(points, seed)
    valid(grouping, dimension)
    assert set(grouping.assign(points).tolist()) == set(range(grouping.count))


def test_likelihoods_are_those_of_gaussians():
    rng = np.random.default_rng(0)
    covariances = np.stack([a @ a.T + np.eye(3) for a in rng.normal(size=(2, 3, 3))])
    grouping = Grouping(rng.normal(size=(2, 3)), covariances, np.array([0.3, 0.7]), np.zeros(0), np.zeros(0))
    points = rng.normal(size=(40, 3))
    wanted = np.stack(
        [
            np.log(weight) + multivariate_normal(mean, covariance).logpdf(points)
            for mean, covariance, weight in zip(grouping.means, covariances, grouping.weights, strict=True)
        ],
        axis=1,
    )
    assert grouping.log_likelihoods(points) == pytest.approx(wanted)
    assert (grouping.assign(points) == wanted.argmax(axis=1)).all()


@pytest.mark.parametrize("sizes", [(60, 40), (5, 4)])
def test_a_group_is_split_where_it_is_two_and_others_stay(sizes):
    close = np.array([[0.0, 0], [5, 0], [40, 40]])
    points, labels = mixture((*sizes, 50), centres=close)
    joined = np.where(labels == 1, 0, labels)
    whole = [points[joined == 0], points[joined == 2]]
    grouping = Grouping(
        np.array([part.mean(axis=0) for part in whole]),
        np.array([np.cov(part.T) + LEAST_SPREAD * np.eye(2) for part in whole]),
        np.array([len(part) / len(points) for part in whole]),
        np.zeros(0),
        np.zeros(0),
    )
    split = split_group(grouping, 0, points, 0)
    valid(split, 2)
    assert split.count == 3
    assert split.means[0] == pytest.approx(grouping.means[1])
    assert split.weights[0] == pytest.approx(grouping.weights[1])
    assert adjusted_rand_score(labels, split.assign(points)) > 0.9


def test_what_cannot_be_split_stays():
    points = np.concatenate([np.full((1, 2), 50.0), np.random.default_rng(0).normal(size=(6, 2))])
    grouping = group(points, 0)
    lonely = int(grouping.assign(points[:1])[0])
    assert split_group(grouping, lonely, points, 0) is grouping
    same = np.full((30, 2), 1.0)
    assert split_group(group(same, 0), 0, same, 0).count == 1
