"""Colour, odd numbers and odd pixels; folders of pictures."""

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
import tifffile
from PIL import Image

from data_prep.errors import InputError
from data_prep.formats.stored import open_stored
from data_prep.movie import open_movie

Writers = dict[str, Callable[..., None]]
RGB = np.random.default_rng(4).integers(0, 256, (3, 70, 90, 3), dtype=np.uint8)
# ITU-R BT.601: Y = 0.299 R + 0.587 G + 0.114 B
LUMINANCE = 0.299 * RGB[..., 0] + 0.587 * RGB[..., 1] + 0.114 * RGB[..., 2]
RGBA = np.concatenate([RGB, np.full((3, 70, 90, 1), 128, np.uint8)], axis=-1)


def hdf5(path: Path) -> None:
    with h5py.File(path, "w") as out:
        out["frames"] = RGB
        out["frames"].attrs["pixel_size_nm"] = 0.04


@pytest.mark.parametrize(
    ("name", "write", "frames"),
    [
        ("a.tif", lambda path: tifffile.imwrite(path, RGB, photometric="rgb"), 3),
        ("b.tif", lambda path: tifffile.imwrite(path, RGB[0], photometric="rgb"), 1),
        ("c.tif", lambda path: tifffile.imwrite(path, np.moveaxis(RGB, -1, 1), photometric="rgb"), 3),
        ("d.tif", lambda path: tifffile.imwrite(path, RGB, imagej=True, metadata={"axes": "TYXS"}), 3),
        ("e.tif", lambda path: tifffile.imwrite(path, RGBA, photometric="rgb", extrasamples=["unassalpha"]), 3),
        ("f.png", lambda path: Image.fromarray(RGB[0]).save(path), 1),
        ("g.png", lambda path: Image.fromarray(RGBA[0]).save(path), 1),
        ("h.npy", lambda path: np.save(path, RGB), 3),
        ("i.h5", hdf5, 3),
    ],
)
def test_of_a_colour_picture_the_luminance_is_taken_and_the_user_told(
    tmp_path: Path, name: str, write: Callable[[Path], None], frames: int
) -> None:
    write(tmp_path / name)
    with open_movie(tmp_path / name) as movie:
        assert (movie.frames, movie.shape) == (frames, (70, 90))
        assert ["colour picture, its luminance" in note for note in movie.notes] == [True]
        np.testing.assert_allclose(movie.frame(frames - 1), LUMINANCE[frames - 1], rtol=1e-5)
    with open_stored(tmp_path / name) as stored:
        assert stored.channels in (3, 4)
        np.testing.assert_array_equal(stored.read(0)[..., :3], RGB[0])


def test_the_colours_of_a_palette_are_resolved(tmp_path: Path) -> None:
    indices = (np.arange(70 * 90) % 3).astype(np.uint8).reshape(70, 90)
    picture = Image.fromarray(indices).convert("P")
    picture.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255])
    picture.save(tmp_path / "a.png")
    with open_stored(tmp_path / "a.png") as stored:
        np.testing.assert_array_equal(stored.read(0), (255 * np.eye(3, dtype=np.uint8))[indices])


INDICES = (np.arange(70 * 90) % 3).astype(np.uint8).reshape(70, 90)
PALETTES = np.random.default_rng(9).integers(0, 256, (2, 3, 256), dtype=np.uint16)  # (page, RGB, index)


def pillow_palettes(path: Path, **options: str) -> None:
    pages = [Image.fromarray(INDICES).convert("P") for _ in PALETTES]
    for page, palette in zip(pages, PALETTES, strict=True):
        page.putpalette(palette.T.astype(np.uint8).tobytes())
    pages[0].save(path, save_all=True, append_images=pages[1:], **options)


def pillow_palettes_lzw(path: Path) -> None:
    pillow_palettes(path, compression="tiff_lzw")


def tifffile_palettes(path: Path) -> None:
    with tifffile.TiffWriter(path) as out:
        for palette in PALETTES:
            out.write(INDICES, photometric="palette", colormap=palette * 257, contiguous=False)


@pytest.mark.parametrize("write", [pillow_palettes, pillow_palettes_lzw, tifffile_palettes])
def test_each_page_of_a_tiff_has_the_colours_of_its_palette(tmp_path: Path, write: Callable[[Path], None]) -> None:
    write(tmp_path / "a.tif")
    with open_stored(tmp_path / "a.tif") as stored:
        assert (stored.frames, stored.shape, stored.channels) == (2, (70, 90), 3)
        for page in range(2):
            np.testing.assert_array_equal(stored.read(page), PALETTES[page].T[INDICES])
    with open_movie(tmp_path / "a.tif") as movie:
        assert ["colour picture, its luminance" in note for note in movie.notes] == [True]
        np.testing.assert_allclose(movie.frame(1), PALETTES[1].T[INDICES] @ [0.299, 0.587, 0.114], rtol=1e-5)


@pytest.mark.parametrize("bits", [8, 16, 32])
@pytest.mark.parametrize("write", ["minisblack", "miniswhite"])
def test_where_zero_is_white_numbers_are_turned(tmp_path: Path, write: str, bits: int) -> None:
    counts = RGB[..., 0].astype(f"u{bits // 8}") << (bits - 8)
    tifffile.imwrite(tmp_path / "a.tif", counts, photometric=write)
    with open_stored(tmp_path / "a.tif") as stored:
        expected = counts[1] if write == "minisblack" else 2**bits - 1 - counts[1].astype(np.int64)
        np.testing.assert_array_equal(stored.read(1), expected)


@pytest.mark.parametrize("compression", [None, "tiff_lzw"])
@pytest.mark.parametrize("bits", [1, 8])
def test_a_picture_in_which_zero_is_white_is_as_pillow_shows_it(
    tmp_path: Path, bits: int, compression: str | None
) -> None:
    picture = Image.fromarray(RGB[0, ..., 0]).convert("1" if bits == 1 else "L")
    picture.save(tmp_path / "a.tif", compression=compression, tiffinfo={262: 0})
    with Image.open(tmp_path / "a.tif") as shown, open_stored(tmp_path / "a.tif") as stored:
        assert shown.tag_v2[262] == 0
        np.testing.assert_array_equal(stored.read(0), np.asarray(shown))


def test_booleans_of_tifffile_and_floats_are_not_turned(tmp_path: Path) -> None:
    for name, data in (("a.tif", INDICES > 0), ("b.tif", INDICES.astype(np.float32))):
        tifffile.imwrite(tmp_path / name, data, photometric="miniswhite")
        with open_stored(tmp_path / name) as stored:
            np.testing.assert_array_equal(stored.read(0), data)


@pytest.mark.parametrize("mode", ["L", "I;16", "1"])
def test_grey_pictures_keep_their_numbers(tmp_path: Path, mode: str) -> None:
    top = {"L": 255, "I;16": 65535, "1": 255}[mode]
    counts = np.where(np.random.default_rng(5).random((70, 90)) > 0.5, top, 0)
    picture = Image.fromarray(counts.astype(np.uint8 if top == 255 else np.uint16)).convert(mode)
    picture.save(tmp_path / "a.png")
    with open_movie(tmp_path / "a.png") as movie:
        np.testing.assert_array_equal(movie.frame(0), counts)
        assert movie.notes == ()


def test_a_jpeg_is_read_and_said_to_have_lost_detail(tmp_path: Path) -> None:
    smooth = np.add.outer(np.arange(70), np.arange(90)).astype(np.uint8)
    Image.fromarray(smooth).save(tmp_path / "a.jpg", quality=98)
    with open_movie(tmp_path / "a.jpg") as movie:
        assert "JPEG loses detail" in movie.notes[0]
        np.testing.assert_allclose(movie.frame(0), smooth, atol=4)


@pytest.mark.parametrize(
    "dtype", ["u1", "i1", "<u2", ">u2", "<i2", "<u4", ">i4", "<i8", "<f2", "<f4", ">f4", "<f8", "?"]
)
@pytest.mark.parametrize("suffix", [".h5", ".npy", ".tif"])
def test_every_kind_of_number_is_read(tmp_path: Path, dtype: str, suffix: str) -> None:
    counts = np.random.default_rng(6).integers(0, 100, (3, 70, 90)) - (40 if np.dtype(dtype).kind in "if" else 0)
    data, path = counts.astype(dtype), tmp_path / f"a{suffix}"
    if suffix == ".npy":
        np.save(path, data)
    elif suffix == ".h5":
        with h5py.File(path, "w") as out:
            out["frames"] = data
    else:
        tifffile.imwrite(path, data, photometric="minisblack", byteorder=np.dtype(dtype).newbyteorder("=").str[0])
    with open_movie(path) as movie:
        np.testing.assert_array_equal(movie.frame(2), data[2].astype(np.float32))


def test_pixels_that_are_not_square_are_refused_unless_the_size_is_given(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, RGB[..., 0], imagej=True, resolution=(25, 20), metadata={"axes": "TYX", "unit": "nm"})
    with pytest.raises(InputError, match=r"0\.05 x 0\.04 nm, not square; give --pixel-size"), open_movie(path):
        pass
    with open_movie(path, pixel_size_nm=0.045) as movie:
        assert movie.pixel_size_nm == 0.045
    with open_stored(path) as stored:
        assert (stored.pixel_nm, stored.pixel_size_nm) == (pytest.approx((0.05, 0.04)), None)


def test_almost_square_pixels_are_square(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, RGB[..., 0], imagej=True, resolution=(25, 25.2), metadata={"axes": "TYX", "unit": "nm"})
    with open_movie(path) as movie:
        assert movie.pixel_size_nm == pytest.approx(0.04)


def test_a_folder_is_read_in_natural_order_without_what_is_no_image(tmp_path: Path) -> None:
    folder = tmp_path / "movie"
    folder.mkdir()
    for number in (10, 2, 1, 33):
        Image.fromarray(np.full((70, 90), number, np.uint8) + np.eye(70, 90, dtype=np.uint8)).save(
            folder / f"frame{number}.PNG"
        )
    (folder / ".frame0.png").write_text("hidden")
    (folder / "notes.txt").write_text("a good day")
    (folder / "raw").mkdir()
    with open_movie(folder) as movie:
        assert [movie.frame(index).min() for index in range(movie.frames)] == [1, 2, 10, 33]
        assert len(movie.notes) == 1
        assert "2 files that are no images are left out" in movie.notes[0]


@pytest.mark.parametrize("suffix", [".png", ".tif", ".bmp", ".npy", ".mrc"])
def test_images_of_a_folder_may_be_of_any_format(tmp_path: Path, suffix: str, writers: Writers) -> None:
    for index, frame in enumerate(RGB[..., 0]):
        path = tmp_path / f"{index}{suffix}"
        if suffix == ".npy":
            np.save(path, frame)
        elif suffix == ".mrc":
            writers["mrc"](path, data=frame[None])
        else:
            Image.fromarray(frame).save(path)
    with open_movie(tmp_path) as movie:
        assert movie.frames == 3
        np.testing.assert_array_equal(movie.frame(2), RGB[2, ..., 0])


def test_a_detector_of_each_file_of_a_folder_is_taken(tmp_path: Path, writers: Writers) -> None:
    for index in range(2):
        writers["dm4"](tmp_path / f"{index}.dm4", ("HAADF", "BF"), data=RGB[index, ..., 0].astype(np.uint16))
    with open_movie(tmp_path, dataset="BF") as movie:
        np.testing.assert_array_equal(movie.frame(1), RGB[1, ..., 0].astype(np.uint16) + 1)


def test_an_image_that_does_not_fit_its_folder_is_named(tmp_path: Path) -> None:
    for index in range(3):
        Image.fromarray(RGB[index, ..., 0]).save(tmp_path / f"{index}.png")
    with open_movie(tmp_path) as movie:
        Image.fromarray(RGB[1, :66, :66, 0]).save(tmp_path / "1.png")
        (tmp_path / "2.png").write_bytes((tmp_path / "0.png").read_bytes()[:2000])
        with pytest.raises(InputError, match=r"1\.png: is not of the size or kind of 0\.png \(70 x 90 px\)"):
            movie.frame(1)
        with pytest.raises(InputError, match=r"frame 2 cannot be read"):
            movie.frame(2)
        assert movie.frame(0).shape == (70, 90)
    with pytest.raises(InputError, match=r"1\.png: is not of the size or kind of 0\.png"), open_movie(tmp_path):
        pass


def test_a_folder_of_several_scales_is_refused(tmp_path: Path) -> None:
    for index, pixels_per_nm in enumerate((25, 25.2, 20)):
        scale = {"resolution": (pixels_per_nm, pixels_per_nm), "metadata": {"unit": "nm"}}
        tifffile.imwrite(tmp_path / f"{index}.tif", RGB[index, ..., 0], imagej=True, **scale)
    words = r"2\.tif: its pixels and those of 0\.tif are 0\.05 x 0\.05 and 0\.04 x 0\.04 nm"
    with pytest.raises(InputError, match=words), open_movie(tmp_path):
        pass
    tifffile.imwrite(tmp_path / "2.tif", RGB[2, ..., 0])  # tells no scale
    with open_movie(tmp_path) as movie:
        assert (movie.frames, movie.pixel_size_nm) == (3, pytest.approx(0.04))


def test_a_folder_of_several_kinds_of_image_is_refused(tmp_path: Path) -> None:
    Image.fromarray(RGB[0, ..., 0]).save(tmp_path / "0.png")
    Image.fromarray(RGB[0, ..., 0]).save(tmp_path / "0.tif")
    with pytest.raises(InputError, match=r"images of several kinds \(\.png, \.tif\)"), open_movie(tmp_path):
        pass
