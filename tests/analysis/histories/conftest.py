"""Movies of a crystal whose columns, drift and defects are known: made by hand, or simulated with their truth."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product

import numpy as np
import pandas as pd
import pytest
import tifffile

from analysis.columns import Columns, UnitCell, fitted_cell
from analysis.detections import Detections
from analysis.histories.build import Histories, build_histories
from analysis.histories.watch import Watched
from analysis.library.build import Library
from analysis.library.kinds import Kind
from analysis.results import FrameResult, MovieFacts
from analysis.views import Views, columns_seen, look
from data_prep.fourier.lattice import Lattice, find_lattice
from data_prep.normalise import local_contrast
from data_prep.objects import Objects, region_around
from data_prep.simulate import MovieSettings, simulate_movie

CONSTANT_PX = 10.0
SHAPE = (150, 210)
DOPANT, VACANCY, PAIR_VACANCY, HOLE, ADATOM = 1, 2, 3, 4, 5
RATIOS = {DOPANT: 0.5, VACANCY: 0.4, PAIR_VACANCY: -0.05}
PLACES = {DOPANT: "A", VACANCY: "B", PAIR_VACANCY: "B", HOLE: "", ADATOM: ""}
NAMES = {DOPANT: "dopant", VACANCY: "vacancy", PAIR_VACANCY: "pair vacancy", HOLE: "hole", ADATOM: "adatom"}


def honeycomb(turn: float = 0.2, constant_px: float = CONSTANT_PX, *, mono: bool = False) -> UnitCell:
    """The cell of two columns, or one, in a hexagonal lattice."""
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    vectors = constant_px * np.array([[1.0, 0.0], [-0.5, np.sqrt(0.75)]]) @ rotation
    columns = np.array([[0.0, 0.0], [1 / 3, 2 / 3]])[: 1 if mono else 2]
    gram = vectors @ vectors.T
    found = []
    for entries in product((-1.0, 0.0, 1.0), repeat=4):
        operation = np.array(entries).reshape(2, 2)
        moved = operation @ columns[-1] - columns[-1]
        if np.allclose(operation.T @ gram @ operation, gram) and np.allclose(moved, np.round(moved)):
            found.append(operation)
    found.sort(key=lambda operation: not (operation == np.eye(2)).all())
    lattice = Lattice(np.linalg.inv(vectors).T, np.array([[1, 0], [0, 1]]))
    return UnitCell(lattice, np.zeros((24, 24)), columns, np.array(found), 0.0, 2.0)


@dataclass
class Crystal:
    """Makes frames of a crystal: a column is (cell, cell, sublattice)."""

    cell: UnitCell
    shape: tuple[int, int] = SHAPE

    def place(self, column) -> np.ndarray:
        """Where a column is in a frame without drift."""
        return (np.array(column[:2]) + self.cell.columns[column[2]]) @ self.cell.lattice.vectors + 0.3

    def nearest(self, place, sublattice, count=1, drift=(0.0, 0.0)) -> list[tuple[int, int, int]]:
        """Columns of a sublattice in view, those nearest to a place (y, x) first."""
        numbers = [column for column in self.columns(drift=drift)[1] if column[2] == sublattice]
        return sorted(numbers, key=lambda column: np.linalg.norm(self.place(column) - place))[:count]

    def columns(self, defects=(), drift=(0.0, 0.0), *, noise=0.02, seed=0) -> tuple[Columns, dict]:
        """All columns in view and their numbers; `defects` gives the ratio of those that are not perfect.

        Cells are counted from another one in each frame.
        """
        rng = np.random.default_rng(seed)
        reach = int(3 * max(self.shape) / CONSTANT_PX)
        cells = np.stack(np.meshgrid(*2 * [np.arange(-reach, reach)], indexing="ij"), -1).reshape(-1, 2)
        index = np.tile(cells, (len(self.cell.columns), 1))
        sublattice = np.repeat(np.arange(len(self.cell.columns)), len(cells))
        positions = (index + self.cell.columns[sublattice]) @ self.cell.lattice.vectors + 0.3 + drift
        inside = ((positions >= 0) & (positions <= np.array(self.shape) - 1)).all(axis=1)
        index, sublattice, positions = index[inside], sublattice[inside], positions[inside]
        numbers = {(*cell, s): n for n, (cell, s) in enumerate(zip(index.tolist(), sublattice.tolist(), strict=True))}
        ratio = 1 + noise * rng.normal(size=len(index))
        for column, value in dict(defects).items():
            if column in numbers:
                ratio[numbers[column]] += value - 1
        still = np.zeros_like(positions)
        shown = index + rng.integers(-40, 40, 2)
        return Columns(positions, shown, sublattice, ratio, still, np.maximum(ratio, 0)), numbers

    def frame(
        self, number, defects=(), drift=(0.0, 0.0), *, missed=(), false=(), off=(), holes=(), noise=0.02, movie="m"
    ) -> FrameResult:
        """A frame with `defects` {column: kind}; the network misses some, and finds `false` ones {column: kind}.

        `off` the lattice are adatoms at (y, x); `holes` are (y, x, radius).
        """
        defects = dict(defects)
        ratios = {column: RATIOS[kind] for column, kind in defects.items()}
        columns, numbers = self.columns(ratios, drift, noise=noise, seed=number)
        seen = {column: kind for column, kind in {**defects, **dict(false)}.items() if column not in missed}
        seen = {column: kind for column, kind in seen.items() if column in numbers}
        at = [numbers[column] for column in seen]
        y, x = np.mgrid[: self.shape[0], : self.shape[1]]
        regions = np.zeros(self.shape, np.int32)
        for count, (top, left, radius) in enumerate(holes):
            regions[np.hypot(y - top, x - left) <= radius] = len(seen) + len(off) + count + 1
        places = [*columns.positions[at].tolist(), *off, *(hole[:2] for hole in holes)]
        kinds = [*seen.values(), *[ADATOM] * len(off), *[HOLE] * len(holes)]
        objects = Objects(np.array(places, float).reshape(-1, 2), np.full(len(places), 0.9), regions)
        areas = np.bincount(regions.ravel(), minlength=len(places) + 1)[1:]
        network = Detections(objects, np.array(kinds, np.int64), areas, objects.scores)
        none = np.zeros((len(places), 1, 1), np.float32)
        under = np.array([*at, *[-1] * (len(places) - len(at))], np.int64)
        views = Views(under, none, none, np.zeros(0, np.int64), none[:0], none[:0])
        period = self.cell.lattice.period_px
        return FrameResult(movie, number, period, network=network, columns=columns, views=views)


def library_of(ratios=RATIOS, spread=0.03, places=PLACES, names=NAMES) -> Library:
    """A library of the kinds that are made."""
    none = np.zeros((1, 1), np.float32)
    kinds = [
        Kind(
            number, name, places[number], 1, none, none, none[None], 1.0, 0.1,
            ratios.get(number, np.nan), spread, name, 1.0,
        )
        for number, name in names.items()
    ]  # fmt: skip
    return Library(kinds, {}, {}, {})


def kinds_of(result: FrameResult) -> np.ndarray:
    """The kinds that were made."""
    return result.network.kinds


def watched(ratio, found=None, sublattice=None, rim=None, hole=None, noise=0.08) -> Watched:
    """Columns far from one another, all in view, by their ratios (t, n); `found` by the network or not."""
    ratio = np.asarray(ratio, float)
    steps, count = ratio.shape
    off = np.zeros(ratio.shape, bool)
    sublattice = np.ones(count, int) if sublattice is None else np.array(sublattice)
    found = (ratio < 0.7) if found is None else np.array(found)
    places = np.stack([np.zeros(count), 100.0 * np.arange(count)], axis=1)
    return Watched(
        np.arange(steps), np.zeros((steps, 2)), places, sublattice, np.broadcast_to(places, (*ratio.shape, 2)), ratio,
        np.where(found, 0, -1), found, off if hole is None else hole, off if rim is None else rim, ~off,
        np.zeros((steps - 1, 2), int), np.full(2, noise),
    )  # fmt: skip


@pytest.fixture
def crystal() -> Crystal:
    return Crystal(honeycomb())


@pytest.fixture
def histories_of() -> Callable[..., Histories]:
    """The histories of frames that were made."""

    def make(frames, cell=None, size_nm=0.03, interval_s=2.0, library=None) -> Histories:
        facts = MovieFacts(size_nm, interval_s, cell)
        return build_histories(lambda: iter(frames), kinds_of, library or library_of(), facts)

    return make


@dataclass(frozen=True)
class Known:
    """A simulated movie, what a network would have found in it, its truth."""

    settings: MovieSettings
    frames: list[FrameResult]
    truth: pd.DataFrame
    histories: Histories
    cell: UnitCell


SIMULATED = MovieSettings(
    frames=36,
    size_px=(184, 240),
    field_nm=9.0,
    dose=8000,
    hopping=0.1,
    filling=0.03,
    knock_on=0.003,
    vacancy_share=0.03,
    binding=0.1,
    release=0.15,
    hole_from_frame=18,
    hole_radius_nm=0.9,
    contamination=0.2,
    drift_px=1.2,
    seed=3,
)
FALSE = 5  # number of the kind of what is none


@pytest.fixture(scope="session")
def known(tmp_path_factory) -> Known:
    """36 frames; the network misses 8 % of the defects, and finds 1.5 in a frame that are none."""
    folder = tmp_path_factory.mktemp("known")
    simulate_movie(folder / "movie.tif", folder / "truth.csv", SIMULATED)
    images, truth = tifffile.imread(folder / "movie.tif"), pd.read_csv(folder / "truth.csv")
    lattice = find_lattice(images[0])
    cell = fitted_cell(local_contrast(images[0], lattice.period_px), lattice)
    rng = np.random.default_rng(1)
    frames = [_found(number, image, truth[truth["frame"] == number], cell, rng) for number, image in enumerate(images)]
    ratios = _ratios(frames)
    classes = SIMULATED.sites[2:]
    names = dict(enumerate(classes, start=1)) | {FALSE: "none"}
    places = dict(zip(names, ("A", "B", "B", "", ""), strict=True))
    library = library_of({n: m for n, (m, _) in ratios.items()}, 0.06, places, names)
    facts = MovieFacts(SIMULATED.pixel_size_nm, SIMULATED.frame_interval_s, cell)
    return Known(SIMULATED, frames, truth, build_histories(lambda: iter(frames), kinds_of, library, facts), cell)


def _found(number, image, rows, cell, rng) -> FrameResult:
    classes = SIMULATED.sites[2:]
    points = rows[(rows["site"] != "hole") & (rng.random(len(rows)) > 0.08)]
    places = points[["y_px", "x_px"]].to_numpy() + rng.normal(0, 0.3, (len(points), 2))
    false = rng.uniform(0, np.array(image.shape) - 1, (rng.poisson(1.5), 2))
    gone = rows[rows["site"] == "hole"][["y_px", "x_px"]].to_numpy()
    period = cell.lattice.period_px
    region = region_around(gone, 0.5 * period, image.shape) if len(gone) else np.zeros(image.shape, bool)
    centre = [np.argwhere(region).mean(axis=0)] if len(gone) else []
    kinds = [*[4] * len(centre), *[classes.index(site) + 1 for site in points["site"]], *[FALSE] * len(false)]
    positions = np.concatenate([np.array(centre).reshape(-1, 2), places, false])
    objects = Objects(positions, np.full(len(positions), 0.9), region.astype(np.int32))
    areas = np.bincount(objects.regions.ravel(), minlength=len(positions) + 1)[1:]
    network = Detections(objects, np.array(kinds, np.int64), areas, objects.scores)
    levelled = local_contrast(image, period)
    columns = columns_seen(levelled, cell)
    views = look(levelled, columns, cell, network, period, number)
    return FrameResult("m", number, period, network=network, columns=columns, views=views)


def _ratios(frames) -> dict[int, tuple[float, float]]:
    """Mean intensity of the columns of each kind, and its deviation, as a library would have them."""
    rows = []
    for result in frames:
        on = result.views.column >= 0
        rows += zip(result.network.kinds[on], result.columns.ratio[result.views.column[on]], strict=True)
    table = pd.DataFrame(rows, columns=["kind", "ratio"]).groupby("kind")["ratio"]
    return {kind: (values.median(), values.std()) for kind, values in table if kind < FALSE}
