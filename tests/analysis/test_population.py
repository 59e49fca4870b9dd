"""The population's quantiles are numpy's of the best so far."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from analysis.population import QUANTILES, kind_of_origin, population_quantiles
from search.evaluation import Request


@given(st.lists(st.none() | st.floats(0, 1), max_size=40), st.integers(2, 9))
def test_quantiles_are_those_of_the_best_so_far_once_there_are_enough(fitness, size):
    values = np.array([np.nan if value is None else value for value in fitness])
    found = population_quantiles(values, size)
    assert found.shape == (len(values), len(QUANTILES))
    for number in range(len(values)):
        good = np.sort([value for value in values[: number + 1] if not np.isnan(value)])[-size:]
        expected = np.quantile(good, QUANTILES) if len(good) == size else np.full(len(QUANTILES), np.nan)
        np.testing.assert_allclose(found[number], expected)


def test_the_kind_of_origin_is_by_the_number_of_parents():
    def kind(stage, parents, origin):
        return kind_of_origin(Request(9, stage, 0, b"", 0, parents, origin))

    assert kind("evolution", (), "prior") == "prior"
    assert kind("evolution", (3,), "insert_layer") == "mutation"
    assert kind("evolution", (3, 4), "one_point+change_genes") == "crossover"
    assert kind("tuning", (), "svm") == "svm"
