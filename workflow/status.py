"""`evostem status`: how a run stands, once or for as long as somebody works on it."""

from __future__ import annotations

import math
import signal
import sys
import time
from collections import defaultdict, deque
from contextlib import closing
from pathlib import Path

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from search.evaluation import Evaluation, Status
from search.reading import JournalReader
from workflow.config import load_config
from workflow.run import answer
from workflow.run_folder import RunFolder, existing_run
from workflow.standing import Crew, Standing, budgets_of, duration

REDRAW_S = 1.0
REASONS = 3  # of the last failures
NOTHING = "-"


def status(path: Path) -> int:
    """Show how the run in folder `path` stands; in a terminal until nobody works on it. Returns the exit status."""
    try:
        return answer(lambda: _show(path))
    except KeyboardInterrupt:
        return 0  # that is how one stops looking


def _show(path: Path) -> None:
    console, watch = Console(), Watch(path)
    if sys.stdout.isatty() and console.is_interactive:
        _follow(watch, console)
    else:
        watch.look()
        console.print(watch.view(), soft_wrap=True)


def _follow(watch: Watch, console: Console) -> None:
    stopped: list[int] = []
    # A flag, as an exception may come where Python cannot raise it, and be lost.
    before = signal.signal(signal.SIGINT, lambda number, _: stopped.append(number))
    try:
        with Live(console=console, auto_refresh=False) as live:
            while not stopped:
                caught_up = watch.look(REDRAW_S)
                live.update(watch.view(), refresh=True)
                if caught_up:
                    if not watch.working:
                        return
                    time.sleep(REDRAW_S)
    finally:
        signal.signal(signal.SIGINT, before)


class Watch:
    """What is known of a run, looked at from outside: nothing in its folder is changed or held up."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.folder: RunFolder = existing_run(path)
        self.budgets = budgets_of(load_config(self.folder.config, {}))
        self.working = self.finished = False
        self.standings: dict[str, Standing] = defaultdict(Standing)
        self.crews: dict[str, Crew] = {}
        self.failed: deque[Evaluation] = deque(maxlen=REASONS)
        self._seen = 0

    def look(self, seconds: float = math.inf) -> bool:
        """Take in what is new, for about so many seconds; returns whether that was all."""
        # Asked first: what a driver wrote before it ended is seen.
        self.working, self.finished = self.folder.held, self.folder.finished
        if not self.folder.journal.exists():
            return True
        until = time.monotonic() + seconds
        with closing(JournalReader(self.folder.journal)) as journal:
            self.crews = {stage: journal.crew(stage) for stage in self.budgets}
            for evaluation in journal.evaluations(after=self._seen):
                self._seen += 1
                self.standings[evaluation.request.stage].add(evaluation)
                if evaluation.status is not Status.OK:
                    self.failed.append(evaluation)
                if time.monotonic() > until:
                    return False
        return True

    def view(self) -> Group:
        """What to show."""
        table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="bold")
        table.add_column("")
        columns = [self._column(stage) for stage in self.budgets]
        for stage in self.budgets:
            table.add_column(stage)
        for name in columns[0]:
            if any(column[name] for column in columns):
                table.add_row(Text(name, "dim"), *(Text(column[name] or NOTHING) for column in columns))
        reasons = [
            Text.assemble(
                (f"network {e.request.index}: ", "dim"), e.status.replace("_", " "), f", {e.reason}" * bool(e.reason)
            )
            for e in self.failed
        ]
        if reasons:
            reasons.insert(0, Text("\nlast failures", "dim"))
        return Group(self._headline(), Text(), table, *reasons)

    def _headline(self) -> Text:
        if self.finished:
            return Text.assemble((f"{self.path}: ", "bold"), ("finished", "green"))
        if self.working:
            return Text.assemble((f"{self.path}: ", "bold"), (f"working, {self._doing()}", "green"))
        said = f"interrupted while {self._doing()}; the same command goes on"
        return Text.assemble((f"{self.path}: ", "bold"), (said, "yellow"))

    def _doing(self) -> str:
        if not self.folder.journal.exists():
            return "preparing"
        if self.folder.detector.exists():
            return "finding defects in the other frames"
        if all(self._over(stage) for stage in self.budgets):
            return "training the best networks in full"
        return "searching"

    def _column(self, stage: str) -> dict[str, str]:
        """How one stage stands, in words."""
        standing, budget, crew = self.standings[stage], self.budgets[stage], self.crews.get(stage, ())
        rate = standing.per_minute(crew)
        running = self.working and not self.finished and bool(crew) and crew[-1][1] > 0
        since = duration(time.time() - standing.time.latest) + " ago" if running and standing.time.latest else ""
        left = "done" if self._over(stage) else duration((budget - standing.done) / rate * 60) if rate else ""
        return {
            "networks": f"{standing.done} of {budget}",
            "best error": standing.best_text(),
            "failed": standing.failures_text(),
            "networks/min": f"{rate:.1f}" if rate else "",
            "workers": str(crew[-1][1]) if running else "",
            "busy": f"{100 * standing.time.share(crew):.0f} %" if crew else "",
            "last result": since,
            "time left": left,
        }

    def _over(self, stage: str) -> bool:
        """Whether no more networks of a stage will come: its budget may not have been used up."""
        stages = list(self.budgets)
        later = stages[stages.index(stage) + 1 :]
        used_up = self.standings[stage].done >= self.budgets[stage]
        return used_up or self.finished or any(self.standings[s].done for s in later)
