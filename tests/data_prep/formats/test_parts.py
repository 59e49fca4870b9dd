"""Files with several detectors, channels or datasets: one is taken by its name."""

from collections.abc import Callable, Iterable
from pathlib import Path
from types import SimpleNamespace

import h5py
import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray

from data_prep.errors import InputError
from data_prep.formats.stored import open_stored
from data_prep.movie import open_movie

Writers = dict[str, Callable[..., None]]
STACK = np.random.default_rng(3).integers(1, 4000, (2, 3, 70, 90), dtype=np.uint16)


def ome_channels(path: Path, writers: Writers) -> None:  # noqa: ARG001
    tifffile.imwrite(path, STACK, ome=True, metadata={"axes": "CTYX", "Channel": {"Name": ["HAADF", "BF"]}})


def ome_images(path: Path, writers: Writers) -> None:  # noqa: ARG001
    with tifffile.TiffWriter(path, ome=True) as out:
        for name, frames in zip(("HAADF", "BF"), STACK, strict=True):
            out.write(frames, metadata={"axes": "TYX", "Name": name})


def velox(path: Path, writers: Writers) -> None:
    writers["velox"](path, ("HAADF", "BF"))


def dm4(path: Path, writers: Writers) -> None:
    writers["dm4"](path, ("HAADF", "BF"))


def hyperspy(path: Path, writers: Writers) -> None:
    writers["hyperspy"](path)
    with h5py.File(path, "a") as out:
        out.copy("Experiments/HAADF", "Experiments/BF")
        out["Experiments/BF/data"][...] += 1


def hdf5(path: Path, writers: Writers) -> None:  # noqa: ARG001
    with h5py.File(path, "w") as out:
        out["HAADF"], out["BF"], out["sum"] = STACK[0], STACK[1], STACK.sum(axis=(0, 1))


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("a.ome.tif", ome_channels),
        ("b.ome.tif", ome_images),
        ("c.emd", velox),
        ("d.dm4", dm4),
        ("e.hspy", hyperspy),
        ("f.h5", hdf5),
    ],
)
def test_a_detector_is_taken_by_its_name(
    tmp_path: Path,
    name: str,
    write: Callable[[Path, Writers], None],
    writers: Writers,
    truth: SimpleNamespace,
) -> None:
    path = tmp_path / name
    write(path, writers)
    by_hand = name[0] in "cde"  # these hold the common stack, and the second detector counts one more
    for place, detector in enumerate(("HAADF", "BF")):
        with open_movie(path, dataset=detector) as movie:
            assert (movie.frames, movie.shape) == (3, (70, 90))
            expected = truth.stack[2] + place if by_hand else STACK[place, 2]
            np.testing.assert_array_equal(movie.frame(2), expected)
    with pytest.raises(InputError, match=r"name one with --dataset; it has .*(HAADF, BF|BF, HAADF)"), open_movie(path):
        pass
    with (
        pytest.raises(InputError, match=r"no dataset 'DF4'; it has .*(HAADF, BF|BF, HAADF)"),
        open_movie(path, dataset="DF4"),
    ):
        pass


def test_single_images_of_one_size_in_an_ome_file_are_detectors_not_frames(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "a.ome.tif", ome=True) as out:
        for name, image in zip(("HAADF", "BF"), STACK[:, 0], strict=True):
            out.write(image, metadata={"axes": "YX", "Name": name})
    with open_movie(tmp_path / "a.ome.tif", dataset="BF") as movie:
        assert movie.frames == 1
        np.testing.assert_array_equal(movie.frame(0), STACK[1, 0])


def test_channels_of_an_imagej_hyperstack_are_numbered(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.moveaxis(STACK, 0, 1), imagej=True, metadata={"axes": "TCYX"})
    with open_movie(tmp_path / "a.tif", dataset="C1") as movie:
        assert movie.frames == 3
        np.testing.assert_array_equal(movie.frame(2), STACK[1, 2])
    with pytest.raises(InputError, match="it has C0, C1"), open_movie(tmp_path / "a.tif"):
        pass


@pytest.mark.parametrize("truncate", [False, True])
def test_a_hyperstack_in_one_page_is_read_by_channel(tmp_path: Path, truncate: bool) -> None:  # noqa: FBT001
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.moveaxis(STACK, 0, 1), imagej=True, truncate=truncate, metadata={"axes": "TCYX"})
    with open_movie(path, dataset="C0") as movie:
        np.testing.assert_array_equal(movie.frame(1), STACK[0, 1])


def one_by_one(path: Path, images: Iterable[NDArray[np.generic]], **metadata: str) -> None:
    with tifffile.TiffWriter(path) as out:
        for image in images:
            out.write(image, contiguous=False, photometric="minisblack", metadata=metadata)


def test_frames_written_one_by_one_are_not_compared_each_with_all_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one_by_one(tmp_path / "a.tif", (np.full((64, 64), number, np.uint16) for number in range(300)))
    compared: list[object] = []
    monkeypatch.setattr(tifffile.tifffile, "pyramidize_series", lambda *given, **_: compared.append(given))
    with open_movie(tmp_path / "a.tif") as movie:
        assert movie.frames == 300
        assert [movie.read(index)[0, 0] for index in (0, 1, 150, 299)] == [0, 1, 150, 299]
    assert compared == []


def test_images_of_several_sizes_written_one_by_one_are_several_images(tmp_path: Path) -> None:
    one_by_one(tmp_path / "a.tif", [STACK[0, 0], STACK[0, 1, :66], STACK[0, 2, :65]])
    with pytest.raises(InputError, match="it has image 1, image 2, image 3"), open_movie(tmp_path / "a.tif"):
        pass
    with open_movie(tmp_path / "a.tif", dataset="image 2") as movie:
        np.testing.assert_array_equal(movie.frame(0), STACK[0, 1, :66])


def test_a_page_of_another_kind_amid_frames_written_one_by_one_is_refused(tmp_path: Path) -> None:
    for name, odd in (("a.tif", STACK[0, 2, :66]), ("b.tif", STACK[0, 2].astype(np.int16))):
        one_by_one(tmp_path / name, [STACK[0, 0], STACK[0, 1], odd, STACK[1, 0]])
        with open_movie(tmp_path / name) as movie:
            np.testing.assert_array_equal(movie.frame(3), STACK[1, 0])
            with pytest.raises(InputError, match="page 2 is not of the size or kind of the first"):
                movie.frame(2)


def test_stacks_written_one_after_the_other_are_several_movies(tmp_path: Path) -> None:
    one_by_one(tmp_path / "a.tif", STACK, axes="TYX")
    with open_movie(tmp_path / "a.tif", dataset="image 2") as movie:
        np.testing.assert_array_equal(movie.frame(2), STACK[1, 2])


@pytest.mark.parametrize("side", ["X", "Y"])
def test_one_physical_size_of_an_ome_file_is_taken_for_both(tmp_path: Path, side: str) -> None:
    scale = {f"PhysicalSize{side}": 0.04, f"PhysicalSize{side}Unit": "nm", "axes": "TYX"}
    tifffile.imwrite(tmp_path / "a.ome.tif", STACK[0], ome=True, metadata=scale)
    with open_movie(tmp_path / "a.ome.tif") as movie:
        assert movie.pixel_size_nm == pytest.approx(0.04)


@pytest.mark.parametrize(("axes", "interval"), [("ZYX", None), ("TYX", 0.5)])
def test_a_stack_in_z_is_frames_too_but_has_no_interval(tmp_path: Path, axes: str, interval: float | None) -> None:
    path = tmp_path / "a.ome.tif"
    metadata = {"axes": axes, "PhysicalSizeX": 0.04, "PhysicalSizeXUnit": "nm", "TimeIncrement": 0.5}
    tifffile.imwrite(path, STACK[0], ome=True, metadata=metadata)
    with open_movie(path) as movie:
        assert (movie.frames, movie.frame_interval_s) == (3, interval)


def test_frames_in_time_and_in_depth_are_no_movie(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.ome.tif", STACK, ome=True, metadata={"axes": "TZYX"})
    with pytest.raises(InputError, match=r"has 4 axes \(2, 3, 70, 90\)"), open_movie(tmp_path / "a.ome.tif"):
        pass


@pytest.mark.parametrize("name", ["imagej", "mrc", "ser", "npy", "dm4", "ndata"])
def test_a_name_for_what_has_no_named_parts_is_refused(tmp_path: Path, name: str, writers: Writers) -> None:
    path = tmp_path / f"a.{ {'imagej': 'tif'}.get(name, name) }"
    writers[name](path)
    words = r"has no named datasets, so leave out --dataset|no dataset 'BF'; it has HAADF"
    with pytest.raises(InputError, match=words), open_movie(path, dataset="BF"):
        pass


def test_the_only_movie_of_an_hdf5_file_needs_no_name(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as out:
        out["deep/down/here"] = STACK[0]
        out["sum"] = STACK[0].sum(axis=0)
        out["times"] = np.arange(3)
        out["soft"] = h5py.SoftLink("/deep/down/here")
        out["nowhere"] = h5py.SoftLink("/not/there")
    with open_movie(tmp_path / "a.h5") as movie:
        np.testing.assert_array_equal(movie.frame(1), STACK[0, 1])
    for name, frames in (("sum", 1), ("/sum", 1), ("soft", 3), ("deep/down/here", 3)):
        with open_movie(tmp_path / "a.h5", dataset=name) as movie:
            assert movie.frames == frames
    for name in ("nowhere", "deep"):
        with pytest.raises(InputError, match=f"no dataset '{name}'"), open_movie(tmp_path / "a.h5", dataset=name):
            pass


def test_the_only_stack_of_an_hdf5_file_needs_no_name_even_if_it_is_of_one_frame(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as out:
        out["image"], out["stack"] = STACK[0, 0], STACK[0, 1:2]
    with open_movie(tmp_path / "a.h5") as movie:
        assert movie.frames == 1
        np.testing.assert_array_equal(movie.frame(0), STACK[0, 1])


@pytest.mark.parametrize(
    ("given", "pixel_nm"),
    [
        (np.array([0.04]), (0.04, 0.04)),
        ([0.04, 0.04], (0.04, 0.04)),
        ([0.05, 0.04], (0.05, 0.04)),
        ([[0.04]], (0.04, 0.04)),
        ([1.0, 0.04, 0.04], (None, None)),
        ("wide", (None, None)),
    ],
)
def test_a_pixel_size_in_hdf5_may_be_an_array(
    tmp_path: Path, given: object, pixel_nm: tuple[float | None, float | None]
) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as out:
        out["frames"] = STACK[0]
        out["frames"].attrs.update(pixel_size_nm=given, frame_interval_s=np.array([0.5]), element_size_um=3.0)
    with open_stored(tmp_path / "a.h5") as stored:
        assert (stored.pixel_nm, stored.frame_interval_s) == (pixel_nm, 0.5)
    if not stored.square:
        words = r"its pixels are 0\.05 x 0\.04 nm, not square"
        with pytest.raises(InputError, match=words), open_movie(tmp_path / "a.h5"):
            pass


def test_a_nexus_file_whose_attributes_are_arrays_of_one_is_read(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.nxs", "w") as out:
        out["entry/other/counts"], out["entry/data/counts"] = STACK[1], STACK[0]
        out.attrs["default"], out["entry"].attrs["default"] = ["entry"], ["data"]
        data = out["entry/data"]
        data.attrs.update(NX_class=["NXdata"], signal=["counts"], axes=np.array([b"time:y:x"]))
        for name, size, unit in (("time", 3, "s"), ("y", 70, "nm"), ("x", 90, "nm")):
            data[name] = 0.04 * np.arange(size)
            data[name].attrs["units"] = np.array([unit.encode()])
    with open_movie(tmp_path / "a.nxs") as movie:
        assert (movie.pixel_size_nm, movie.frame_interval_s) == pytest.approx((0.04, 0.04))
        np.testing.assert_array_equal(movie.frame(2), STACK[0, 2])


def test_attributes_of_strangers_do_no_harm(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as out:
        out.attrs["default"] = "/"
        out["frames"] = STACK[0]
        out["frames"].attrs["properties"] = "not { json"
        out["loop"] = out["/"]
    with open_movie(tmp_path / "a.h5") as movie:
        np.testing.assert_array_equal(movie.frame(0), STACK[0, 0])


def test_the_default_of_a_nexus_file_is_taken(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.nxs", "w") as out:
        out.attrs["default"] = "entry"
        out["entry/raw/counts"] = STACK[1]
        out["entry/shown/counts"] = STACK[0]
        out["entry"].attrs["default"] = "shown"
        out["entry/shown"].attrs.update(NX_class="NXdata", signal="counts")
    with open_movie(tmp_path / "a.nxs") as movie:
        np.testing.assert_array_equal(movie.frame(0), STACK[0, 0])
    with open_movie(tmp_path / "a.nxs", dataset="entry/raw/counts") as movie:
        np.testing.assert_array_equal(movie.frame(0), STACK[1, 0])


def test_an_emd_movie_of_another_axis_order_is_read_by_the_names_of_its_axes(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.emd", "w") as out:
        group = out.create_group("data/movie")
        group.attrs["emd_group_type"] = 1
        group["data"] = STACK[0].transpose(2, 0, 1)
        for place, (name, size) in enumerate((("x", 90), ("time", 3), ("y", 70)), 1):
            group[f"dim{place}"] = np.arange(size) * 0.04
            group[f"dim{place}"].attrs.update(name=name, units="[s]" if name == "time" else "[n_m]")
    with open_movie(tmp_path / "a.emd") as movie:
        assert (movie.frames, movie.shape, movie.frame_interval_s) == (3, (70, 90), pytest.approx(0.04))
        np.testing.assert_array_equal(movie.frame(2), STACK[0, 2])
