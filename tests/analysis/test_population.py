"""The population's quantiles are numpy's of the best so far."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from analysis.population import QUANTILES, Rules, kind_of_origin, population_quantiles
from search.evaluation import Evaluation, Request, Status


def evaluated(number, fitness):
    status = Status.CRASHED if fitness is None else Status.OK
    request = Request(number, "evolution", 0, b"", 0)
    return Evaluation(request, status, fitness=fitness or 0.0)


@given(
    st.lists(st.none() | st.floats(0, 1), max_size=40),
    st.integers(2, 9),
    st.none() | st.integers(9, 20),
)
def test_quantiles_are_those_of_the_best_so_far_once_there_are_enough(networks, size, lifetime):
    evaluations = [evaluated(number, fitness) for number, fitness in enumerate(networks)]
    rules = Rules(size, lifetime=lifetime)
    found = population_quantiles(evaluations, rules, range(len(evaluations)))
    for number in range(len(evaluations)):
        good = [e for e in evaluations[: number + 1] if e.status is Status.OK]
        living = good[-lifetime:] if lifetime else good
        by_value = sorted(living, key=lambda e: (e.fitness, -e.request.index))
        best = [e.fitness for e in by_value[-size:]]
        expected = np.quantile(best, QUANTILES) if len(best) == size else np.full(len(QUANTILES), np.nan)
        np.testing.assert_allclose(found[number], expected, atol=1e-12)
    chosen = list(range(0, len(evaluations), 3))
    np.testing.assert_array_equal(population_quantiles(evaluations, rules, chosen), found[chosen])


def test_the_kind_of_origin_is_by_the_number_of_parents():
    def kind(stage, parents, origin):
        return kind_of_origin(Request(9, stage, 0, b"", 0, parents, origin))

    assert kind("evolution", (), "prior") == "prior"
    assert kind("evolution", (3,), "insert_layer") == "mutation"
    assert kind("evolution", (3, 4), "one_point+change_genes") == "crossover"
    assert kind("tuning", (), "svm") == kind("tuning", (7,), "svm") == "svm"
