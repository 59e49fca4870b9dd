"""`evostem kinds`: look at the kinds of defects that a run has found, name them, merge and split them."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

from analysis.library.kinds import Kind, load_kinds
from analysis.library.names import Decisions, load_decisions, load_signatures, save_decisions
from analysis.population import Rules
from apps.analyse import analyse
from apps.draw import draw_figures, write_report
from data_prep.errors import InputError
from workflow.config import load_config
from workflow.inputs import source_of, targets_of
from workflow.progress import Progress
from workflow.run import FAILED, INTERRUPTED, answer
from workflow.run_folder import RunFolder, existing_run

NAMED = re.compile(r"\s*(\d+)\s*=\s*(.+?)\s*")
LONGEST_NAME = 60


def kinds(path: Path, names: Sequence[str], merge: str | None, split: int | None) -> int:
    """Show the kinds of the run in folder `path`, after what is to be changed; returns the exit status."""
    try:
        return answer(lambda: _kinds(existing_run(path), names, merge, split))
    except KeyboardInterrupt:
        return INTERRUPTED
    except RuntimeError as error:
        Console(stderr=True).print(f"evostem: failed: {error}; the same command tries again", soft_wrap=True)
        return FAILED


def _kinds(folder: RunFolder, names: Sequence[str], merge: str | None, split: int | None) -> None:
    if not folder.library.exists():
        raise InputError(f"{folder.path}: has no kinds of defects yet; give the command again that makes the run")
    console = Console(soft_wrap=True)
    if names or merge is not None or split is not None:
        config = load_config(folder.config, {})
        with folder.claimed(config):
            decisions = _decided(folder, names, merge, split)
            before = folder.names.read_bytes() if folder.names.exists() else None
            save_decisions(decisions, folder.names)
            try:
                _analyse_again(folder, Progress(console))
            except InputError:
                _put_back(folder.names, before)
                raise
    _show(load_kinds(folder.library), console)


def _decided(folder: RunFolder, names: Sequence[str], merge: str | None, split: int | None) -> Decisions:
    """What was decided before, and now."""
    known = {kind.number: kind.name for kind in load_kinds(folder.library)}
    signatures = load_signatures(folder.signatures)
    decisions = load_decisions(folder.names)
    for given in names:
        number, name = _name(given)
        for one in signatures[_existing(number, known, "--name")]:
            decisions.name(one, name)
    if merge is not None:
        numbers = [_existing(number, known, "--merge") for number in _several(merge)]
        for number in numbers:
            for one in signatures[number]:
                decisions.name(one, known[numbers[0]])
    if split is not None:
        decisions.split(signatures[_existing(split, known, "--split")])
    return decisions


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


def _put_back(path: Path, content: bytes | None) -> None:
    path.unlink(missing_ok=True) if content is None else path.write_bytes(content)


def _analyse_again(folder: RunFolder, progress: Progress) -> None:
    """Make again all that depends on kinds."""
    config = load_config(folder.config, {})
    source = source_of(config)
    targets = targets_of(config, source)
    rules = Rules(config.search.population, config.search.fitness, config.search.lifetime, config.tuning.good_share)
    steps: list[tuple[str, Callable[[], list[str]]]] = [
        ("grouping and following defects", lambda: analyse(folder.path, source, folder.maps)),
        ("drawing figures", lambda: draw_figures(folder.path, targets, rules, folder.maps).failed),
        ("writing the report", lambda: write_report(folder.path)),
    ]
    for what, do in steps:
        progress.say(what)
        for reason in do():
            progress.say(f"warning: {reason}")


def _show(found: Sequence[Kind], console: Console) -> None:
    table = Table(box=box.SIMPLE_HEAD)
    for heading in ("kind", "name", "on", "found", "intensity", "network says"):
        right = heading in ("kind", "found", "intensity")
        table.add_column(heading, justify="right" if right else "left", no_wrap=right, overflow="fold")
    for kind in found:
        ratio = "" if math.isnan(kind.ratio) else f"{kind.ratio:.2f} ± {kind.ratio_sd:.2f}"
        called = f"{100 * kind.class_share:.0f} % {kind.class_name}"
        table.add_row(str(kind.number), kind.name, kind.sublattice or "-", f"{kind.count:,}", ratio, called)
    console.print(table)
    console.print("on: its sublattice, A the brightest. intensity: beside that of a perfect column there.")
    console.print("--name NUMBER=NAME names a kind, --merge 2,3 makes two one, --split 2 makes one two.")
