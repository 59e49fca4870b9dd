"""The same movie in every format comes back as the same array."""

import warnings
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from data_prep.errors import InputError
from data_prep.formats.stored import open_stored
from data_prep.movie import Movie, open_movie

Named = tuple[str, Callable[[Path], None]]


def check_frames(movie: Movie, truth: SimpleNamespace) -> None:
    assert (movie.frames, movie.shape) == (3, (70, 90))
    for index in (2, 0, 1):
        assert movie.frame(index).dtype == np.float32
        np.testing.assert_array_equal(movie.frame(index), truth.stack[index])


def test_frames_pixel_size_and_interval_come_back(tmp_path: Path, scaled: Named, truth: SimpleNamespace) -> None:
    name, write = scaled
    write(tmp_path / name)
    with open_movie(tmp_path / name) as movie:
        assert movie.source == tmp_path / name
        check_frames(movie, truth)
        assert movie.pixel_size_nm == pytest.approx(truth.pixel_nm, rel=1e-6)
        assert movie.frame_interval_s == pytest.approx(truth.interval_s, rel=1e-6)
        assert movie.notes == ()


def test_formats_without_time_give_frames_and_pixel_size(
    tmp_path: Path, without_interval: Named, truth: SimpleNamespace
) -> None:
    name, write = without_interval
    write(tmp_path / name)
    with open_movie(tmp_path / name) as movie:
        check_frames(movie, truth)
        assert movie.pixel_size_nm == pytest.approx(truth.pixel_nm, rel=1e-6)
        assert movie.frame_interval_s is None


def test_formats_without_scale_give_frames(tmp_path: Path, without_scale: Named, truth: SimpleNamespace) -> None:
    name, write = without_scale
    write(tmp_path / name)
    with open_movie(tmp_path / name) as movie:
        check_frames(movie, truth)
        assert (movie.pixel_size_nm, movie.frame_interval_s) == (None, None)


def test_what_is_given_goes_before_what_is_stored(tmp_path: Path, any_format: Named) -> None:
    name, write = any_format
    write(tmp_path / name)
    with open_movie(tmp_path / name, pixel_size_nm=0.123, frame_interval_s=7.0) as movie:
        assert (movie.pixel_size_nm, movie.frame_interval_s) == (0.123, 7.0)


def open_files() -> set[str]:
    folder = Path("/proc/self/fd")
    return {str(one.readlink()) for one in folder.iterdir() if one.exists()} | {
        line.split()[-1] for line in Path("/proc/self/maps").read_text().splitlines()
    }


def test_no_file_stays_open(tmp_path: Path, any_format: Named) -> None:
    name, write = any_format
    write(tmp_path / name)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with open_movie(tmp_path / name) as movie:
            movie.frame(1)
        assert not [one for one in open_files() if one.startswith(str(tmp_path))]


def test_a_file_not_there_any_more_ends_in_one_line(tmp_path: Path, any_format: Named) -> None:
    name, write = any_format
    write(tmp_path / name)
    with open_movie(tmp_path / name) as movie:
        pass
    with pytest.raises(InputError, match=r"frame 0 cannot be read"):
        movie.frame(0)


def test_frames_keep_the_type_stored(tmp_path: Path, any_format: Named, truth: SimpleNamespace) -> None:
    name, write = any_format
    write(tmp_path / name)
    with open_stored(tmp_path / name) as stored:
        image = stored.read(1)
        assert image.dtype.itemsize in (2, 4, 8)
        assert image.flags.owndata or image.base.flags.owndata
        np.testing.assert_array_equal(image, truth.stack[1])


def test_the_pixel_size_in_an_extended_header_of_fei_goes_first(
    tmp_path: Path, writers: dict[str, Callable[..., None]], truth: SimpleNamespace
) -> None:
    path = tmp_path / "a.mrc"
    writers["mrc"](path)
    plain = bytearray(path.read_bytes())
    plain[92:96] = (1024 * 128).to_bytes(4, "little")
    extended = np.zeros(1024 * 32, "<f4")
    extended[11] = 0.05e-9  # metres a pixel
    path.write_bytes(bytes(plain[:1024]) + extended.tobytes() + bytes(plain[1024:]))
    with open_movie(path) as movie:
        assert movie.pixel_size_nm == pytest.approx(0.05)
        np.testing.assert_array_equal(movie.frame(2), truth.stack[2])
