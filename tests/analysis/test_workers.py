"""Workers' times add up, whatever way they are looked at."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.workers import busy, rows_of, without_pauses

spans = st.lists(st.tuples(st.floats(0, 100), st.floats(0.1, 30)), min_size=1, max_size=20)


@given(spans, st.integers(1, 12))
def test_busy_workers_are_the_overlaps_with_each_bin(drawn, bins):
    starts = np.array([start for start, _ in drawn])
    ends = starts + [length for _, length in drawn]
    edges = np.linspace(0, 130, bins + 1)
    plain = [
        sum(max(0, min(end, right) - max(start, left)) for start, end in zip(starts, ends, strict=True))
        / (right - left)
        for left, right in pairwise(edges)
    ]
    np.testing.assert_allclose(busy(starts, ends, edges), plain, atol=1e-9)


@given(drawn=spans, workers=st.integers(1, 3))
def test_no_two_evaluations_of_a_row_overlap_and_a_row_is_of_one_worker(evaluated, drawn, workers):
    evaluations = [
        evaluated(number, worker=str(number % workers), started=start, ended=start + length)
        for number, (start, length) in enumerate(drawn)
    ]
    names, rows = rows_of(evaluations)
    assert len(rows) == len(evaluations)
    for row, name in enumerate(names):
        of_row = sorted((e.started, e.ended) for e, its in zip(evaluations, rows, strict=True) if its == row)
        assert of_row
        assert all(end <= start for (_, end), (start, _) in pairwise(of_row))
        assert {f"n1 {e.worker}" for e, its in zip(evaluations, rows, strict=True) if its == row} == {name}


def test_workers_are_in_order_of_their_numbers(evaluated):
    evaluations = [evaluated(number, worker=str(worker)) for number, worker in enumerate((10, 9, 2))]
    later = [replace(e, host="n0") for e in evaluations[:1]]
    assert rows_of([*evaluations, *later])[0] == ["n0 10", "n1 2", "n1 9", "n1 10"]


def test_long_pauses_are_cut_out_and_short_ones_kept():
    starts, ends = np.array([1000.0, 1011.0, 9000.0]), np.array([1010.0, 1100.0, 9050.0])
    times = np.array([1000.0, 1010.5, 1100.0, 5000.0, 9000.0, 9050.0])
    found = without_pauses(starts, ends, times)
    assert found[[0, 1, 2, 4, 5]] == pytest.approx([0, 10.5, 100, 100, 150])
    assert found[3] == pytest.approx(100)


@given(spans)
def test_time_never_runs_backwards_and_no_work_is_cut_out(drawn):
    starts = np.array([start for start, _ in drawn])
    ends = starts + [length for _, length in drawn]
    shown = without_pauses(starts, ends, np.sort(np.concatenate([starts, ends])))
    assert (np.diff(shown) >= -1e-9).all()
    np.testing.assert_allclose(
        without_pauses(starts, ends, ends) - without_pauses(starts, ends, starts), ends - starts, atol=1e-6
    )
