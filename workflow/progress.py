"""What a person sees while a run works: stages as they pass, and how the search is doing."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from math import isnan, nan
from typing import TYPE_CHECKING, Any

from rich.text import Text

from search.evaluation import Evaluation, Status
from workflow.standing import Standing, duration

if TYPE_CHECKING:
    from rich.console import Console

    from analysis.summary import Row
    from search.journal import Journal

log = logging.getLogger("evostem")
REDRAW_S = 0.5
PLAIN_EVERY_S = 15.0  # between lines where there is no terminal to redraw


class Terminal:
    """The standard output. Once the terminal is closed, what is written goes nowhere."""

    def __getattr__(self, name: str) -> Any:
        return getattr(sys.stdout, name)

    def write(self, text: str) -> int:
        """Write text, if that can be."""
        with suppress(OSError):
            sys.stdout.write(text)
        return len(text)

    def flush(self) -> None:
        """Have what was written appear."""
        with suppress(OSError):
            sys.stdout.flush()


class LogFile(logging.FileHandler):
    """A run's log. A disk that is full for a while costs lines, not the run."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 (the library's name)
        """Lose the line."""


class Progress:
    """Lines to the terminal and to the run's log."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.started = time.monotonic()
        self._said = ""

    def say(self, text: str) -> None:
        """A line, with the time since the start."""
        self._said = text
        log.info(text)
        self.console.print(Text.assemble((f"{time.monotonic() - self.started:5.0f} s  ", "dim"), text))

    @contextmanager
    def waiting(self, text: str) -> Iterator[None]:
        """Show that something is being done, where a terminal can."""
        log.info(text)
        with self.console.status(text):
            yield

    @contextmanager
    def campaign(self, name: str, stage: str, budget: int, journal: Journal) -> Iterator[CampaignView]:
        """Follow a campaign of up to `budget` evaluations; what the journal holds of its stage is done."""
        view = CampaignView(name, stage, budget, journal)
        if not self.console.is_terminal:
            view.show = self._now_and_then(PLAIN_EVERY_S, self.say)
            yield view
        else:
            with self.console.status(view.line()) as status:
                view.show = self._now_and_then(REDRAW_S, status.update)
                yield view
        if view.line() != self._said:
            self.say(view.line())

    @staticmethod
    def _now_and_then(every_s: float, show: Callable[[str], None]) -> Callable[[Callable[[], str]], None]:
        """Shows a line, which is made only then, if the last was shown long enough ago."""
        last = time.monotonic()

        def offer(line: Callable[[], str]) -> None:
            nonlocal last
            if time.monotonic() - last > every_s:
                last = time.monotonic()
                show(line())

        return offer

    def table(self, rows: Sequence[Row]) -> None:
        """The tables of scores, one a movie: the Fourier filter beside the network."""
        from rich import box
        from rich.table import Table

        from analysis.bootstrap import intervals
        from analysis.scores import precision_recall_f1
        from analysis.summary import overall

        summed_up = overall(rows)
        for movie in dict.fromkeys(row.movie for row in rows):
            table = Table(
                title=f"{movie}: detection on held-out frames",
                box=box.SIMPLE_HEAD,
                padding=(0, 1),
                collapse_padding=True,
                pad_edge=False,
            )
            table.add_column("frame", justify="right")
            for method in ("Fourier", "network"):
                for name in (f"{method}\nprec.", "\nrecall", "\nF1", "\npixels"):
                    table.add_column(name, justify="right")
            for row in (row for row in rows if row.movie == movie):
                cells = []
                for score in row.scores.values():
                    precision, recall, f1 = precision_recall_f1(score.counts)
                    low, high = intervals(score)["f1"] if row in summed_up else (nan, nan)
                    between = "" if isnan(low) else f"\n{low:.2f}-{high:.2f}"
                    cells += [f"{precision:.2f}", f"{recall:.2f}", f"{f1:.3f}{between}", f"{score.pixel_accuracy:.4f}"]
                table.add_row(row.frame, *cells, style="bold" if row.frame == "all" else None)
            self.console.print(table)
        self.console.print(
            "Fourier: filter tuned on the labelled frame. pixels: share of pixels rightly called defect or not.\n"
            "Below F1 its 95 % interval, by resampling places.",
            style="dim",
            highlight=False,
        )


class CampaignView:
    """Networks per minute, best so far, time left, utilisation."""

    def __init__(self, name: str, stage: str, budget: int, journal: Journal) -> None:
        self.name, self.stage, self.budget, self.journal = name, stage, budget, journal
        self.standing = Standing()
        for evaluation in journal.evaluations(stage):
            self.standing.add(evaluation)
        self.show: Callable[[Callable[[], str]], None] = lambda _: None

    def result(self, evaluation: Evaluation) -> None:
        """Take in one more evaluation."""
        self.standing.add(evaluation)
        if evaluation.status is not Status.OK:
            log.warning("network %d: %s, %s", evaluation.request.index, evaluation.status, evaluation.reason)
        log.info(
            "network %d: fitness %.4f, %s", evaluation.request.index, evaluation.fitness, evaluation.request.origin
        )
        self.show(self.line)

    def line(self) -> str:
        """One line on how it stands."""
        standing, crew = self.standing, self.journal.crew(self.stage)
        parts = [f"{self.name}: {standing.done} of {self.budget} networks"]
        if standing.best is not None:
            parts.append(f"best error {1 - standing.best.fitness:.3f}")
        rate = standing.per_minute(crew)
        if rate:
            parts.append(f"{rate:.0f}/min")
            parts.append(f"{100 * standing.time.share(crew):.0f} % busy")
            if standing.done < self.budget:
                parts.append(f"{duration((self.budget - standing.done) / rate * 60)} left")
        failed = standing.failures.total()
        if failed:
            parts.append(f"{failed} failed")
        return ", ".join(parts)
