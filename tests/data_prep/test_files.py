import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from data_prep.errors import InputError
from data_prep.files import remove_unfinished, whole_file


def test_the_file_appears_only_when_the_block_ends(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "down" / "out.csv"
    with whole_file(path) as temporary:
        temporary.write_text("done")
        assert not path.exists()
        assert temporary.parent == path.parent
        assert temporary.suffix == ".csv"
    assert path.read_text() == "done"
    assert list(path.parent.iterdir()) == [path]


def test_the_old_file_stays_whole_until_it_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "out.txt"
    path.write_text("old")
    with whole_file(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"


@pytest.mark.parametrize("problem", [RuntimeError, KeyboardInterrupt])
def test_a_failure_leaves_nothing_behind_and_the_old_file_alone(tmp_path: Path, problem: type[BaseException]) -> None:
    path = tmp_path / "out.txt"
    path.write_text("old")
    before = path.stat()

    def fail(temporary: Path) -> None:
        temporary.write_text("half")
        raise problem

    with pytest.raises(problem), whole_file(path) as temporary:
        fail(temporary)
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_text() == "old"
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_a_failure_makes_no_file_where_there_was_none(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), whole_file(tmp_path / "out.txt"):
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_a_writer_that_removes_its_file_fails_and_the_old_one_stays(tmp_path: Path) -> None:
    path = tmp_path / "out.txt"
    path.write_text("old")
    with pytest.raises(FileNotFoundError), whole_file(path) as temporary:
        temporary.unlink()
    assert path.read_text() == "old"


@pytest.mark.parametrize("mask", [0o022, 0o077])
def test_the_file_gets_the_permissions_of_any_new_file(tmp_path: Path, mask: int) -> None:
    before = os.umask(mask)
    try:
        (tmp_path / "plain").touch()
        with whole_file(tmp_path / "whole") as temporary:
            temporary.write_text("x")
    finally:
        os.umask(before)
    assert (tmp_path / "whole").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_what_a_killed_writer_leaves_behind_is_removed_and_nothing_else(tmp_path: Path) -> None:
    script = (
        "import os, pathlib, sys\n"
        "from data_prep.files import whole_file\n"
        "with whole_file(pathlib.Path(sys.argv[1])) as temporary:\n"
        "    temporary.write_text('half')\n"
        "    os.kill(os.getpid(), 9)\n"
    )
    for path in (tmp_path / "out.h5", tmp_path / "figures" / "map.png"):
        assert subprocess.run([sys.executable, "-c", script, str(path)], check=False).returncode == -9
        assert not path.exists()
    kept = [tmp_path / "done.h5", tmp_path / ".hidden", tmp_path / "figures" / "done.png"]
    for path in kept:
        path.touch()
    assert len([path for path in tmp_path.rglob("*") if path.is_file()]) == 5
    remove_unfinished(tmp_path)
    assert sorted(path for path in tmp_path.rglob("*") if path.is_file()) == sorted(kept)


@pytest.mark.parametrize(
    "failure", [OSError(errno.ENOSPC, "No space left on device"), RuntimeError("H5 write failed (errno = 28, ...)")]
)
def test_a_full_disk_is_one_line_and_nothing_half_written_remains(tmp_path, failure):
    (tmp_path / "a.h5").write_text("as it was")

    def write() -> None:
        with whole_file(tmp_path / "a.h5") as path:
            path.write_text("half")
            raise failure

    with pytest.raises(InputError, match=r"a\.h5: cannot be written, the disk is full"):
        write()
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.h5"]
    assert (tmp_path / "a.h5").read_text() == "as it was"
