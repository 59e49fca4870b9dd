"""Utilisation is worker-seconds over worker-seconds, counted here one second at a time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.evaluation import Evaluation, Request, Status
from search.utilisation import Utilisation, running_seconds, worker_seconds

bars = st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)).map(sorted), max_size=12)
# Times rise; the numbers of workers are any, 0 between two lives of the driver.
crews = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 5)), max_size=8, unique_by=lambda c: c[0]).map(sorted)


def there(crew, second):
    """Workers that were there in the second that begins at `second`."""
    return next((workers for time, workers in reversed(crew) if time <= second), 0)


@given(bars, crews)
def test_the_share_is_seconds_worked_of_seconds_there(timeline, crew):
    fold = Utilisation()
    for start, end in timeline:
        fold.add(Evaluation(Request(0, "evolution", 0, b"", 0), Status.OK, started=start, ended=end))
    latest = max((end for _, end in timeline), default=0)
    busy = sum(end - start for start, end in timeline)
    available = sum(there(crew, second) for second in range(latest))
    assert fold.share(crew) == pytest.approx(busy / available if available else 0)


@given(crews, st.integers(0, 80))
def test_seconds_of_the_crew_are_counted_up_to_a_moment(crew, until):
    assert worker_seconds(crew, until) == sum(there(crew, second) for second in range(until))
    assert running_seconds(crew, until) == sum(there(crew, second) > 0 for second in range(until))
