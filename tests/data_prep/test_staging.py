import getpass
import hashlib
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from data_prep import staging
from data_prep.staging import file_hash, node_root, stage, unstage

CONTENT = bytes(range(256)) * 4096
DIGEST = hashlib.sha256(CONTENT).hexdigest()

# Stages a file once the file `go` is there; each copy is slow and leaves a line in `copies`.
STAGER = """
import pathlib, shutil, sys, time
from data_prep import staging
source, root, digest, go, copies = sys.argv[1:]
plain = shutil.copyfile
def slow(*args):
    with open(copies, "a") as log:
        log.write("copy\\n")
    time.sleep(0.1)
    plain(*args)
shutil.copyfile = slow
print("ready", flush=True)
while not pathlib.Path(go).exists():
    time.sleep(0.001)
print(staging.stage(pathlib.Path(source), pathlib.Path(root), digest))
"""

# Writes half of the copy and then hangs, holding the lock.
HANGER = """
import pathlib, shutil, sys, time
from data_prep import staging
def half(source, target):
    content = pathlib.Path(source).read_bytes()
    pathlib.Path(target).write_bytes(content[: len(content) // 2])
    print("half", flush=True)
    time.sleep(600)
shutil.copyfile = half
staging.stage(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), sys.argv[3])
"""


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "tiles.h5"
    path.write_bytes(CONTENT)
    return path


def start(script: str, *words: str | Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", script, *map(str, words)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def copies_in(root: Path) -> list[Path]:
    return [path for path in root.iterdir() if path.name != "lock"]


def test_the_hash_is_sha256(tmp_path: Path) -> None:
    (tmp_path / "abc").write_bytes(b"abc")
    assert file_hash(tmp_path / "abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_a_copy_is_made_and_used_again(source: Path, tmp_path: Path) -> None:
    root = tmp_path / "node"
    copy = stage(source, root, DIGEST)
    assert copy.parent == root
    assert copy.suffix == ".h5"
    assert copy.read_bytes() == CONTENT
    source.unlink()
    assert stage(source, root, DIGEST) == copy
    assert copies_in(root) == [copy]


def test_other_content_gets_another_copy(source: Path, tmp_path: Path) -> None:
    first = stage(source, tmp_path / "node", DIGEST)
    source.write_bytes(b"other")
    second = stage(source, tmp_path / "node", hashlib.sha256(b"other").hexdigest())
    assert (first.read_bytes(), second.read_bytes()) == (CONTENT, b"other")


def test_many_processes_at_once_make_one_copy_and_all_get_it(source: Path, tmp_path: Path) -> None:
    root, go, log = tmp_path / "node", tmp_path / "go", tmp_path / "copies"
    workers = [start(STAGER, source, root, DIGEST, go, log) for _ in range(8)]
    for worker in workers:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "ready\n"
    go.touch()
    answers = {worker.communicate(timeout=60)[0].strip() for worker in workers}
    assert [worker.returncode for worker in workers] == [0] * 8
    (copy,) = copies_in(root)
    assert answers == {str(copy)}
    assert copy.read_bytes() == CONTENT
    assert log.read_text() == "copy\n"


def test_a_holder_killed_in_mid_copy_neither_blocks_nor_corrupts(source: Path, tmp_path: Path) -> None:
    root, go = tmp_path / "node", tmp_path / "go"
    go.touch()
    holder = start(HANGER, source, root, DIGEST)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "half\n"
    waiter = start(STAGER, source, root, DIGEST, go, tmp_path / "copies")
    assert waiter.stdout is not None
    assert waiter.stdout.readline() == "ready\n"
    assert not any(path.suffix == ".h5" for path in copies_in(root))
    holder.send_signal(signal.SIGKILL)
    holder.communicate()
    answer = Path(waiter.communicate(timeout=60)[0].strip())
    assert answer.parent == root
    assert answer.read_bytes() == CONTENT
    assert copies_in(root) == [answer]


def test_a_wrong_digest_falls_back_to_the_source_and_keeps_no_copy(source: Path, tmp_path: Path) -> None:
    assert stage(source, tmp_path / "node", "0" * 64) == source
    assert copies_in(tmp_path / "node") == []


def test_a_root_that_cannot_be_made_falls_back_to_the_source(source: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert stage(source, tmp_path / "file" / "node", DIGEST) == source


def test_a_full_disk_falls_back_to_the_source(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_source: Path, target: Path) -> None:
        target.write_bytes(CONTENT[:100])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(staging.shutil, "copyfile", full)
    assert stage(source, tmp_path / "node", DIGEST) == source
    monkeypatch.undo()
    assert stage(source, tmp_path / "node", DIGEST).read_bytes() == CONTENT


def test_the_root_of_another_user_is_not_trusted(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = staging.os.getuid()
    monkeypatch.setattr(staging.os, "getuid", lambda: mine + 1)
    assert stage(source, tmp_path / "node", DIGEST) == source
    assert list((tmp_path / "node").iterdir()) == []


def test_unstage_removes_the_copy_and_only_it(source: Path, tmp_path: Path) -> None:
    copy = stage(source, tmp_path / "node", DIGEST)
    unstage(source, tmp_path / "node", "1" * 64)
    assert copy.exists()
    unstage(source, tmp_path / "node", DIGEST)
    unstage(source, tmp_path / "node", DIGEST)
    assert not copy.exists()
    assert source.read_bytes() == CONTENT


def test_the_root_on_a_node_is_the_users_own() -> None:
    assert node_root("/scratch") == Path("/scratch") / f"evostem-{getpass.getuser()}"
    assert node_root(None).parent == Path(tempfile.gettempdir())
