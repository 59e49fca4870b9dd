from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
import tifffile

from data_prep.errors import InputError
from data_prep.movie import open_movie

STACK = np.random.default_rng(1).integers(100, 4000, (3, 70, 90), dtype=np.uint16)
PIXEL_NM = 0.04
INTERVAL_S = 0.5
PER_NM = (1 / PIXEL_NM, 1 / PIXEL_NM)
DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "tmd_expert"


def imagej(path: Path) -> None:
    axes = {"axes": "TYX", "unit": "nm", "finterval": INTERVAL_S}
    tifffile.imwrite(path, STACK, imagej=True, resolution=PER_NM, metadata=axes)


def imagej_in_one_page(path: Path) -> None:
    axes = {"axes": "TYX", "unit": "nm", "finterval": INTERVAL_S}
    tifffile.imwrite(path, STACK, imagej=True, truncate=True, resolution=PER_NM, metadata=axes)


def imagej_in_microns(path: Path) -> None:
    axes = {"axes": "TYX", "unit": "um", "finterval": INTERVAL_S}
    tifffile.imwrite(path, STACK, imagej=True, resolution=(1e3 / PIXEL_NM, 1e3 / PIXEL_NM), metadata=axes)


def ome(path: Path) -> None:
    scale = {"PhysicalSizeX": PIXEL_NM * 10, "PhysicalSizeXUnit": "Å", "TimeIncrement": INTERVAL_S}
    tifffile.imwrite(path, STACK, ome=True, metadata={"axes": "TYX", **scale})


def hdf5(path: Path) -> None:
    with h5py.File(path, "w") as out:
        out["scan/frames"] = STACK
        out["scan/frames"].attrs.update(pixel_size_nm=PIXEL_NM, frame_interval_s=INTERVAL_S)


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("a.tif", imagej),
        ("b.TIFF", imagej_in_one_page),
        ("c.tif", imagej_in_microns),
        ("d.ome.tif", ome),
        ("e.h5", hdf5),
        ("f.hdf5", hdf5),
    ],
)
def test_frames_scale_and_interval_come_back(tmp_path: Path, name: str, write: Callable[[Path], None]) -> None:
    write(tmp_path / name)
    with open_movie(tmp_path / name) as movie:
        assert (movie.frames, movie.shape, movie.source) == (3, (70, 90), tmp_path / name)
        assert movie.pixel_size_nm == pytest.approx(PIXEL_NM, rel=1e-6)
        assert movie.frame_interval_s == INTERVAL_S
        for index in (2, 0, 1):
            assert movie.frame(index).dtype == np.float32
            np.testing.assert_array_equal(movie.frame(index), STACK[index])


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


def test_the_pixel_size_given_goes_before_the_one_stored(tmp_path: Path) -> None:
    imagej(tmp_path / "a.tif")
    with open_movie(tmp_path / "a.tif", pixel_size_nm=0.123) as movie:
        assert movie.pixel_size_nm == 0.123


def test_the_only_stack_of_an_hdf5_file_needs_no_name(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    hdf5(path)
    with h5py.File(path, "a") as out:
        out["sum"] = STACK.sum(axis=0)
        out["times"] = np.arange(3)
    with open_movie(path) as movie:
        np.testing.assert_array_equal(movie.frame(1), STACK[1])
    with open_movie(path, dataset="sum") as movie:
        assert movie.frames == 1
        np.testing.assert_array_equal(movie.frame(0), STACK.sum(axis=0))


def test_several_stacks_have_to_be_named(tmp_path: Path) -> None:
    path = tmp_path / "two.h5"
    with h5py.File(path, "w") as out:
        out["first"], out["second"] = STACK, STACK[::-1]
    with open_movie(path, dataset="second") as movie:
        np.testing.assert_array_equal(movie.frame(0), STACK[2])
    for dataset, words in ((None, r"--dataset; it has first, second"), ("third", r"no dataset 'third'; it has first")):
        with pytest.raises(InputError, match=words), open_movie(path, dataset=dataset):
            pass


def write_array(data: object) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        with h5py.File(path, "w") as out:
            out["frames"] = data

    return write


def write_text(path: Path) -> None:
    path.write_text("time,counts\n0,1\n")


@pytest.mark.parametrize(
    ("name", "make", "words"),
    [
        ("missing.tif", lambda _: None, "no such file"),
        ("folder.tif", Path.mkdir, "is a folder"),
        ("empty.tif", Path.touch, "is empty"),
        ("text.tif", write_text, "is not a TIFF file"),
        ("text.h5", write_text, "is not an HDF5 file"),
        ("text.dm4", write_text, "cannot be read as .dm4"),
        ("notes.xyz", write_text, "no reader for '.xyz'"),
        ("bare", write_text, "no reader"),
        ("none.h5", write_array(np.arange(100)), "it has none"),
        ("small.h5", write_array(np.zeros((2, 40, 90))), "frames are 40 x 90 px"),
        ("narrow.tif", lambda path: tifffile.imwrite(path, STACK[0, :, :63]), "frames are 70 x 63 px"),
        (
            "colour.tif",
            lambda path: tifffile.imwrite(path, np.stack([STACK, STACK]), photometric="minisblack"),
            "has 4 axes",
        ),
    ],
)
def test_what_is_no_movie_is_refused_in_one_line_with_its_name(
    tmp_path: Path, name: str, make: Callable[[Path], object], words: str
) -> None:
    path = tmp_path / name
    make(path)
    with pytest.raises(InputError) as raised, open_movie(path):
        pass
    message = str(raised.value)
    assert message.startswith(f"{path}: ")
    assert words in message
    assert "\n" not in message


@pytest.mark.parametrize("shape", [(80,), (1, 2, 70, 90)])
def test_a_named_dataset_that_is_no_movie_is_refused(tmp_path: Path, shape: tuple[int, ...]) -> None:
    path = tmp_path / "odd.h5"
    write_array(np.ones(shape))(path)
    with pytest.raises(InputError, match=rf"odd\.h5: has {len(shape)} axes"), open_movie(path, dataset="frames"):
        pass


def test_a_bad_frame_is_refused_by_its_number_and_the_others_are_read(tmp_path: Path) -> None:
    path = tmp_path / "mixed.h5"
    frames = STACK.astype(np.float32)
    frames[1, 20, 30] = np.nan
    frames[2] = 7
    write_array(frames)(path)
    with open_movie(path) as movie:
        np.testing.assert_array_equal(movie.frame(0), STACK[0])
        with pytest.raises(InputError, match=r"mixed\.h5: frame 1 has pixels that are not finite"):
            movie.frame(1)
        with pytest.raises(InputError, match=r"mixed\.h5: frame 2 is empty, all its pixels are 7"):
            movie.frame(2)
        with pytest.raises(InputError, match=r"mixed\.h5: has no frame 3"):
            movie.frame(3)


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


def test_a_one_page_stack_is_opened_for_reading_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, modes, plain = tmp_path / "a.tif", [], tifffile.memmap
    tifffile.imwrite(path, STACK, imagej=True, truncate=True, metadata={"axes": "TYX"})
    monkeypatch.setattr(tifffile, "memmap", lambda *a, **k: modes.append(k.get("mode", "r+")) or plain(*a, **k))
    with open_movie(path):
        pass
    assert modes == ["r"]


# RosettaSciIO leaves closing its file to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_mrc_is_read_with_its_scale(tmp_path: Path) -> None:
    header = np.zeros(256, "<i4")
    header[:4] = 90, 70, 3, 6  # columns, rows, sections, uint16
    header[7:10] = 90, 70, 3
    header[10:13] = np.array([36, 28, 3], "<f4").view("<i4")  # the cell in angstrom: 0.4 per px
    header[16:19] = 1, 2, 3
    header[52], header[53] = int.from_bytes(b"MAP ", "little"), 0x4444
    (tmp_path / "m.mrc").write_bytes(header.tobytes() + STACK.tobytes())
    with open_movie(tmp_path / "m.mrc") as movie:
        assert movie.pixel_size_nm == pytest.approx(0.04)
        np.testing.assert_array_equal(movie.frame(2), STACK[2])


def test_the_unit_of_the_ome_frame_interval_counts(tmp_path: Path) -> None:
    scale = {"PhysicalSizeX": 0.04, "PhysicalSizeXUnit": "nm", "TimeIncrement": 500, "TimeIncrementUnit": "ms"}
    tifffile.imwrite(tmp_path / "a.ome.tif", STACK, ome=True, metadata={"axes": "TYX", **scale})
    with open_movie(tmp_path / "a.ome.tif") as movie:
        assert movie.frame_interval_s == 0.5


def test_a_tiff_that_was_cut_off_is_refused(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", STACK, imagej=True, metadata={"axes": "TYX"})
    (tmp_path / "cut.tif").write_bytes((tmp_path / "a.tif").read_bytes()[:-5000])
    with pytest.raises(InputError, match="cut off"), open_movie(tmp_path / "cut.tif"):
        pass


def test_a_frame_that_a_single_image_does_not_have_is_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as out:
        out["x"] = STACK[0]
    with open_movie(tmp_path / "a.h5") as movie, pytest.raises(InputError, match="no frame 5"):
        movie.frame(5)
