"""Frames whose defects are known by construction."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from data_prep.labels import LabelledFrame
from data_prep.objects import Objects


@pytest.fixture
def points() -> Callable[..., Objects]:
    """Point objects at (y, x) in a frame of this shape."""

    def make(shape: tuple[int, int], *positions: tuple[float, float]) -> Objects:
        return Objects(np.array(positions, float).reshape(-1, 2), np.ones(len(positions)), np.zeros(shape, np.int32))

    return make


@pytest.fixture
def truth(points: Callable[..., Objects]) -> Callable[..., LabelledFrame]:
    """Labels of point defects at (y, x), all of one class; each is one pixel in the class map."""

    def make(shape: tuple[int, int], *positions: tuple[float, float]) -> LabelledFrame:
        class_map = np.zeros(shape, np.uint8)
        for y, x in positions:
            class_map[round(y), round(x)] = 1
        objects = points(shape, *positions)
        return LabelledFrame(class_map, objects, np.ones(len(positions), np.int64), ("vacancy",), "by hand")

    return make


@pytest.fixture
def spots() -> Callable[..., NDArray[np.float64]]:
    """Gaussians of given heights at (y, x), of this width in px, in an image of this shape."""

    def make(shape: tuple[int, int], width: float, heights: dict[tuple[float, float], float]) -> NDArray[np.float64]:
        y, x = np.mgrid[: shape[0], : shape[1]]
        image = np.zeros(shape)
        for at, height in heights.items():
            image += height * np.exp(-((y - at[0]) ** 2 + (x - at[1]) ** 2) / (2 * width**2))
        return image

    return make
