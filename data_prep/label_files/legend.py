"""Which value or colour of a mask is which class."""

from __future__ import annotations

import re

from data_prep.labels import BACKGROUND

# Names with a class index or a colour '#rrggbb'.
Legend = tuple[tuple[str, int | str], ...]

UNLABELLED = "unlabelled"  # as `BACKGROUND`, the name of no class
COLOUR = re.compile(r"#[0-9a-f]{6}")
HIGHEST_INDEX = 65535


def parse_legend(given: object) -> object:
    """A legend as a table of names, from the command line's `vacancy=#ff0000,dopant=2` or a table.

    Raises ValueError with what is wrong.
    """
    pairs: list[tuple[object, object]]
    if isinstance(given, str):
        pairs = [(name.strip(), value.strip()) for name, _, value in (part.partition("=") for part in given.split(","))]
    elif isinstance(given, dict):
        pairs = list(given.items())
    else:
        raise ValueError("is not a table of names, as vacancy = '#ff0000' or dopant = 2")  # noqa: TRY004 (pydantic's word)
    legend = {str(name): _value(name, value) for name, value in pairs}
    if len({type(value) for value in legend.values()}) > 1:
        raise ValueError("mixes colours and class indices")
    if len(set(legend.values())) < len(pairs):
        raise ValueError("gives the same name, colour or index twice")
    return legend


def _value(name: object, value: object) -> int | str:
    """A class index or a colour."""
    text = str(value).lower()
    lowest = 0 if name == BACKGROUND else 1
    if name and COLOUR.fullmatch(text):
        return text
    if name and text.isdecimal() and lowest <= int(text) <= HIGHEST_INDEX:
        return int(text)
    raise ValueError(
        f"'{name} = {value}' is no name with a colour (vacancy=#ff0000) or an index from {lowest} to {HIGHEST_INDEX} "
        "(vacancy=1)"
    )
