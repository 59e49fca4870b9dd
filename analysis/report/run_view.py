"""A run as notebooks and the report show it."""

from __future__ import annotations

from contextlib import closing
from functools import cached_property
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from analysis.report.catalogue import FIGURES, FILES, FOLDERS, TABLES
from analysis.report.markup import Html, data_uri, joined, sentence
from analysis.report.tables_shown import shown_table, with_interval, written
from analysis.run_results import RunResults
from data_prep.errors import InputError
from search.evaluation import Status
from search.reading import JournalReader

if TYPE_CHECKING:
    import pandas as pd

    from analysis.target import Target

MOST_FRAMES = 60  # in all viewers of a page
FEWEST_FRAMES = 6  # in each of them


class RunView:
    """Shows what a run folder holds; what it does not hold is told of in a sentence."""

    def __init__(self, folder: str | Path) -> None:
        self.results = RunResults(Path(folder))
        self.folder = self.results.folder

    def headline(self) -> Html:
        """The numbers that matter most."""
        numbers = {**self._searched(), **self._scored(), **self._found()}
        items = []
        for name, number in numbers.items():
            value, between, interval = escape(number).partition(" (")
            said = value + (f" <small>({interval}</small>" if between else "")
            items.append(f"<div><dt>{escape(name)}</dt><dd>{said}</dd></div>")
        return Html(f'<dl class="headline">{"".join(items)}</dl>')

    def figure(self, name: str) -> Html:
        """A figure of the run, or of each of its movies, as it was drawn."""
        shown = FIGURES[name]
        drawn = [_figure(path, shown.caption, movie) for path, movie in self._drawings(name) if path.exists()]
        return joined(*drawn) if drawn else sentence(shown.nothing)

    def table(self, name: str) -> Html:
        """A table of the run; empty where that is not known."""
        file = str(Path(FOLDERS.get(name, "")) / f"{name}.csv")
        return shown_table(name, self._table(name), file, TABLES[name])

    def viewer(self) -> Html:
        """The frames of each movie, with what was found in them."""
        return joined(*(self._viewer(target) for target in self.results.targets.values()))

    def files(self) -> Html:
        """The files of the run that are of use to people, as links from the run's folder."""
        lines = []
        for pattern, said in FILES.items():
            found = sorted(path.relative_to(self.folder).as_posix() for path in self.folder.glob(pattern))
            links = ", ".join(f'<a href="{quote(name)}">{escape(name)}</a>' for name in found)
            lines += [f"<li>{links}: {escape(said)}</li>"] if found else []
        return Html(f"<ul>{''.join(lines)}</ul>")

    def _drawings(self, name: str) -> list[tuple[Path, str]]:
        """Where figures of this name may lie, and of which movie they are if there are several."""
        folder = self.folder / "figures"
        movies = list(self.results.targets)
        said = movies if len(movies) != 1 else [""]
        return [
            (folder / f"{name}.png", ""),
            *((folder / f"{name}_{m}.png", s) for m, s in zip(movies, said, strict=True)),
        ]

    def _table(self, name: str) -> pd.DataFrame:
        import pandas as pd

        try:
            return self.results.table(name)
        except InputError:
            return pd.DataFrame()

    @cached_property
    def _defects(self) -> pd.DataFrame:
        """The table of defects; the kind of those that are of none is what the network calls them."""
        defects = self.results.table("defects")
        return defects.assign(kind=defects["kind"].where(defects["kind"] != "", defects["class"]))

    def _viewer(self, target: Target) -> Html:
        from analysis.figures.panels import styles_of
        from analysis.figures.style import spread
        from analysis.report.frame_data import frame_data
        from analysis.report.viewer import viewer

        most = max(MOST_FRAMES // len(self.results.targets), FEWEST_FRAMES)
        numbers = {target.frames[at] for at in spread(len(target.frames), most)}
        results = self.results.frames(target.name, numbers)
        rows = self._defects[self._defects["movie"] == target.name]
        styles = styles_of(rows["kind"], [kind.name for kind in self.results.kinds])
        try:
            shown = viewer(frame_data(target, results, rows, list(styles)), styles)
        except InputError as error:
            return sentence(f"The frames of {target.name} cannot be shown: {error}")
        if len(numbers) < len(target.frames):
            return joined(shown, sentence(f"{len(numbers)} of {len(target.frames)} frames, evenly spread."))
        return shown

    def _searched(self) -> dict[str, str]:
        with closing(JournalReader(self.folder / "journal.sqlite")) as journal:
            fitness = [e.fitness for e in journal.evaluations() if e.status is Status.OK]
            count = journal.count()
        best = {"best on validation": f"{max(fitness):.3f}"} if fitness else {}
        return {"networks evaluated": f"{count:,}", **best}

    def _scored(self) -> dict[str, str]:
        """F1 of the network on all frames of each movie whose truth is known."""
        scores = self._table("scores")
        if scores.empty:
            return {}
        last = scores[scores["method"] == "network"].groupby("movie", sort=False).tail(1)
        among = len(last) > 1
        return {
            f"F1 on {row['movie']}" if among else "F1": with_interval(row["f1"], row["f1_low"], row["f1_high"])
            for row in last.to_dict("records")
        }

    def _found(self) -> dict[str, str]:
        defects = self._defects
        frames = sum(len(target.frames) for target in self.results.targets.values())
        count = (defects["found_by"] == "network").sum()
        numbers = {"frames": f"{frames:,}", "defects found": f"{count:,}"}
        return numbers | ({"kinds of defects": written(defects["kind"].nunique())} if len(defects) else {})


def _figure(path: Path, caption: str, movie: str) -> Html:
    """A drawing with its caption, and a box to tick for its full size."""
    text = escape(f"{movie}: {caption}" if movie else caption)
    picture = f'<div class="picture"><img src="{data_uri(path.read_bytes(), "image/png")}" alt="{text}"></div>'
    enlarge = '<label class="enlarge"><input type="checkbox"> full size</label>'
    return Html(f"<figure>{picture}<figcaption>{text} {enlarge}</figcaption></figure>")
