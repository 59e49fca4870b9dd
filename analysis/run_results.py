"""What a run folder holds, for figures, notebooks and the report."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analysis.library.kinds import Kind, load_kinds
from analysis.results import MADE_ANEW, FrameResult, load_results
from analysis.tables import read_table
from analysis.target import Target
from data_prep.errors import InputError
from data_prep.files import whole_file

if TYPE_CHECKING:
    import pandas as pd

FOLDERS = {
    "library": ("kinds",),
    "histories": (
        "drift", "counts", "transitions", "dwell_times", "stays", "diffusion", "displacements", "surroundings",
    ),
}  # fmt: skip


def table_path(folder: Path, name: str) -> Path:
    """Where a run's table lies, without its suffix."""
    return next((folder / inner / name for inner, names in FOLDERS.items() if name in names), folder / name)


class RunResults:
    """Tables, maps and kinds of the run in a folder. Raises InputError if there is none."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.maps = folder / "maps.h5"
        if not (folder / "targets.json").exists():
            if self.maps.exists():
                raise InputError(f"{folder}: its results are from an earlier evostem; {MADE_ANEW}")
            raise InputError(f"{folder}: holds no results of a run yet; give the command that makes it")

    def table(self, name: str) -> pd.DataFrame:
        """A table by its name, such as `defects` or `transitions`. Raises InputError if it is not there."""
        return read_table(table_path(self.folder, name))

    @property
    def targets(self) -> dict[str, Target]:
        """The movies in which defects were sought, by their names."""
        return {target.name: target for target in load_targets(self.folder / "targets.json")}

    def frames(self, movie: str, numbers: Collection[int] | None = None) -> Iterator[FrameResult]:
        """What was found in each frame of a movie, in their order; only in those of `numbers`, if they are given."""
        return load_results(self.maps, movie, numbers)

    @property
    def kinds(self) -> list[Kind]:
        """The library's kinds, in order of their numbers; none where no defect was found."""
        file = self.folder / "library" / "library.h5"
        return load_kinds(file) if file.exists() else []


def save_targets(targets: Sequence[Target], path: Path) -> None:
    """Write targets as JSON, so that figures can be drawn from a run folder alone."""
    with whole_file(path) as temporary:
        temporary.write_text(json.dumps([_plain(target) for target in targets], indent=1) + "\n", encoding="utf-8")


def _plain(target: Target) -> dict[str, Any]:
    return {name: str(value) if isinstance(value, Path) else value for name, value in vars(target).items()}


def load_targets(path: Path) -> list[Target]:
    """Read what `save_targets` wrote."""
    found = []
    for stored in json.loads(path.read_text(encoding="utf-8")):
        truth = None if stored["truth"] is None else Path(stored["truth"])
        plain = {
            "movie": Path(stored["movie"]),
            "frames": tuple(stored["frames"]),
            "truth": truth,
            "defects": tuple(stored["defects"]),
            "legend": tuple((name, value) for name, value in stored["legend"]),
        }
        found.append(Target(**{**stored, **plain}))
    return found
