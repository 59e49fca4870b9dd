"""Movies and images whose truth is known by construction."""

import csv
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray

from data_prep.simulate import MovieSettings, simulate_movie

CALM = MovieSettings(
    frames=2,
    size_px=(128, 192),
    field_nm=6.0,
    dose=6500.0,
    dopant_share=0.0,
    vacancy_share=0.0,
    pair_vacancy_share=0.0,
    knock_on=0.0,
    filling=0.0,
    hopping=0.0,
    binding=0.0,
    release=0.0,
    switching=0.0,
    hole_from_frame=99,
    contamination=0.0,
    drift_px=0.0,
    jitter_px=0.0,
)


@pytest.fixture
def simulated(tmp_path: Path) -> Callable[..., tuple[NDArray[np.uint16], list[dict[str, str]]]]:
    """Simulate a calm movie, changed as asked, and read it back with plain readers: frames and truth rows."""

    def make(**changes: object) -> tuple[NDArray[np.uint16], list[dict[str, str]]]:
        settings = replace(CALM, **changes)
        simulate_movie(tmp_path / "made.tif", tmp_path / "made.csv", settings, tmp_path / "columns.csv")
        frames = tifffile.imread(tmp_path / "made.tif").reshape(settings.frames, *settings.size_px)
        return frames, table(tmp_path / "made.csv")

    return make


@pytest.fixture
def all_columns(simulated: Callable[..., object], tmp_path: Path) -> Callable[..., list[dict[str, str]]]:
    """Simulate as `simulated` does; the truth about every column in view."""

    def make(**changes: object) -> list[dict[str, str]]:
        simulated(**changes)
        return table(tmp_path / "columns.csv")

    return make


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as rows:
        return list(csv.DictReader(rows))


@pytest.fixture
def plane_waves() -> Callable[[tuple[int, int], float], NDArray[np.float64]]:
    """A perfect hexagonal lattice (y, x): three plane waves of this spacing in px, 60 degrees apart."""

    def make(shape: tuple[int, int], period_px: float) -> NDArray[np.float64]:
        y, x = np.mgrid[: shape[0], : shape[1]]
        turns = np.radians([13.0, 73.0, 133.0])
        return np.asarray(
            sum(np.cos(2 * np.pi * (y * np.sin(turn) + x * np.cos(turn)) / period_px) for turn in turns), float
        )

    return make


@pytest.fixture
def spot() -> Callable[[tuple[int, int], tuple[float, float], float], NDArray[np.float64]]:
    """A Gaussian of height 1 at (y, x), in an image of this shape, of this width in px."""

    def make(shape: tuple[int, int], at: tuple[float, float], width: float) -> NDArray[np.float64]:
        y, x = np.mgrid[: shape[0], : shape[1]]
        return np.asarray(np.exp(-((y - at[0]) ** 2 + (x - at[1]) ** 2) / (2 * width**2)))

    return make
