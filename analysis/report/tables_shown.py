"""Tables of a run as people read them: headings in words, an interval beside its value, few digits."""

from __future__ import annotations

import math
from html import escape
from typing import TYPE_CHECKING, Any

from analysis.report.markup import Html, sentence
from analysis.summary import ALL

if TYPE_CHECKING:
    import pandas as pd

MOST_ROWS = 200
DIGITS = 3
LEAST, MOST = 1e-4, 1e6  # written without powers of ten
NOTHING = TO = "\N{EN DASH}"

# Of each table: heading and column, or a value and the ends of its 95 % interval. Columns that are not there, or
# have no value at all, are left out.
COLUMNS: dict[str, dict[str, str | tuple[str, str, str]]] = {
    "scores": {
        "movie": "movie",
        "frame": "frame",
        "method": "method",
        "precision": ("precision", "precision_low", "precision_high"),
        "recall": ("recall", "recall_low", "recall_high"),
        "F1": ("f1", "f1_low", "f1_high"),
        "position error (nm)": "position_error_nm",
        "found": "true_positives",
        "false alarms": "false_positives",
        "missed": "false_negatives",
        "pixel accuracy": ("pixel_accuracy", "pixel_accuracy_low", "pixel_accuracy_high"),
        "pixel IoU": ("iou", "iou_low", "iou_high"),
    },
    "kinds": {
        "kind": "kind",
        "sublattice": "sublattice",
        "found": "count",
        "intensity beside its sublattice": "ratio",
        "spread of that": "ratio_sd",
        "commonest class of the network": "class",
        "share of that class": "class_share",
    },
    "transitions": {
        "movie": "movie",
        "of": "process",
        "from": "from",
        "to": "to",
        "times seen": "events",
        "times possible": "at_risk",
        "probability per frame, interval (95 % for all together)": ("probability", "low", "high"),
    },
    "dwell_times": {
        "movie": "movie",
        "kind": "kind",
        "ends seen": "ends",
        "mean stay (frames), 95 % interval": ("mean_frames", "low_frames", "high_frames"),
        "mean stay (s), 95 % interval": ("mean_s", "low_s", "high_s"),
    },
    "diffusion": {
        "movie": "movie",
        "kind": "kind",
        "tracks": "tracks",
        "steps": "steps",
        "moves": "moves",
        "diffusion coefficient (nm²/s), 95 % interval": ("coefficient_nm2_s", "low_nm2_s", "high_nm2_s"),
    },
}


def shown_table(name: str, table: pd.DataFrame, file: str, nothing: str) -> Html:
    """A table of a run; `file` holds all of it, `nothing` is said if it has no rows.

    Rows that sum up come first; the movie is left out where there is only one.
    """
    if table.empty:
        return sentence(nothing)
    if "frame" in table:
        table = table.sort_values("frame", key=lambda frames: frames != ALL, kind="stable")
    if "movie" in table and table["movie"].nunique() == 1:
        table = table.drop(columns="movie")
    columns = {
        heading: [column] if isinstance(column, str) else list(column) for heading, column in COLUMNS[name].items()
    }
    there = {h: [c for c in parts if c in table] for h, parts in columns.items() if _told(table, parts[0])}
    head = "".join(f'<th scope="col">{escape(heading)}</th>' for heading in there)
    rows = [
        "<tr>" + "".join(f"<td>{escape(_cell([row[c] for c in parts]))}</td>" for parts in there.values()) + "</tr>"
        for row in table.head(MOST_ROWS).to_dict("records")
    ]
    body = f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
    label = escape(f"table: {name.replace('_', ' ')}")
    more = f"The first {MOST_ROWS} of {len(table):,} rows. " if len(table) > MOST_ROWS else ""
    box = f'<div class="table" role="region" aria-label="{label}" tabindex="0">{body}</div>'
    return Html(f'{box}<p class="source">{more}In full: <code>{escape(file)}</code></p>')


def _told(table: pd.DataFrame, column: str) -> bool:
    return column in table and bool((table[column].notna() & (table[column] != "")).any())


def _cell(values: list[Any]) -> str:
    return written(values[0]) if len(values) < 3 else with_interval(*values)


def with_interval(value: float, low: float, high: float) -> str:
    """A value with its interval, as far as they are known."""
    if any(math.isnan(number) for number in (value, low, high)):
        return written(value)
    size = max(abs(value), abs(low) / 10, abs(high) / 10)
    if not LEAST <= size < MOST:
        return f"{written(value)} ({written(low)}{TO}{written(high)})"
    decimals = max(DIGITS - 1 - math.floor(math.log10(size)), 0)  # the same for all three
    return f"{value:,.{decimals}f} ({low:,.{decimals}f}{TO}{high:,.{decimals}f})"


def written(value: Any) -> str:
    """A number in few digits, an integer in full, a text as it is, and a dash for what is not known."""
    if value is None or value == "" or (isinstance(value, float) and math.isnan(value)):
        return NOTHING
    if isinstance(value, bool | str):
        return str(value)
    if isinstance(value, int) or (value.is_integer() and abs(value) < MOST):
        return f"{int(value):,}"
    return f"{value:.{DIGITS}g}" if LEAST <= abs(value) < MOST else f"{value:.{DIGITS - 1}e}"
