"""What is no movie ends in one line that names it, and nothing outside the file is read."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import h5py
import numpy as np
import pytest
import tifffile
from PIL import Image

from data_prep.errors import InputError
from data_prep.movie import open_movie

Named = tuple[str, Callable[[Path], None]]
Writers = dict[str, Callable[..., None]]
DATA = Path(__file__).resolve().parents[3].parent / "shared" / "data" / "tmd_expert"
STACK = np.random.default_rng(7).integers(1, 4000, (3, 70, 90), dtype=np.uint16)
SUFFIXES = [
    *(".tif", ".ome.tif", ".h5", ".hdf5", ".nxs", ".emd", ".hspy", ".mrc", ".ser", ".npy", ".ndata", ".png", ".jpg"),
    *(".dm3", ".dm4", ".blo", ".emi", ".prz", ".bcf", ".mib", ".tvips", ".rpl", ".sur", ".img", ".zspy"),
]


def read_all(path: Path, dataset: str | None) -> None:
    with open_movie(path, dataset=dataset) as movie:
        for index in range(movie.frames):
            movie.frame(index)


def refusal(path: Path, dataset: str | None = None) -> str:
    """The one line with which a file is refused, on opening it or on reading all its frames."""
    with pytest.raises(InputError) as raised:
        read_all(path, dataset)
    message = str(raised.value)
    assert message.startswith(str(path))
    assert "\n" not in message
    assert len(message) < len(str(path)) + 300
    return message


def text(path: Path) -> None:
    path.write_text("time,counts\n0,1\n" * 200)


def array(data: object) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        with h5py.File(path, "w") as out:
            out["frames"] = data

    return write


def lines(path: Path) -> None:
    with h5py.File(path, "w") as out:
        out["a"], out["b"] = np.arange(3), np.ones((2, 2, 2, 2, 2))


def huge(shape: tuple[int, ...], **options: object) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        with h5py.File(path, "w") as out:
            out.create_dataset("frames", shape, np.uint16, **options)

    return write


def huge_and_begun(path: Path) -> None:
    with h5py.File(path, "w") as out:
        out.create_dataset("frames", (10**6, 1024, 1024), np.uint16, chunks=(1, 64, 64))[0, 0, 0] = 1


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_text_under_the_name_of_a_format_is_refused(
    tmp_path: Path, suffix: str, capfd: pytest.CaptureFixture[str]
) -> None:
    text(tmp_path / f"a{suffix}")
    said = refusal(tmp_path / f"a{suffix}")
    assert any(words in said for words in ("is not", "holds no image", "needs the Python package"))
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_an_empty_file_is_refused(tmp_path: Path, suffix: str) -> None:
    (tmp_path / f"a{suffix}").touch()
    assert refusal(tmp_path / f"a{suffix}").endswith("is empty")


@pytest.mark.parametrize("part", [0.03, 0.4, 0.75, 0.99])
def test_a_file_that_was_cut_off_is_refused(tmp_path: Path, any_format: Named, part: float) -> None:
    name, write = any_format
    write(tmp_path / name)
    path = max(tmp_path.rglob("*"), key=lambda one: one.stat().st_size if one.is_file() else 0)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * part)])
    refusal(tmp_path / name)


@pytest.mark.parametrize("part", [0.1, 0.5, 0.9])
def test_a_picture_that_was_cut_off_is_refused(tmp_path: Path, part: float) -> None:
    for suffix in (".png", ".jpg", ".bmp", ".gif"):
        Image.fromarray(STACK[0].astype(np.uint8)).save(tmp_path / f"a{suffix}")
        whole = (tmp_path / f"a{suffix}").read_bytes()
        (tmp_path / f"a{suffix}").write_bytes(whole[: int(len(whole) * part)])
        refusal(tmp_path / f"a{suffix}")


@pytest.mark.data
@pytest.mark.parametrize("part", [0.1, 0.5, 0.9, 0.999])
def test_a_real_dm4_that_was_cut_off_is_refused(tmp_path: Path, part: float) -> None:
    if not (DATA / "area11_maadf.dm4").exists():
        pytest.skip("the shared STEM images are not here")
    whole = (DATA / "area11_maadf.dm4").read_bytes()
    (tmp_path / "cut.dm4").write_bytes(whole[: int(len(whole) * part)])
    refusal(tmp_path / "cut.dm4")


@pytest.mark.parametrize(
    ("name", "make", "words"),
    [
        ("missing.tif", lambda _: None, "no such file"),
        ("folder.tif", Path.mkdir, "is a folder without images"),
        ("link.tif", lambda path: path.symlink_to(path.parent / "gone.tif"), "is a link to a file that is not there"),
        ("pipe.tif", os.mkfifo, "is neither a file nor a folder"),
        ("text.tif", text, "is not a TIFF file"),
        ("text.h5", text, "is not an HDF5 file"),
        ("text.mrc", text, "is not an MRC file"),
        ("text.ser", text, "is not a SER file"),
        ("text.png", text, "is not a picture"),
        (
            "script.png",
            lambda path: path.write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 90 90\n"),
            "is not a picture",
        ),
        ("text.ndata", text, "is not an .ndata file"),
        ("text.dm4", text, "cannot be read as .dm4"),
        ("notes.xyz", text, "no reader for '.xyz'"),
        ("bare", text, "no reader"),
        ("line.h5", array(np.arange(100)), "dataset 'frames' has 1 axes (100,); a movie has frame, y, x"),
        ("five.h5", array(np.ones((2, 2, 2, 70, 90))), "dataset 'frames' has 5 axes (2, 2, 2, 70, 90); a movie has"),
        ("complex.h5", array(STACK * 1j), "dataset 'frames' holds complex numbers; save their amplitude"),
        ("point.h5", array(1.5), "dataset 'frames' has 0 axes (); a movie has"),
        ("words.h5", array([["a", "b"]] * 100), "dataset 'frames' holds object, which are no numbers"),
        ("nothing.h5", lambda path: h5py.File(path, "w").close(), "holds no movie (frame, y, x) and no image (y, x)"),
        ("lines.h5", lines, "and no image (y, x); its datasets: a (3,), b (2, 2, 2, 2, 2)"),
        ("five.npy", lambda path: np.save(path, np.ones((2, 2, 2, 70, 90))), "has 5 axes (2, 2, 2, 70, 90)"),
        ("line.npy", lambda path: np.save(path, np.arange(100)), "has 1 axes (100,)"),
        ("point.npy", lambda path: np.save(path, 1), "has 0 axes ()"),
        (
            "four.tif",
            lambda path: tifffile.imwrite(path, np.stack([STACK] * 2), photometric="minisblack"),
            "has 4 axes (2, 3, 70, 90)",
        ),
        ("complex.npy", lambda path: np.save(path, STACK * 1j), "holds complex numbers"),
        ("text.npy", lambda path: np.save(path, STACK.astype(str)), "which are no numbers"),
        ("no_frames.h5", array(np.zeros((0, 70, 90))), "holds no pixel, it has 0 frames of 70 x 90 px"),
        (
            "no_rows.npy",
            lambda path: np.save(path, np.zeros((3, 0, 90))),
            "holds no pixel, it has 3 frames of 0 x 90 px",
        ),
        ("tiny.h5", array(np.zeros((2, 16, 16))), "frames are 16 x 16 px; at least 64 px"),
        ("tiny.png", lambda path: Image.new("L", (16, 16)).save(path), "frames are 16 x 16 px; at least 64 px"),
        ("narrow.tif", lambda path: tifffile.imwrite(path, STACK[0, :, :63]), "frames are 70 x 63 px"),
        ("nan.npy", lambda path: np.save(path, np.full((70, 90), np.nan)), "frame 0 has pixels that are not finite"),
        ("inf.npy", lambda path: np.save(path, np.full((70, 90), -np.inf)), "frame 0 has pixels that are not finite"),
        ("beyond.npy", lambda path: np.save(path, np.full((70, 90), 1e300)), "frame 0 has pixels that are not finite"),
        ("flat.tif", lambda path: tifffile.imwrite(path, np.full((70, 90), 7, np.uint8)), "all its pixels are 7"),
        ("wide.h5", huge((3, 2**20, 2**20), chunks=(1, 64, 64)), "nothing is stored in it"),
        ("begun.h5", huge_and_begun, "declares 2097152000000 bytes but stores"),
        ("unwritten.h5", huge((10**6, 1024, 1024)), "nothing is stored in it"),
    ],
)
def test_what_is_no_movie_is_refused_in_one_line(
    tmp_path: Path, name: str, make: Callable[[Path], object], words: str
) -> None:
    make(tmp_path / name)
    assert words in refusal(tmp_path / name)


def test_a_frame_of_more_pixels_than_can_be_worked_on_is_refused_before_it_is_read(tmp_path: Path) -> None:
    np.lib.format.open_memmap(tmp_path / "a.npy", "w+", np.uint8, (2, 2**14 + 1, 2**14)).flush()
    assert "declares frames of 16385 x 16384 px, which is more than can be worked on" in refusal(tmp_path / "a.npy")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("suffix", [".h5", ".npy", ".tif"])
def test_one_bad_frame_is_refused_by_its_number_and_the_others_are_read(
    tmp_path: Path, suffix: str, value: float
) -> None:
    path, frames = tmp_path / f"a{suffix}", STACK.astype(np.float32)
    frames[1, 20, 30] = value
    writers = {
        ".npy": lambda: np.save(path, frames),
        ".tif": lambda: tifffile.imwrite(path, frames, photometric="minisblack"),
    }
    writers.get(suffix, lambda: array(frames)(path))()
    with open_movie(path) as movie:
        for index in (0, 2):
            np.testing.assert_array_equal(movie.frame(index), STACK[index])
        with pytest.raises(InputError, match=r"frame 1 has pixels that are not finite numbers"):
            movie.frame(1)


def patched(write: Callable[[Path], None], *changes: tuple[int, bytes]) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        write(path)
        content = bytearray(path.read_bytes())
        for place, new in changes:
            content[place : place + len(new)] = new
        path.write_bytes(bytes(content))

    return make


def test_headers_that_declare_more_than_the_file_holds_are_refused(tmp_path: Path, writers: Writers) -> None:
    million = (10**6).to_bytes(4, "little")
    np.save(tmp_path / "plain.npy", STACK)
    plain = (tmp_path / "plain.npy").read_bytes()
    (tmp_path / "a.npy").write_bytes(plain.replace(b"(3, 70, 90), }", b"(3, 7000, 9000), }"[:14].ljust(14)))
    (tmp_path / "b.npy").write_bytes(plain.replace(b"'shape': (3, 70, 90), }    ", b"'shape': (300, 70, 90), }  "))
    patched(writers["mrc"], (8, million))(tmp_path / "a.mrc")
    patched(writers["mrc"], (0, million), (4, million))(tmp_path / "b.mrc")
    patched(writers["ser"], (18, million))(tmp_path / "a.ser")
    patched(writers["ser"], (18, b"\xff" * 4))(tmp_path / "b.ser")
    assert "is cut off" in refusal(tmp_path / "b.npy")
    assert "is cut off" in refusal(tmp_path / "a.mrc")
    for name in ("a.npy", "b.mrc", "a.ser", "b.ser"):
        refusal(tmp_path / name)


def test_a_tiff_page_that_declares_more_than_it_stores_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.zeros((64, 64), np.uint8), compression="zlib", metadata=None, rowsperstrip=64)
    with tifffile.TiffFile(path, mode="r+") as tiff:
        tiff.pages[0].tags["ImageWidth"].overwrite(16384)
        tiff.pages[0].tags["ImageLength"].overwrite(16384)
    assert "declares 268435456 bytes but stores" in refusal(path)


def test_a_file_that_may_not_be_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.save(tmp_path / "a.npy", STACK)

    def deny(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", deny)
    assert "you have no permission to read it" in refusal(tmp_path / "a.npy")


def attempt(code: str) -> subprocess.CompletedProcess[str]:
    """Run Python code as one who owns nothing."""
    nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", sys.executable, "-c", code]
    return subprocess.run(nobody, capture_output=True, text=True, check=False)


@pytest.fixture
def closed() -> Iterator[Path]:
    """A folder that everybody comes to, with files that nobody may read and a folder that nobody may enter."""
    if os.geteuid() != 0 or shutil.which("setpriv") is None or attempt("import workflow.cli").returncode != 0:
        pytest.skip("only root can become somebody else, who must reach this Python")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "within").mkdir()
        for one in ("a.npy", "a.csv", "a.png", "a.roi", "a.toml", "within/a.npy", "within/a.csv"):
            (folder / one).write_text("something")
            (folder / one).chmod(0)
        (folder / "within").chmod(0)
        folder.chmod(0o755)
        yield folder


@pytest.mark.parametrize("name", ["a.npy", "within/a.npy", "a.csv", "a.png", "a.roi", "within/a.csv"])
@pytest.mark.parametrize("call", ["data_prep.movie.open_movie", "data_prep.label_files.reading.read_labels"])
def test_what_another_user_may_not_read_is_refused(closed: Path, call: str, name: str) -> None:
    module, _, function = call.rpartition(".")
    rest = "" if function == "open_movie" else ", (), None"
    done = attempt(
        f"from pathlib import Path\nfrom {module} import {function} as call\n"
        f"try:\n    with call(Path('{closed / name}'){rest}): pass\n"
        "except Exception as error: print(type(error).__name__, error)"
    )
    assert done.stdout == f"InputError {closed / name}: you have no permission to read it\n", done.stderr


@pytest.mark.parametrize(
    "words",
    [["label", "a.npy"], ["run", "a.npy"], ["run", "within/a.npy"], ["run", "a.npy", "--config", "a.toml"]],
)
def test_the_command_line_says_so_in_one_line(closed: Path, words: list[str]) -> None:
    paths = [str(closed / word) if "." in word else word for word in words]
    done = attempt(f"import sys; sys.argv[1:] = {paths}; from workflow.cli import main; main()")
    assert done.returncode == 2
    assert re.fullmatch(rf"evostem: {paths[-1]}: .*permission.*\n", done.stderr, re.IGNORECASE)


def test_a_folder_that_may_not_be_listed_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def deny(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", deny)
    assert "Permission denied" in refusal(tmp_path)


def test_the_truth_of_these_tests_is_readable(tmp_path: Path, any_format: Named, truth: SimpleNamespace) -> None:
    name, write = any_format
    write(tmp_path / name)
    with open_movie(tmp_path / name) as movie:
        np.testing.assert_array_equal(movie.frame(2), truth.stack[2])
