"""Files of labels as the programs write them."""

import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import roifile
from numpy.typing import NDArray

SHAPE = (60, 90)  # not square: exchanged axes show


@pytest.fixture
def disk() -> Callable[[tuple[float, float], float], NDArray[np.bool_]]:
    """Pixels of a frame of `SHAPE` whose centres are within a radius of (y, x)."""

    def make(centre: tuple[float, float], radius: float) -> NDArray[np.bool_]:
        y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
        return np.asarray((y - centre[0]) ** 2 + (x - centre[1]) ** 2 <= radius**2)

    return make


@pytest.fixture
def rois(tmp_path: Path) -> Callable[..., Path]:
    """A zip of ROIs, each entry named as the ROI is."""

    def make(*members: roifile.ImagejRoi, name: str = "RoiSet.zip") -> Path:
        path = tmp_path / name
        with zipfile.ZipFile(path, "w") as archive:
            for roi in members:
                archive.writestr(f"{roi.name}.roi", roi.tobytes())
        return path

    return make
