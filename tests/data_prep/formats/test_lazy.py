"""A movie larger than memory is opened and read frame by frame."""

import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from data_prep.movie import open_movie

LARGE = (2560, 2048, 2048)
FRAME_BYTES = 2 * 2048 * 2048


def test_a_movie_of_21_gigabytes_costs_a_few_frames_of_memory(
    tmp_path: Path, large: tuple[str, Callable[[Path, NDArray[np.uint16]], None]]
) -> None:
    name, write = large
    last = np.random.default_rng(2).integers(0, 60000, LARGE[1:], dtype=np.uint16)
    write(tmp_path / name, last)
    tracemalloc.start()
    try:
        with open_movie(tmp_path / name) as movie:
            assert (movie.frames, movie.shape) == (LARGE[0], LARGE[1:])
            assert tracemalloc.get_traced_memory()[1] < 4 * FRAME_BYTES
            tracemalloc.reset_peak()
            image = movie.frame(LARGE[0] - 1)
            # As stored, copied, as float32 and the mask of what is finite: 5.5 times the bytes stored.
            assert tracemalloc.get_traced_memory()[1] < 8 * FRAME_BYTES
    finally:
        tracemalloc.stop()
    np.testing.assert_array_equal(image, last)
