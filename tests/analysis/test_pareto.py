"""The front is what a slow plain comparison of all with all says."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.pareto import inference_flops_per_pixel, on_front
from networks.genome import encode
from networks.space import Convolution, NetworkSpec, Pool, sample

few_values = st.integers(0, 6).map(float)  # so that there are ties
points = st.lists(st.tuples(few_values, few_values), max_size=40)


@given(points | st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), max_size=40))
def test_the_front_is_what_nothing_dominates(drawn):
    plain = [not any((c <= cost and s >= score) and (c < cost or s > score) for c, s in drawn) for cost, score in drawn]
    cost, score = np.array(drawn, float).reshape(-1, 2).T
    assert on_front(cost, score).tolist() == plain


def test_flops_per_pixel_are_two_per_weight_at_each_pixel_that_is_left():
    first = Convolution(8, 3, 5, 1, 1, "zeros", "relu", "batch", 0.0, skip=False)
    second = Convolution(16, 3, 3, 1, 2, "zeros", "relu", "none", 0.0, skip=False)
    training = sample(np.random.default_rng(0)).training
    genome = encode(NetworkSpec((first, Pool("max", 2, 2), second), training))
    assert inference_flops_per_pixel(genome) == pytest.approx(2 * (15 * 8 + 9 * 8 * 16 / 4))
