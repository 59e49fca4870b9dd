"""A movie larger than memory is opened and read frame by frame."""

import struct
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray

from data_prep.movie import open_movie

Image = NDArray[np.uint16]
Writers = dict[str, Callable[..., None]]
LARGE = (2560, 2048, 2048)  # 21 GB of 16-bit numbers, sparse on disk
FRAME_BYTES = 2 * 2048 * 2048
MARK = b"-- the pixels of a large movie --"  # which the DM4 writer puts for those of a broadcast array


def large_plain_tiff(path: Path, last: Image, writers: Writers) -> None:  # noqa: ARG001
    pages = tifffile.memmap(path, shape=LARGE, dtype=np.uint16, bigtiff=True, photometric="minisblack")
    pages[-1] = last


def large_one_page_tiff(path: Path, last: Image, writers: Writers) -> None:  # noqa: ARG001
    axes = {"axes": "TYX"}
    stack = tifffile.memmap(path, shape=LARGE, dtype=np.uint16, imagej=True, truncate=True, metadata=axes)
    stack[-1] = last


def large_hdf5(path: Path, last: Image, writers: Writers) -> None:  # noqa: ARG001
    with h5py.File(path, "w") as out:
        out.create_dataset("frames", LARGE, np.uint16)[-1] = last


def large_chunked_hdf5(path: Path, last: Image, writers: Writers) -> None:  # noqa: ARG001
    with h5py.File(path, "w") as out:
        frames = out.create_dataset("frames", LARGE, np.uint16, chunks=(1, 256, 2048), compression="gzip")
        frames[-3:] = last


def large_velox(path: Path, last: Image, writers: Writers) -> None:
    writers["velox"](path)
    with h5py.File(path, "a") as out:
        group = out["Data/Image"][f"{0:032x}"]
        del group["Data"]
        frames = group.create_dataset("Data", (*LARGE[1:], LARGE[0]), np.uint16, chunks=(*LARGE[1:], 1))
        frames[..., -3:] = last[..., None]


def large_npy(path: Path, last: Image, writers: Writers) -> None:  # noqa: ARG001
    np.lib.format.open_memmap(path, "w+", np.uint16, LARGE)[-1] = last


def large_mrc(path: Path, last: Image, writers: Writers) -> None:
    writers["mrc"](path, data=np.broadcast_to(last[:1, :1], (1, *LARGE[1:])))
    with path.open("r+b") as out:
        out.seek(8)
        out.write(struct.pack("<i", LARGE[0]))
        out.seek(36)
        out.write(struct.pack("<i", LARGE[0]))
        out.seek(1024 + 2 * LARGE[1] * LARGE[2] * (LARGE[0] - 1))
        out.write(last.tobytes())


def large_dm4(path: Path, last: Image, writers: Writers) -> None:
    writers["dm4"](path, data=np.broadcast_to(np.uint16(0), LARGE))
    before, after = path.read_bytes().split(MARK)
    with path.open("wb") as out:
        out.write(before)
        out.seek(2 * LARGE[1] * LARGE[2] * (LARGE[0] - 1), 1)
        out.write(last.tobytes())
        out.write(after)


def large_ser(path: Path, last: Image, writers: Writers) -> None:  # noqa: ARG001
    images, rows, columns = LARGE
    head = struct.pack("<HHHIIII", 0x4949, 0x0197, 0x0220, 0x4122, 0x4152, images, images)
    dimension = struct.pack("<IddIII", images, 0, 0.5, 0, 0, 0)
    array = len(head) + 12 + len(dimension)
    length = 50 + 2 * rows * columns
    starts = [array + 8 * images + place * length for place in range(images)]
    with path.open("wb") as out:
        out.write(head + struct.pack("<QI", array, 1) + dimension + struct.pack(f"<{images}Q", *starts))
        for start in starts:
            out.seek(start)
            out.write(struct.pack("<ddiddiHII", 0, 1e-11, 0, 0, 1e-11, 0, 2, columns, rows))
        out.write(last[::-1].tobytes())


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("pages.tif", large_plain_tiff),
        ("one_page.tif", large_one_page_tiff),
        ("frames.h5", large_hdf5),
        ("chunks.h5", large_chunked_hdf5),
        ("velox.emd", large_velox),
        ("frames.npy", large_npy),
        ("frames.mrc", large_mrc),
        ("frames.dm4", large_dm4),
        ("frames.ser", large_ser),
    ],
)
def test_a_movie_of_21_gigabytes_costs_a_few_frames_of_memory(
    tmp_path: Path, name: str, write: Callable[[Path, Image, Writers], None], writers: Writers
) -> None:
    last = np.random.default_rng(2).integers(0, 60000, LARGE[1:], dtype=np.uint16)
    write(tmp_path / name, last, writers)
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
