"""What a file says in a way that could be read in two."""

from pathlib import Path

import numpy as np
import pytest
import tifffile

from data_prep.movie import open_movie

RNG = np.random.default_rng(3)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("frames", [3, 4])
def test_three_frames_of_a_tiff_are_no_colours(tmp_path: Path, frames: int, dtype: type) -> None:
    stack = RNG.integers(0, 200, (frames, 70, 90)).astype(dtype)
    tifffile.imwrite(tmp_path / "a.tif", stack, photometric="rgb", planarconfig="separate")  # its default
    with open_movie(tmp_path / "a.tif") as movie:
        assert (movie.frames, movie.notes) == (frames, ())
        for number in range(frames):
            np.testing.assert_array_equal(movie.frame(number), stack[number])


def test_colours_of_a_tiff_are_no_frames(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", RNG.integers(0, 200, (70, 90, 3), np.uint8), photometric="rgb")
    with open_movie(tmp_path / "a.tif") as movie:
        assert movie.frames == 1
        assert "colour" in movie.notes[0]


@pytest.mark.parametrize(("version", "signed"), [(0, False), (20140, True), (20141, True)])
def test_bytes_of_an_mrc_have_a_sign_since_2014(tmp_path: Path, version: int, *, signed: bool) -> None:
    stack = RNG.integers(0, 256, (2, 70, 90)).astype(np.uint8)
    header = np.zeros(256, "<i4")
    header[:4] = 90, 70, 2, 0
    header[27] = version
    raw = bytearray(header.tobytes())
    raw[208:216] = b"MAP \x44\x44\0\0"
    (tmp_path / "a.mrc").write_bytes(bytes(raw) + stack.tobytes())
    with open_movie(tmp_path / "a.mrc") as movie:
        np.testing.assert_array_equal(movie.frame(1), stack[1].view(np.int8) if signed else stack[1])
