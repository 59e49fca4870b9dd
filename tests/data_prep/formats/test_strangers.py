"""A file from a stranger makes us read nothing but itself, and runs nothing."""

import os
import pickle
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
import tifffile

from data_prep.errors import InputError
from data_prep.movie import open_movie

STACK = np.random.default_rng(7).integers(1, 4000, (3, 70, 90), dtype=np.uint16)


def refusal(path: Path, dataset: str | None = None) -> str:
    with pytest.raises(InputError) as raised, open_movie(path, dataset=dataset):
        pass
    message = str(raised.value)
    assert message.startswith(str(path))
    assert "\n" not in message
    return message


def secret(folder: Path) -> Path:
    path = folder / "secret.h5"
    with h5py.File(path, "w") as out:
        out["frames"] = STACK
    return path


def external_link(path: Path, target: Path) -> None:
    with h5py.File(path, "w") as out:
        out["entry/frames"] = h5py.ExternalLink(target, "frames")


def link_through_a_link(path: Path, target: Path) -> None:
    external_link(path, target)
    with h5py.File(path, "a") as out:
        out["frames"] = h5py.SoftLink("/entry/frames")


def external_storage(path: Path, target: Path) -> None:
    with h5py.File(path, "w") as out:
        out.create_dataset("frames", (3, 70, 90), np.uint8, external=[(str(target), 0, h5py.h5f.UNLIMITED)])


def virtual_dataset(path: Path, target: Path) -> None:
    layout = h5py.VirtualLayout((3, 70, 90), np.uint16)
    layout[:] = h5py.VirtualSource(target, "frames", (3, 70, 90))
    with h5py.File(path, "w") as out:
        out.create_virtual_dataset("frames", layout)


@pytest.mark.parametrize("suffix", [".h5", ".emd", ".hspy", ".nxs"])
@pytest.mark.parametrize("dataset", [None, "frames", "entry/frames"])
@pytest.mark.parametrize("write", [external_link, link_through_a_link, external_storage, virtual_dataset])
def test_what_lies_in_another_file_is_never_read(
    tmp_path: Path, write: Callable[[Path, Path], None], dataset: str | None, suffix: str
) -> None:
    write(tmp_path / f"a{suffix}", secret(tmp_path))
    message = refusal(tmp_path / f"a{suffix}", dataset)
    assert "which is not followed; copy the data into one file" in message


def test_links_are_not_followed_even_to_look_at_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    external_link(tmp_path / "a.h5", secret(tmp_path))
    opened: list[str] = []
    plain = h5py.File.__init__

    def spy(self: h5py.File, name: object, *rest: object, **more: object) -> None:
        opened.append(str(name))
        plain(self, name, *rest, **more)

    monkeypatch.setattr(h5py.File, "__init__", spy)
    os.utime(tmp_path / "secret.h5", (1, 1))
    refusal(tmp_path / "a.h5")
    assert opened == [str(tmp_path / "a.h5")]
    assert (tmp_path / "secret.h5").stat().st_atime == 1


def test_a_virtual_dataset_over_the_same_file_is_fine(tmp_path: Path) -> None:
    layout = h5py.VirtualLayout((3, 70, 90), np.uint16)
    layout[:] = h5py.VirtualSource(".", "raw/frames", (3, 70, 90))
    with h5py.File(tmp_path / "a.h5", "w") as out:
        out["raw/frames"] = STACK
        out.create_virtual_dataset("frames", layout)
    with open_movie(tmp_path / "a.h5", dataset="frames") as movie:
        np.testing.assert_array_equal(movie.frame(2), STACK[2])


def test_other_files_of_an_ome_set_are_not_opened(tmp_path: Path) -> None:
    frames = STACK[:2]
    tifffile.imwrite(tmp_path / "other.tif", frames[1])
    description = f"""<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"
      UUID="urn:uuid:1"><Image ID="Image:0"><Pixels ID="Pixels:0" DimensionOrder="XYTZC" Type="uint16" SizeX="90"
      SizeY="70" SizeZ="1" SizeC="1" SizeT="2"><TiffData FirstT="0"><UUID FileName="a.ome.tif">urn:uuid:1</UUID>
      </TiffData><TiffData FirstT="1"><UUID FileName="{tmp_path}/other.tif">urn:uuid:2</UUID></TiffData></Pixels>
      </Image></OME>"""
    tifffile.imwrite(tmp_path / "a.ome.tif", frames[0], description=description, metadata=None)
    assert "is one of a set of OME-TIFF files" in refusal(tmp_path / "a.ome.tif")


def test_pickled_objects_are_not_loaded(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, ...]:
            return (Path.touch, (tmp_path / "sprung",))

    np.save(tmp_path / "a.npy", np.array([[Trap()]], object), allow_pickle=True)
    (tmp_path / "b.npy").write_bytes(pickle.dumps(Trap()))
    assert "holds Python objects, which are not loaded" in refusal(tmp_path / "a.npy")
    refusal(tmp_path / "b.npy")
    assert not (tmp_path / "sprung").exists()
