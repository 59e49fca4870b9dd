from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from analysis.baseline import tune_fourier
from analysis.scores import match, matching_f1
from data_prep.fourier.filters import Reference
from data_prep.fourier.labeller import FourierFilter, fourier_objects
from data_prep.fourier.lattice import lattice_period
from data_prep.label_files.label_file import choose_defects
from data_prep.label_files.reading import read_labels
from data_prep.labels import LabelledFrame
from data_prep.movie import open_movie

SHAPE = (130, 190)
PERIOD_PX = 8.0
DARK = [(30.0, 40.0), (60.0, 150.0), (95.0, 90.0), (40.0, 95.0), (100.0, 160.0)]
BRIGHT = [(85.0, 40.0), (30.0, 125.0), (70.0, 115.0)]
DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "tmd_expert"
Spots = Callable[..., NDArray[np.float64]]
Truth = Callable[..., LabelledFrame]


def lattice(seed: int) -> NDArray[np.float64]:
    """A hexagonal lattice (y, x) with noise."""
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    waves = [
        np.cos(2 * np.pi * (y * np.sin(turn) + x * np.cos(turn)) / PERIOD_PX) for turn in np.radians([13, 73, 133])
    ]
    return np.asarray(np.sum(waves, axis=0) + np.random.default_rng(seed).normal(0, 1.0, SHAPE))


def f1_of(frame: NDArray[np.float64], labels: LabelledFrame, darker: float, brighter: float | None) -> float:
    found = fourier_objects(frame, FourierFilter(darker, brighter))
    return matching_f1(match(found, labels, PERIOD_PX))


def test_dark_and_bright_defects_both_get_their_threshold(spots: Spots, truth: Truth) -> None:
    marks = dict.fromkeys(DARK, -4.0) | dict.fromkeys(BRIGHT, 4.0)
    frame, labels = lattice(1) + spots(SHAPE, 3.0, marks), truth(SHAPE, *DARK, *BRIGHT)
    tuned = tune_fourier([(frame, labels)])
    assert tuned.darker is not None
    assert tuned.brighter is not None
    assert f1_of(frame, labels, tuned.darker, tuned.brighter) == 1.0


def test_without_bright_defects_that_side_is_not_looked_at(spots: Spots, truth: Truth) -> None:
    """Bright marks that are no defects must not be found."""
    marks = dict.fromkeys(DARK, -4.0) | dict.fromkeys(BRIGHT, 4.0)
    frame, labels = lattice(2) + spots(SHAPE, 3.0, marks), truth(SHAPE, *DARK)
    tuned = tune_fourier([(frame, labels)])
    assert tuned.brighter is None
    assert tuned.darker is not None
    assert f1_of(frame, labels, tuned.darker, None) == 1.0


@pytest.mark.parametrize("seed", range(2))
def test_no_threshold_for_darker_spots_alone_does_better(spots: Spots, truth: Truth, seed: int) -> None:
    """Faint marks, some of which the noise hides."""
    depths = dict(zip(DARK, (-0.8, -1.2, -1.6, -2.0, -2.4), strict=True)) | dict.fromkeys(BRIGHT, 1.0)
    frame, labels = lattice(seed) + spots(SHAPE, 2.0, depths), truth(SHAPE, *DARK, *BRIGHT)
    tuned = tune_fourier([(frame, labels)])
    assert tuned.darker is not None
    reached = f1_of(frame, labels, tuned.darker, tuned.brighter)
    others = [f1_of(frame, labels, darker, None) for darker in np.arange(1.4, 8.01, 0.2)]
    assert reached >= max(others)
    assert max(others) > min(others)


def labelled_area(name: str) -> tuple[NDArray[np.float32], LabelledFrame, float]:
    """A real image with its expert labels, and its lattice period in px."""
    if not DATA.exists():
        pytest.skip("the shared STEM images are not here")
    with open_movie(DATA / f"{name}_maadf.dm4") as movie:
        frame = movie.frame(0)
    period = lattice_period(frame)
    atoms = read_labels(DATA / f"{name}_atoms.csv", (), None)
    defects = choose_defects(atoms, (), (512, 512), period)
    assert set(defects) == {"chalcogen_vacancy", "dopant_or_metal_vacancy"}
    return frame, atoms.label(0, defects, (512, 512), period), period


@pytest.mark.data
@pytest.mark.parametrize(("reference", "here", "elsewhere"), [("lattice", 0.82, 0.85), ("lowpass", 0.78, 0.83)])
def test_a_filter_tuned_on_one_real_area_finds_the_defects_of_another(
    reference: Reference, here: float, elsewhere: float
) -> None:
    frame, labels, period = labelled_area("area11")
    tuned = tune_fourier([(frame, labels)], reference)
    assert matching_f1(match(fourier_objects(frame, tuned), labels, period)) >= here
    frame, labels, period = labelled_area("area02")
    assert matching_f1(match(fourier_objects(frame, tuned), labels, period)) >= elsewhere
