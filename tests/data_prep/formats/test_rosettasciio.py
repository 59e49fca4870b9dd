"""What RosettaSciIO writes is read; and where a module here reads a format itself, both agree."""

import importlib
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from data_prep.errors import InputError
from data_prep.movie import open_movie

Writers = dict[str, Callable[..., Any]]
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")  # RosettaSciIO's own reader


@pytest.mark.parametrize(("suffix", "reader"), [("ser", "tia"), ("mrc", "mrc"), ("velox", "emd")])
def test_our_reader_and_rosettasciio_agree(
    tmp_path: Path, suffix: str, reader: str, writers: Writers, truth: SimpleNamespace
) -> None:
    path = tmp_path / f"a.{'emd' if suffix == 'velox' else suffix}"
    writers[suffix](path)
    signal = importlib.import_module(f"rsciio.{reader}").file_reader(str(path))[0]
    np.testing.assert_array_equal(signal["data"], truth.stack)
    time, y, x = signal["axes"]
    with open_movie(path) as movie:
        for index in range(3):
            np.testing.assert_array_equal(movie.frame(index), signal["data"][index])
        assert {y["units"], x["units"]} == {"nm"}
        assert movie.pixel_size_nm == pytest.approx(y["scale"])
        assert movie.pixel_size_nm == pytest.approx(x["scale"])
        if time["units"] == "s":
            assert movie.frame_interval_s == pytest.approx(time["scale"])


def test_a_stack_in_ripple_form_is_read(tmp_path: Path, writers: Writers, truth: SimpleNamespace) -> None:
    from rsciio.ripple import file_writer

    file_writer(str(tmp_path / "a.rpl"), writers["rsciio_signal"]())
    with open_movie(tmp_path / "a.rpl") as movie:
        assert (movie.pixel_size_nm, movie.frame_interval_s) == (truth.pixel_nm, truth.interval_s)
        np.testing.assert_array_equal(movie.frame(2), truth.stack[2])


def test_a_surface_in_mountains_form_is_read(tmp_path: Path, writers: Writers, truth: SimpleNamespace) -> None:
    from rsciio.digitalsurf import file_writer

    signal = writers["rsciio_signal"]()
    signal |= {"data": signal["data"][0].astype(float), "axes": signal["axes"][1:]}
    file_writer(str(tmp_path / "a.sur"), signal)
    with open_movie(tmp_path / "a.sur") as movie:
        assert movie.pixel_size_nm == pytest.approx(truth.pixel_nm)
        np.testing.assert_array_equal(movie.frame(0), truth.stack[0])


def test_a_stack_of_panta_rhei_is_read(tmp_path: Path, writers: Writers, truth: SimpleNamespace) -> None:
    from rsciio.pantarhei import file_writer

    file_writer(str(tmp_path / "a.prz"), writers["rsciio_signal"]())
    with open_movie(tmp_path / "a.prz") as movie:
        assert movie.frames == 3
        np.testing.assert_array_equal(movie.frame(2), truth.stack[2])


def block_file(path: Path, writers: Writers, shape: tuple[int, ...]) -> np.ndarray:
    from rsciio.blockfile import file_writer

    patterns = np.random.default_rng(8).integers(1, 250, (*shape, 80, 80), dtype=np.uint8)
    units = ["nm"] * len(shape) + ["cm", "cm"]
    axes = [
        {"name": name, "size": size, "scale": 0.5, "offset": 0.0, "units": unit, "navigate": unit == "nm"}
        for name, size, unit in zip(["y", "x", "dy", "dx"][-len(units) :], patterns.shape, units, strict=True)
    ]
    file_writer(str(path), writers["rsciio_signal"]() | {"data": patterns, "axes": axes})
    return patterns


def test_a_line_of_patterns_in_a_block_file_is_a_movie_without_scale(tmp_path: Path, writers: Writers) -> None:
    patterns = block_file(tmp_path / "a.blo", writers, (3,))
    with open_movie(tmp_path / "a.blo") as movie:
        assert (movie.frames, movie.pixel_size_nm, movie.frame_interval_s) == (3, None, None)
        np.testing.assert_array_equal(movie.frame(2), patterns[2])


def test_a_map_of_patterns_is_no_movie(tmp_path: Path, writers: Writers) -> None:
    block_file(tmp_path / "a.blo", writers, (2, 3))
    with pytest.raises(InputError, match=r"has 4 axes \(2, 3, 80, 80\)"), open_movie(tmp_path / "a.blo"):
        pass


@pytest.mark.skipif(find_spec("zarr") is not None, reason="zarr is installed")
def test_what_needs_another_package_says_so(tmp_path: Path) -> None:
    (tmp_path / "a.zspy").mkdir()
    words = "needs the Python package '(zarr|numcodecs)' to be read"
    with pytest.raises(InputError, match=words), open_movie(tmp_path / "a.zspy"):
        pass


@pytest.mark.parametrize("suffix", [".nc", ".xml", ".asw", ".csv", ".pickle"])
def test_readers_that_run_or_follow_what_a_file_says_are_left_out(tmp_path: Path, suffix: str) -> None:
    (tmp_path / f"a{suffix}").write_text("history = __import__('os')")
    with pytest.raises(InputError, match=f"no reader for '{suffix}' files"), open_movie(tmp_path / f"a{suffix}"):
        pass
