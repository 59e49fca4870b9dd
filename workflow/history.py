"""`evostem history`: what a run has evaluated, as a table to read or to work with."""

from __future__ import annotations

import heapq
import os
import shlex
import sys
from collections import defaultdict
from contextlib import closing
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from data_prep.errors import InputError
from data_prep.files import whole_file
from search.evaluation import Evaluation, Status
from search.reading import JournalReader
from search.record_table import FIRST_COLUMNS, spec_of, write_table
from workflow.run import INTERRUPTED, answer
from workflow.run_folder import RunFolder, existing_run
from workflow.standing import Standing

BEST = 10  # networks in the table


def history(path: Path, out: Path | None, *, csv: bool, optuna: bool) -> int:
    """Tell what the run in folder `path` has evaluated; returns the exit status."""
    try:
        return answer(lambda: _tell(path, out, csv=csv, optuna=optuna))
    except KeyboardInterrupt:
        return INTERRUPTED


def _tell(path: Path, out: Path | None, *, csv: bool, optuna: bool) -> None:
    if csv and optuna:
        raise InputError("--csv and --optuna: give one of them")
    if out is not None and not (csv or optuna):
        raise InputError(f"{out}: what shall be written there? give --csv or --optuna")
    folder = existing_run(path)
    nothing = InputError(f"{path}: no network was evaluated yet")
    if not folder.journal.exists():
        raise nothing
    with closing(JournalReader(folder.journal)) as journal:
        if not journal.next_index():
            raise nothing
        if csv:
            _write_csv(journal, out)
        elif optuna:
            _write_study(journal, folder, out)
        else:
            _show(journal)


def _write_csv(journal: JournalReader, out: Path | None) -> None:
    if out is None:
        write_table(journal, sys.stdout)
        return
    try:
        if out.exists() and not _is_table(out):
            raise InputError(f"{out}: is there already and no table of networks; give another file")
        with whole_file(out) as temporary, temporary.open("w", encoding="utf-8", newline="") as stream:
            count = write_table(journal, stream)
    except OSError as error:
        raise InputError(f"{out}: cannot be written ({error.strerror})") from None
    print(f"{count} networks: {out}")


def _is_table(path: Path) -> bool:
    """Whether a file may be replaced by a table of networks."""
    if not path.is_file():
        return False
    with path.open("rb") as stream:
        start = stream.read(1000)
    return not start or start.startswith(",".join(FIRST_COLUMNS).encode())


def _write_study(journal: JournalReader, folder: RunFolder, out: Path | None) -> None:
    from search.optuna_study import export

    file = out or Path(os.path.relpath(folder.study))
    with Console(stderr=True).status("") as line:
        studies = export(journal, file, folder.path.name, lambda count: line.update(f"{count} new trials in {file}"))
    for name, trials in studies.items():
        print(f"study '{name}': {trials} trials")
    print(f"look at it with: optuna-dashboard {shlex.quote(f'sqlite:///{file}')}  (pip install optuna-dashboard)")


def _show(journal: JournalReader) -> None:
    """The best networks, and a line for each stage."""
    standings: dict[str, Standing] = defaultdict(Standing)
    best: list[tuple[float, int, Evaluation]] = []
    for evaluation in journal.evaluations():
        standings[evaluation.request.stage].add(evaluation)
        if evaluation.status is Status.OK:
            entry = (evaluation.fitness, -evaluation.request.index, evaluation)
            (heapq.heappushpop if len(best) == BEST else heapq.heappush)(best, entry)
    ranked = [evaluation for _, _, evaluation in sorted(best, reverse=True)]
    console = Console()
    if ranked:
        console.print(_table(ranked))
        console.print(Text(f"best network: {spec_of(ranked[0])}"), soft_wrap=True)
    for stage, standing in standings.items():
        parts = [f"{stage}: {standing.done} networks", f"best error {standing.best_text()}" if standing.best else ""]
        crew = journal.crew(stage)
        parts += [standing.failures_text(), f"workers {100 * standing.time.share(crew):.0f} % busy" if crew else ""]
        console.print(Text(", ".join(part for part in parts if part)), soft_wrap=True)


def _table(ranked: list[Evaluation]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), collapse_padding=True, pad_edge=False, expand=True)
    for name in ("network", "stage", "error", "weights", "seconds"):
        table.add_column(name, justify="left" if name == "stage" else "right", no_wrap=True)
    table.add_column("layers and training", no_wrap=True, overflow="ellipsis", ratio=1)
    for e in ranked:
        facts = (str(e.request.index), e.request.stage, f"{1 - e.fitness:.4f}", str(e.weights))
        table.add_row(*facts, f"{e.ended - e.started:.1f}", Text(str(spec_of(e))))
    return table
