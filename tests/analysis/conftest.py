"""Frames whose defects are known by construction, and evaluations as a journal would have them."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from data_prep.labels import LabelledFrame
from data_prep.objects import Objects
from networks.genome import encode
from networks.space import sample
from search.evaluation import Evaluation, Request, Status


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


@pytest.fixture(scope="session")
def evaluated() -> Callable[..., Evaluation]:
    """An evaluation of two workers' search; the fitness of one that failed is 0, and a lost one has no times."""
    genomes = [encode(sample(np.random.default_rng(seed))) for seed in range(20)]

    def make(index, fitness=0.5, parents=(), status=Status.OK, stage="evolution", origin=None, genome=None, **record):
        origin = origin or ("prior", "change_genes", "uniform+insert_layer")[len(parents)]
        request = Request(index, stage, index // 4, genome or genomes[index % 20], 0, tuple(parents), origin)
        start = 100.0 + index // 2 * 10
        times = {"host": "n1", "worker": str(index % 2), "started": start, "ended": start + 8}
        known = {} if status is Status.LOST else {"inference_s_per_megapixel": 0.1, **times}
        return Evaluation(request, status, fitness=fitness if status is Status.OK else 0.0, **{**known, **record})

    return make
