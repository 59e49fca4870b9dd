"""The one exception that means: the user can put this right."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class InputError(ValueError):
    """What was given cannot be used.

    The message is one line that names the thing, what is wrong with it and what to do.
    The command line prints it and exits with status 2. It takes one argument, so that
    it survives pickling between processes.
    """


def did_you_mean(given: str, known: Iterable[str]) -> str:
    """A hint for a name that is not known: the one that is meant, or all that there are."""
    names = list(known)
    near = difflib.get_close_matches(given, names, n=1)
    return f"did you mean '{near[0]}'?" if near else f"known are {', '.join(names)}"
