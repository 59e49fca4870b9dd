"""Put together what workers found in the frames, and make the library and the histories of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from analysis.confusion import scores_by_kind, write_confusion
from analysis.detections import Detections
from analysis.outliers import ODD
from analysis.results import FrameResult, MovieFacts, load_facts, load_results, merge_results
from analysis.run_results import load_targets, save_targets, table_path
from analysis.scores import Score
from analysis.summary import score_rows, write_scores
from analysis.tables import write_table
from analysis.target import Target
from analysis.views import columns_seen, look
from apps.detect import cell_of
from apps.placement import few_threads
from apps.prepare import Source
from data_prep.errors import InputError
from data_prep.labels import load_labels
from data_prep.movie import open_movie
from data_prep.normalise import local_contrast

if TYPE_CHECKING:
    import pandas as pd

    from analysis.histories.build import Histories
    from analysis.library.build import Library

Value = TypeVar("Value")


def collect(folder: Path, targets: tuple[Target, ...], *parts: Path) -> Path:
    """Put the parts together: maps, also for ImageJ, and the table of scores. Returns the path of `maps.h5`.

    That appears last: it says that all of this is there.
    """
    from analysis.map_stack import write_map_stack

    maps = folder / "parts" / "maps.h5"
    save_targets(targets, folder / "targets.json")
    merge_results(list(parts), maps)
    facts = load_facts(maps)
    rows = score_rows(maps)
    write_scores(rows, {movie: known.pixel_size_nm for movie, known in facts.items()}, folder / "scores")
    for movie, known in facts.items():
        write_map_stack(maps, movie, known.pixel_size_nm, known.frame_interval_s, folder / f"maps_{movie}.tif")
    return maps.replace(folder / maps.name)


def class_names_of(maps: Path) -> tuple[str, ...]:
    """The detector's classes, without the background."""
    import h5py

    with h5py.File(maps, "r") as stored:
        return tuple(json.loads(stored.attrs["class_names"]))


def labelled_frames(source: Source, labels: Path, class_names: Sequence[str]) -> list[FrameResult]:
    """The labelled frames, as if what people labelled had been found: by this, kinds get their names."""
    known, period = load_labels(labels)
    results = []
    with open_movie(source.movie, source.pixel_size_nm, source.dataset) as movie:
        cell = cell_of(movie)
        for number, frame in known.items():
            kinds = np.array([class_names.index(frame.class_names[kind - 1]) + 1 for kind in frame.kinds], np.int64)
            found = Detections(frame.objects, kinds, np.zeros(len(kinds), np.int64), frame.objects.scores)
            levelled = local_contrast(movie.frame(number), period)
            columns = columns_seen(levelled, cell)
            views = look(levelled, columns, cell, found, period, number)
            results.append(FrameResult("", number, period, network=found, columns=columns, views=views))
    return results


def analyse(folder: Path, source: Source, maps: Path) -> list[str]:
    """Make the library, the histories and the table of all defects; returns why parts of it could not be made.

    What people decided about kinds, in `library/names.json`, is kept to. The table of defects is written last, whatever
    fails before; of what fails there is an empty table. Raises InputError where the user can put it right, such as a
    full disk.
    """
    import sklearn.mixture  # noqa: F401 (its threads are limited, too, if it is there)

    with few_threads():
        return _Analysis(folder, source, maps).run()


class _Analysis:
    """The analysis of a run: each part is tried, and what fails is told."""

    def __init__(self, folder: Path, source: Source, maps: Path) -> None:
        self.folder, self.source, self.maps = folder, source, maps
        self.facts = load_facts(maps)
        self.class_names = class_names_of(maps)
        self.failed: list[str] = []
        self.library: Library | None = None
        self._kinds: dict[tuple[str, int], np.ndarray[tuple[int], np.dtype[np.int64]]] = {}

    def run(self) -> list[str]:
        from analysis.defect_table import defect_table

        self.library = self._try("the library of defects", self._build_library, None)
        self._write_library()
        histories = {
            movie: told
            for movie, known in self.facts.items()
            if (told := self._try(f"the histories of {movie}", lambda: self._build_histories(movie, known), None))  # noqa: B023
        }
        self._write_histories(histories)
        table = defect_table(
            load_results(self.maps, pictures=False),
            self.facts,
            self.class_names,
            self._kind_names,
            {movie: told.tracks for movie, told in histories.items()},
        )
        nothing: dict[str, Score] = {}
        by_kind = self._try("the confusion of kinds", lambda: self._by_kind(table), nothing)
        write_confusion(score_rows(self.maps), by_kind, table_path(self.folder, "confusion"))
        write_table(table, table_path(self.folder, "defects"))
        return self.failed

    def _try(self, what: str, make: Callable[[], Value], otherwise: Value) -> Value:
        """What is made, or something else and the reason: nothing that was found shall be lost."""
        try:
            return make()
        except InputError:
            raise
        except Exception as error:
            reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
            self.failed.append(f"{what} could not be made: {reason}")
            return otherwise

    def _build_library(self) -> Library | None:
        from analysis.library.build import build_library
        from analysis.library.names import load_decisions

        return build_library(
            lambda: load_results(self.maps, maps=False),
            labelled_frames(self.source, self.folder / "labels.h5", self.class_names),
            self.facts,
            self.class_names,
            load_decisions(self.folder / "library" / "names.json"),
        )

    def _write_library(self) -> None:
        """The library's files; without one there are no kinds, and what an analysis before this made is gone."""
        from analysis.library.kinds import kinds_table, save_kinds
        from analysis.library.names import save_signatures

        pictures, signatures = (self.folder / "library" / name for name in ("library.h5", "signatures.json"))
        if self.library is None:
            pictures.unlink(missing_ok=True)
            signatures.unlink(missing_ok=True)
        else:
            save_kinds(self.library.kinds, pictures)
            save_signatures(self.library.signatures, signatures)
        write_table(kinds_table([] if self.library is None else self.library.kinds), table_path(self.folder, "kinds"))

    def _kinds_of(self, result: FrameResult) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        """The kind of each defect of a frame, reckoned once."""
        from analysis.library.build import kinds_of

        key = (result.movie, result.frame)
        if key not in self._kinds:
            assert self.library is not None  # noqa: S101 (histories need a library)
            self._kinds[key] = kinds_of(result, self.library.groups, self.library.numbers).astype(np.int32)
        return self._kinds[key]

    def _kind_names(self, result: FrameResult) -> list[str]:
        if self.library is None:
            assert result.network is not None  # noqa: S101 (it was read)
            return [(ODD, *self.class_names)[kind] for kind in result.network.kinds]
        return [self.library.names[number - 1] for number in self._kinds_of(result)]

    def _by_kind(self, defects: pd.DataFrame) -> dict[str, Score]:
        targets = {target.name: target for target in load_targets(self.folder / "targets.json")}
        if all(target.truth is None for target in targets.values()):
            return {}
        return scores_by_kind(load_results(self.maps, maps=False, pictures=False), targets, defects)

    def _build_histories(self, movie: str, known: MovieFacts) -> Histories | None:
        from analysis.histories.build import build_histories

        if self.library is None:
            return None
        frames = lambda: load_results(self.maps, movie, maps=False, pictures=False)  # noqa: E731
        return build_histories(frames, self._kinds_of, self.library, known)

    def _write_histories(self, histories: dict[str, Histories]) -> None:
        """The tables of all movies, each kind of table in one file."""
        import pandas as pd

        from analysis.histories.build import TABLES, empty_table
        from analysis.surroundings import COLUMNS, surroundings

        for name in TABLES:
            parts = [getattr(told, name).assign(movie=movie) for movie, told in histories.items()]
            full = [part for part in parts if len(part)]
            table = pd.concat(full, ignore_index=True) if full else empty_table(name).assign(movie="")
            write_table(table[["movie", *table.columns.drop("movie")]], table_path(self.folder, name))
        around = pd.DataFrame(columns=list(COLUMNS))
        if self.library is not None:
            kinds, frames = self.library.kinds, load_results(self.maps, maps=False, pictures=False)
            around = self._try(
                "the surroundings of defects", lambda: surroundings(frames, self._kinds_of, kinds, self.facts), around
            )
        write_table(around, table_path(self.folder, "surroundings"))
