import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
import tifffile

from data_prep.errors import InputError
from data_prep.movie import open_movie

STACK = np.random.default_rng(1).integers(100, 4000, (3, 70, 90), dtype=np.uint16)
PIXEL_NM = 0.04
DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "tmd_expert"


def test_plain_tiff_tells_its_pixel_size_per_centimetre_but_no_interval(tmp_path: Path) -> None:
    path = tmp_path / "plain.tif"
    scale = (1e7 / PIXEL_NM, 1e7 / PIXEL_NM)
    tifffile.imwrite(
        path, STACK, photometric="minisblack", resolution=scale, resolutionunit="CENTIMETER", metadata=None
    )
    with open_movie(path) as movie:
        assert movie.pixel_size_nm == pytest.approx(PIXEL_NM, rel=1e-6)
        assert movie.frame_interval_s is None
        np.testing.assert_array_equal(movie.frame(1), STACK[1])


def test_printing_resolution_is_not_a_pixel_size(tmp_path: Path) -> None:
    path = tmp_path / "printed.tif"
    tifffile.imwrite(path, STACK, photometric="minisblack", resolution=(300, 300), resolutionunit="INCH")
    with open_movie(path) as movie:
        assert movie.pixel_size_nm is None


@pytest.mark.parametrize("truncate", [False, True])
def test_big_endian_tiff_reads_the_same(tmp_path: Path, truncate: bool) -> None:  # noqa: FBT001
    path = tmp_path / "big_endian.tif"
    tifffile.imwrite(path, STACK, byteorder=">", imagej=True, truncate=truncate, metadata={"axes": "TYX"})
    assert path.read_bytes()[:2] == b"MM"
    with open_movie(path) as movie:
        assert movie.frames == 3
        np.testing.assert_array_equal(movie.frame(2), STACK[2])


def test_a_single_image_is_a_movie_of_one_frame(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "one.tif", STACK[1])
    with open_movie(tmp_path / "one.tif") as movie:
        assert (movie.frames, movie.shape) == (1, (70, 90))
        np.testing.assert_array_equal(movie.frame(0), STACK[1])


@pytest.mark.parametrize("shape", [(80,), (2, 2, 70, 90), (1, 2, 3, 70, 90)])
def test_a_named_dataset_that_is_no_movie_is_refused(tmp_path: Path, shape: tuple[int, ...]) -> None:
    path = tmp_path / "odd.h5"
    with h5py.File(path, "w") as out:
        out["frames"] = np.ones(shape)
    with (
        pytest.raises(InputError, match=rf"odd\.h5: dataset 'frames' has {len(shape)} axes"),
        open_movie(path, dataset="frames"),
    ):
        pass


@pytest.mark.parametrize("given", [0, -1, float("nan"), float("inf")])
@pytest.mark.parametrize(
    ("option", "name"), [("--pixel-size", "pixel_size_nm"), ("--frame-interval", "frame_interval_s")]
)
def test_a_scale_that_is_not_positive_is_refused(tmp_path: Path, option: str, name: str, given: float) -> None:
    tifffile.imwrite(tmp_path / "a.tif", STACK[0])
    words = rf"^{option} {given:g}: is not a positive number$"
    with pytest.raises(InputError, match=words), open_movie(tmp_path / "a.tif", **{name: given}):
        pass


def test_a_bad_frame_is_refused_by_its_number_and_the_others_are_read(tmp_path: Path) -> None:
    path = tmp_path / "mixed.h5"
    frames = STACK.astype(np.float32)
    frames[1, 20, 30] = np.nan
    frames[2] = 7
    with h5py.File(path, "w") as out:
        out["frames"] = frames
    with open_movie(path) as movie:
        np.testing.assert_array_equal(movie.frame(0), STACK[0])
        with pytest.raises(InputError, match=r"mixed\.h5: frame 1 has pixels that are not finite"):
            movie.frame(1)
        with pytest.raises(InputError, match=r"mixed\.h5: frame 2 is empty, all its pixels are 7"):
            movie.frame(2)
        for index in (3, -1):
            with pytest.raises(InputError, match=rf"mixed\.h5: has no frame {index}, it has 3"):
                movie.frame(index)


def test_a_movie_is_only_read_and_never_changed(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, STACK, imagej=True, truncate=True, metadata={"axes": "TYX"})
    before = path.read_bytes()
    with open_movie(path) as movie:
        movie.read(1)[:] = 0
        movie.frame(1)[:] = 0
        np.testing.assert_array_equal(movie.frame(1), STACK[1])
    assert path.read_bytes() == before


def test_a_stack_of_imagej_that_was_cut_off_is_refused(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", STACK, imagej=True, metadata={"axes": "TYX"})
    (tmp_path / "cut.tif").write_bytes((tmp_path / "a.tif").read_bytes()[:-5000])
    with pytest.raises(InputError, match="cut off"), open_movie(tmp_path / "cut.tif"):
        pass


@pytest.mark.data
@pytest.mark.parametrize("name", ["area02_haadf", "area02_maadf", "area11_haadf", "area11_maadf"])
def test_dm4_files_load_with_their_scale(name: str) -> None:
    path = DATA / f"{name}.dm4"
    if not path.exists():
        pytest.skip("the shared STEM images are not here")
    with open_movie(path) as movie:
        assert (movie.frames, movie.shape) == (1, (512, 512))
        assert movie.pixel_size_nm == pytest.approx(0.0398794, abs=1e-7)
        assert movie.frame(0).std() > 0


def test_formats_are_imported_only_when_they_are_read() -> None:
    heavy = "{'tifffile', 'rsciio', 'dask', 'PIL', 'data_prep.formats.tiff'}"
    code = f"import sys, data_prep.movie; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
