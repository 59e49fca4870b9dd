"""The stack of maps as ImageJ, tifffile and our own reader of movies see it."""

import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import tifffile

from analysis import map_stack
from analysis.detections import Detections
from analysis.map_stack import write_map_stack
from analysis.results import FrameResult, save_results
from data_prep.movie import open_movie
from data_prep.objects import Objects

SHAPE = (64, 80)
Points = Callable[..., Objects]


def percent(number: int, shape: tuple[int, int] = SHAPE) -> np.ndarray:
    return np.random.default_rng(number).integers(0, 101, shape).astype(np.uint8)


def save(path: Path, points: Points, numbers: list[int], broken: tuple[int, ...] = (), shape=SHAPE) -> Path:
    def results() -> Iterator[FrameResult]:
        nothing, none = points(shape), np.zeros(0, int)
        for number in numbers:
            if number in broken:
                yield FrameResult("film", number, error="unreadable")
            else:
                probability = percent(number, shape).astype(np.float32) / 100
                yield FrameResult(
                    "film", number, 8.0, probability, Detections(nothing, none, none, np.zeros(0)), nothing
                )
        yield FrameResult("lost", 0, error="unreadable")

    save_results(results(), {}, path)
    return path


def test_imagej_finds_maps_scale_and_time(tmp_path: Path, points: Points) -> None:
    maps = save(tmp_path / "maps.h5", points, [1, 2, 3, 4], broken=(3,))
    assert write_map_stack(maps, "film", 0.032, 0.5, tmp_path / "film.tif") == tmp_path / "film.tif"
    with tifffile.TiffFile(tmp_path / "film.tif") as stack:
        assert stack.is_imagej
        assert stack.series[0].axes == "TYX"
        held = stack.asarray()
        told = stack.imagej_metadata
        across, down = (stack.pages[0].tags[name].value for name in ("XResolution", "YResolution"))
    np.testing.assert_array_equal(held, [percent(1), percent(2), np.zeros(SHAPE), percent(4)])
    assert held.dtype == np.uint8
    assert told["frames"] == 4
    assert (told["unit"], told["finterval"], told["min"], told["max"]) == ("nm", 0.5, 0, 100)
    assert told["Labels"] == ["frame 1", "frame 2", "frame 3 could not be read", "frame 4"]
    assert across[0] / across[1] == pytest.approx(1 / 0.032)
    assert down == across


def test_the_stack_opens_as_a_movie_with_its_scale(tmp_path: Path, points: Points) -> None:
    maps = save(tmp_path / "maps.h5", points, [0, 3, 6])
    write_map_stack(maps, "film", 0.0417, 2.0, tmp_path / "film.tif")
    with open_movie(tmp_path / "film.tif") as movie:
        assert (movie.frames, movie.shape) == (3, SHAPE)
        assert movie.pixel_size_nm == pytest.approx(0.0417)
        assert movie.frame_interval_s == pytest.approx(6.0)  # every third frame
        np.testing.assert_array_equal(movie.frame(2), percent(6))


def test_what_is_not_known_is_not_told(tmp_path: Path, points: Points) -> None:
    write_map_stack(save(tmp_path / "maps.h5", points, [0, 1, 3]), "film", None, None, tmp_path / "film.tif")
    with open_movie(tmp_path / "film.tif") as movie:
        assert (movie.frames, movie.pixel_size_nm, movie.frame_interval_s) == (3, None, None)


def test_frames_at_odd_times_have_no_interval(tmp_path: Path, points: Points) -> None:
    write_map_stack(save(tmp_path / "maps.h5", points, [0, 1, 3]), "film", 0.04, 2.0, tmp_path / "film.tif")
    with open_movie(tmp_path / "film.tif") as movie:
        assert movie.frame_interval_s is None


def test_one_frame_is_a_stack_too(tmp_path: Path, points: Points) -> None:
    write_map_stack(save(tmp_path / "maps.h5", points, [7]), "film", 0.04, 2.0, tmp_path / "film.tif")
    with open_movie(tmp_path / "film.tif") as movie:
        assert movie.frames == 1
        assert movie.pixel_size_nm == pytest.approx(0.04)
        np.testing.assert_array_equal(movie.frame(0), percent(7))


def test_a_movie_of_which_nothing_could_be_read_has_no_stack(tmp_path: Path, points: Points) -> None:
    maps = save(tmp_path / "maps.h5", points, [0])
    assert write_map_stack(maps, "lost", 0.04, 2.0, tmp_path / "lost.tif") is None
    assert not (tmp_path / "lost.tif").exists()


def test_a_stack_too_large_to_list_its_pages_opens_as_well(
    tmp_path: Path, points: Points, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(map_stack, "MOST_PAGED", 2 * 64 * 80)
    write_map_stack(save(tmp_path / "maps.h5", points, [0, 1, 2]), "film", 0.04, 2.0, tmp_path / "film.tif")
    with tifffile.TiffFile(tmp_path / "film.tif") as stack:
        assert len(stack.pages) == 1
        np.testing.assert_array_equal(stack.asarray(), [percent(n) for n in range(3)])
    with open_movie(tmp_path / "film.tif") as movie:
        assert movie.pixel_size_nm == pytest.approx(0.04)
        np.testing.assert_array_equal(movie.frame(2), percent(2))


def test_memory_does_not_grow_with_the_movie(tmp_path: Path, points: Points) -> None:
    shape = (512, 512)
    maps = save(tmp_path / "maps.h5", points, list(range(40)), shape=shape)
    write_map_stack(maps, "film", 0.04, 2.0, tmp_path / "film.tif")  # imports are done
    tracemalloc.start()
    write_map_stack(maps, "film", 0.04, 2.0, tmp_path / "film.tif")
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 8 * 512 * 512  # of 40 frames
