"""Tables as people read them."""

import re

import numpy as np
import pandas as pd
import pytest

from analysis.report.tables_shown import shown_table, with_interval, written


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (1234567, "1,234,567"),
        (0.0, "0"),
        (12.3456, "12.3"),
        (0.00012345, "0.000123"),
        (1.2345e-7, "1.23e-07"),
        (2.5e9, "2.50e+09"),
        (np.nan, "\N{EN DASH}"),
        (None, "\N{EN DASH}"),
        ("", "\N{EN DASH}"),
        ("a < b", "a < b"),
    ],
)
def test_a_number_has_few_digits(value, said):
    assert written(value) == said


def test_an_interval_has_as_many_decimals_as_its_value():
    assert with_interval(0.951, 0.9, 1.0).replace("\N{EN DASH}", "-") == "0.951 (0.900-1.000)"
    assert with_interval(51.23, 4.0, 99.0).replace("\N{EN DASH}", "-") == "51.2 (4.0-99.0)"
    assert with_interval(0.0, 0.0, 0.0123).replace("\N{EN DASH}", "-") == "0.00000 (0.00000-0.01230)"
    assert with_interval(2e-6, 1e-6, 3e-6).replace("\N{EN DASH}", "-") == "2.00e-06 (1.00e-06-3.00e-06)"
    assert with_interval(0.5, np.nan, np.nan) == "0.5"
    assert with_interval(np.nan, np.nan, np.nan) == "\N{EN DASH}"


def cells(html):
    return [re.findall("<t[hd][^>]*>(.*?)</t", row) for row in re.findall("<tr>(.*?)</tr>", html)]


def test_columns_that_say_nothing_are_left_out_and_names_cannot_be_markup():
    stays = {"movie": ["m", "n"], "kind": ["<b>", "hole"], "ends": [3, 0], "mean_frames": [2.0, np.nan]}
    stays |= {"low_frames": [1.0, np.nan], "high_frames": [4.0, np.nan], "mean_s": [np.nan, np.nan]}
    shown = shown_table("dwell_times", pd.DataFrame(stays), "histories/dwell_times.csv", "none").text
    assert cells(shown) == [
        ["movie", "kind", "ends seen", "mean stay (frames), 95 % interval"],
        ["m", "&lt;b&gt;", "3", "2.00 (1.00\N{EN DASH}4.00)"],
        ["n", "hole", "0", "\N{EN DASH}"],
    ]
    assert "histories/dwell_times.csv" in shown


def test_what_sums_up_comes_first_and_the_only_movie_goes_without_saying():
    scores = pd.DataFrame({"movie": "m", "frame": ["1", "2", "all"], "method": "network", "f1": [0.25, 0.5, 0.375]})
    shown = cells(shown_table("scores", scores, "scores.csv", "").text)
    assert shown == [
        ["frame", "method", "F1"],
        *(["all", "network", "0.375"], ["1", "network", "0.25"], ["2", "network", "0.5"]),
    ]


def test_an_empty_table_says_why():
    assert (
        shown_table("kinds", pd.DataFrame(), "kinds.csv", "There is none.").text == '<p class="note">There is none.</p>'
    )


def test_of_a_long_table_the_beginning_is_shown():
    long = pd.DataFrame({"kind": [f"k{i}" for i in range(1000)]})
    shown = shown_table("kinds", long, "kinds.csv", "").text
    assert len(cells(shown)) == 201
    assert "The first 200 of 1,000 rows." in shown
