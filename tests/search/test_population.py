"""The population is the best of those that live, however they come."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search.population import Member, Population

# Few different values: ties are common.
values = st.lists(st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.75, 1.0]), max_size=60)
arrivals = values.flatmap(lambda some: st.permutations(range(len(some))).map(lambda order: (some, order)))


def members_of(some):
    fitness, order = some
    return [Member(value, -index, bytes([index])) for value, index in zip(fitness, order, strict=True)]


def best(members, size):
    """Sorted plainly: the fittest, and of equals those with the lower index."""
    return sorted(members, key=lambda m: (-m.fitness, m.index))[:size][::-1]


@given(arrivals, st.integers(1, 12))
def test_it_is_the_best_of_all_that_came(some, size):
    population, told = Population(size), []
    for member in members_of(some):
        population.add(member)
        told.append(member)
        assert population.members == best(told, size)
        assert population.full == (len(told) >= size)


@settings(max_examples=400)
@given(arrivals, st.integers(1, 8), st.integers(0, 12))
def test_with_a_lifetime_it_is_the_best_of_the_last_that_came(some, size, more):
    lifetime = size + more
    population, told = Population(size, lifetime), []
    for member in members_of(some):
        population.add(member)
        told.append(member)
        assert population.members == best(told[-lifetime:], size)
        assert population.full == (len(told) >= size)


def test_a_lifetime_too_short_for_the_population_is_refused():
    with pytest.raises(ValueError, match="lifetime of 3"):
        Population(4, lifetime=3)
