"""`evostem kinds`: look at the kinds of defects that a run has found, name them, merge and split them."""

from __future__ import annotations

import math
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from analysis.library.kinds import Kind, load_kinds
from analysis.library.names import Decisions, Signature, load_decisions, load_signatures, save_decisions
from analysis.population import Rules
from analysis.run_results import RunResults
from apps.analyse import analyse
from apps.draw import Drawn, draw_figures, write_report
from data_prep.errors import InputError
from workflow.config import RunConfig, load_config
from workflow.inputs import source_of
from workflow.progress import Progress, Terminal
from workflow.run import FAILED, INTERRUPTED, answer, complain, refused
from workflow.run_folder import RunFolder, existing_run
from workflow.stopping import terminated_as_interrupted

NAMED = re.compile(r"\s*(\d+)\s*=\s*(.+?)\s*")
LONGEST_NAME = 60
MADE_ANEW = "remove defects.csv and summary.json there and give the command again that made the run"


def kinds(path: Path, names: Sequence[str], merge: str | None, split: int | None) -> int:
    """Show the kinds of the run in folder `path`, after what is to be changed; returns the exit status.

    A change is made as a whole or not at all.
    """
    try:
        folder = existing_run(path)
        library = _Library(folder)
        if names or merge is not None or split is not None:
            with terminated_as_interrupted():
                _change(folder, names, merge, split)
            library = _Library(folder)
    except InputError as error:
        return refused(error)
    except KeyboardInterrupt:
        complain("\nevostem: stopped; the kinds are as they were")
        return INTERRUPTED
    except OSError as error:
        return refused(InputError(f"{error.filename or path}: {error.strerror or error}; the kinds are as they were"))
    except Exception as error:  # the last resort: a person gets a line
        said = str(error).split("\n")[0] or type(error).__name__
        complain(f"evostem: failed: {said}; the kinds are as they were")
        return FAILED
    return answer(lambda: _show(library.kinds))


class _Library:
    """The kinds that a run has found, in order of their numbers, and the signatures of each.

    Raises InputError where there are none.
    """

    def __init__(self, folder: RunFolder) -> None:
        if not folder.maps.exists() or not (folder.defects.exists() or folder.library.exists()):
            raise InputError(f"{folder.path}: has no kinds of defects yet; give the command again that makes the run")
        RunResults(folder.path)  # complains of one from an earlier version
        if not folder.library.exists():
            raise InputError(f"{folder.path}: has no kinds: no defects were found, or evostem.log tells what failed")
        try:
            self.kinds: list[Kind] = load_kinds(folder.library)
            self.signatures: dict[int, list[Signature]] = load_signatures(folder.signatures)
        except (OSError, ValueError, KeyError, TypeError) as error:
            said = " ".join(str(error).split())
            raise InputError(f"{folder.library.parent}: is damaged ({said}); {MADE_ANEW}") from None


def _change(folder: RunFolder, names: Sequence[str], merge: str | None, split: int | None) -> None:
    """Decide, and make again all that depends on kinds."""
    config = load_config(folder.config, {})
    with folder.claimed(config):
        decisions = load_decisions(folder.names)
        _decide(decisions, _Library(folder), names, merge, split)
        with _made_aside(folder) as aside:
            save_decisions(decisions, aside.names)
            _analyse_again(aside, config, Progress(Console(soft_wrap=True, file=cast(IO[str], Terminal()))))


def _decide(
    decisions: Decisions, library: _Library, names: Sequence[str], merge: str | None, split: int | None
) -> None:
    """Add what was decided now."""
    called = {kind.number: kind.name for kind in library.kinds}
    given = {_existing(number, called, "--name"): name for number, name in map(_name, names)}
    called |= given
    if merge is not None:
        numbers = [_existing(number, called, "--merge") for number in _several(merge)]
        given |= dict.fromkeys(numbers, called[numbers[0]])
    _refuse_across_sublattices(library.kinds, called | given)
    for number, name in given.items():
        for one in library.signatures[number]:
            decisions.name(one, name)
    if split is not None:
        number = _existing(split, called, "--split")
        if library.kinds[number - 1].count < 2:
            raise InputError(f"--split {number}: only one such defect was found")
        decisions.split(library.signatures[number])


def _refuse_across_sublattices(found: Sequence[Kind], called: Mapping[int, str]) -> None:
    """Kinds of one name are one kind, whose defects are followed over the columns of its sublattice."""
    first: dict[str, Kind] = {}
    for kind in found:
        other = first.setdefault(called[kind.number], kind)
        if other.sublattice != kind.sublattice:
            where = " and ".join(f"{one.number} ({one.sublattice or 'on none'})" for one in (other, kind))
            raise InputError(f"kinds {where} are on different sublattices and cannot be one")


def _existing(number: int, known: Mapping[int, str], option: str) -> int:
    if number not in known:
        raise InputError(f"{option}: there is no kind {number}; there are {', '.join(map(str, known))}")
    return number


def _name(given: str) -> tuple[int, str]:
    told = NAMED.fullmatch(given)
    if told is None:
        raise InputError(f"--name {given}: give a kind's number and its name, such as --name 2=oxygen")
    if len(told[2]) > LONGEST_NAME or not told[2].isprintable():
        raise InputError(f"--name {given}: a name is one line of at most {LONGEST_NAME} characters")
    return int(told[1]), told[2]


def _several(given: str) -> list[int]:
    parts = [part.strip() for part in given.split(",")]
    if len(set(parts)) < 2 or not all(part.isdecimal() for part in parts):
        raise InputError(f"--merge {given}: give the numbers of the kinds to be one, such as --merge 2,3")
    return [int(part) for part in parts]


@contextmanager
def _made_aside(folder: RunFolder) -> Iterator[RunFolder]:
    """A folder that holds all that the run's does but what depends on kinds.

    What is made there becomes the run's in the end; whatever fails before leaves the run as it was.
    """
    shutil.rmtree(folder.aside, ignore_errors=True)
    aside = RunFolder(folder.aside / folder.path.name)  # whose name the report has for its title
    aside.path.mkdir(parents=True)
    dependent = {folder.library.parent, folder.histories, folder.figures}
    try:
        for entry in folder.path.iterdir():
            if entry not in dependent and not entry.name.startswith("."):
                (aside.path / entry.name).symlink_to(entry)
        yield aside
        made = [path for path in aside.path.rglob("*") if path.is_file() and not path.is_symlink()]
        for path in made:
            goal = folder.path / path.relative_to(aside.path)
            goal.parent.mkdir(exist_ok=True)
            path.replace(goal)
    finally:
        shutil.rmtree(folder.aside, ignore_errors=True)


def _analyse_again(folder: RunFolder, config: RunConfig, progress: Progress) -> None:
    """Make again all that depends on kinds. Raises RuntimeError if there would be no kinds."""
    progress.say("grouping and following defects")
    failed = analyse(folder.path, source_of(config), folder.maps)
    if not folder.library.exists():
        raise RuntimeError(failed[0] if failed else "there would be no kinds")
    progress.say("drawing figures")
    rules = Rules(config.search.population, config.search.fitness, config.search.lifetime, config.tuning.good_share)
    targets = tuple(RunResults(folder.path).targets.values())
    drawn: Drawn = draw_figures(folder.path, targets, rules, folder.maps)
    failed += [f"a figure could not be drawn: {reason}" for reason in drawn.failed]
    progress.say("writing the report")
    failed += [f"a part of the report could not be made: {reason}" for reason in write_report(folder.path)]
    for reason in failed:
        progress.say(f"warning: {reason}")


def _show(found: Sequence[Kind]) -> None:
    console = Console(soft_wrap=True)
    table = Table(box=box.SIMPLE_HEAD)
    for heading in ("kind", "name", "on", "found", "intensity", "network says"):
        right = heading in ("kind", "found", "intensity")
        table.add_column(heading, justify="right" if right else "left", no_wrap=right, overflow="fold")
    for kind in found:
        ratio = "" if math.isnan(kind.ratio) else f"{kind.ratio:.2f} ± {kind.ratio_sd:.2f}"
        called = f"{100 * kind.class_share:.0f} % {kind.class_name}"
        cells = (str(kind.number), kind.name, kind.sublattice or "-", f"{kind.count:,}", ratio, called)
        table.add_row(*(Text(cell) for cell in cells))  # a name may look like rich's markup
    console.print(table)
    console.print("on: its sublattice, A the brightest. intensity: beside that of a perfect column there.")
    console.print("--name NUMBER=NAME names a kind, --merge 2,3 makes two one, --split 2 makes one two.")
