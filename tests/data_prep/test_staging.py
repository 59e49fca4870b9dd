"""Staging: one good copy on a node, or the shared file and a reason; a crash never."""

import errno
import hashlib
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from data_prep import staging
from data_prep.errors import InputError
from data_prep.staging import file_hash, node_root, stage, unstage

CONTENT = bytes(range(256)) * 4096
DIGEST = hashlib.sha256(CONTENT).hexdigest()

# Forks 64 workers that stage one file at once. The first to copy takes long over it; with `kill` it
# is killed half-way. Prints the workers' exit statuses, 0 where what they read was right, and the
# inodes that they read from: a second copy would have another, as it is made before it replaces one.
SWARM = """
import hashlib, os, pathlib, shutil, signal, sys, time
from data_prep import staging
source, asked, digest, fate = sys.argv[1:]
gate, waiting = os.pipe()
inodes, report = os.pipe()
def slow(source, target):
    content = pathlib.Path(source).read_bytes()
    pathlib.Path(target).write_bytes(content[: len(content) // 2])
    time.sleep(0.5)
    try:
        os.close(os.open(killed, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        pass
    else:
        if fate == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
    pathlib.Path(target).write_bytes(content)
killed = pathlib.Path(asked) / "killed"
staging.shutil.copyfile = slow
def work():
    os.close(waiting)
    os.read(gate, 1)
    staged = staging.stage(pathlib.Path(source), asked, digest)
    with staged.path.open("rb") as stream:
        right = hashlib.sha256(stream.read()).hexdigest() == digest
        os.write(report, f"{os.fstat(stream.fileno()).st_ino} ".encode())
    return 0 if right and not staged.warning and str(staged.path) != source else 1
workers = []
for _ in range(64):
    workers.append(os.fork())
    if workers[-1] == 0:
        status = 2
        try:
            status = work()
        finally:
            os._exit(status)
os.close(waiting)  # the last to hold this end: all go
statuses = [os.waitstatus_to_exitcode(os.waitpid(worker, 0)[1]) for worker in workers]
print(*statuses)
print(*sorted(set(os.read(inodes, 65536).decode().split())))
"""


@pytest.fixture(autouse=True)
def _as_a_new_process(monkeypatch: pytest.MonkeyPatch) -> None:
    forget(monkeypatch)


def forget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(staging, "_staged", {})


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "tiles.h5"
    path.write_bytes(CONTENT)
    return path


@pytest.fixture
def node(tmp_path: Path) -> Path:
    path = tmp_path / "node"
    path.mkdir()
    return path


def held(node: Path) -> list[Path]:
    return sorted(path for path in node.rglob("*") if path.is_file())


def swarm(source: Path, node: Path, fate: str) -> tuple[list[int], list[str]]:
    command = [sys.executable, "-c", SWARM, str(source), str(node), DIGEST, fate]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    statuses, inodes = done.stdout.splitlines()
    return [int(status) for status in statuses.split()], inodes.split()


def test_the_hash_is_sha256(tmp_path: Path) -> None:
    (tmp_path / "abc").write_bytes(b"abc")
    assert file_hash(tmp_path / "abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_64_processes_at_once_make_one_copy_and_all_read_the_right_bytes(source: Path, node: Path) -> None:
    statuses, inodes = swarm(source, node, "live")
    assert statuses == [0] * 64
    (copy,) = (path for path in held(node) if path.name != "killed")
    assert inodes == [str(copy.stat().st_ino)]
    assert copy.read_bytes() == CONTENT


def test_when_the_first_of_64_is_killed_in_mid_copy_the_others_make_one(source: Path, node: Path) -> None:
    statuses, inodes = swarm(source, node, "kill")
    assert sorted(statuses) == [-9] + [0] * 63
    (copy,) = (path for path in held(node) if path.name != "killed")
    assert inodes == [str(copy.stat().st_ino)]
    assert copy.read_bytes() == CONTENT


def test_a_later_run_uses_the_copy_again(source: Path, node: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = stage(source, str(node), DIGEST)
    made = first.path.stat()
    forget(monkeypatch)
    assert stage(source, str(node), DIGEST) == first
    assert first.path.stat() == made
    assert (first.path.suffix, first.warning) == (".h5", "")
    assert held(node) == [first.path]


@pytest.mark.parametrize("damage", [CONTENT[:-1] + b"?", CONTENT[:1000], b""])
def test_a_damaged_copy_of_an_earlier_run_is_made_anew(
    source: Path, node: Path, damage: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = stage(source, str(node), DIGEST).path
    copy.write_bytes(damage)
    forget(monkeypatch)
    assert stage(source, str(node), DIGEST) == (copy, "")
    assert copy.read_bytes() == CONTENT
    assert held(node) == [copy]


@pytest.mark.parametrize("harm", [Path.unlink, lambda copy: copy.write_bytes(b"half")])
def test_a_copy_that_is_removed_or_damaged_while_a_worker_lives_is_made_anew(
    source: Path, node: Path, harm: object
) -> None:
    copy = stage(source, str(node), DIGEST).path
    harm(copy)  # type: ignore[operator]
    assert stage(source, str(node), DIGEST) == (copy, "")
    assert copy.read_bytes() == CONTENT


def test_a_worker_takes_the_hash_once(source: Path, node: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    staged = stage(source, str(node), DIGEST)
    monkeypatch.setattr(staging, "file_hash", lambda _path: pytest.fail("the hash is taken again"))
    assert stage(source, str(node), DIGEST) == staged


def test_other_content_gets_another_copy(source: Path, node: Path) -> None:
    first = stage(source, str(node), DIGEST)
    source.write_bytes(b"other")
    second = stage(source, str(node), hashlib.sha256(b"other").hexdigest())
    assert (first.path.read_bytes(), second.path.read_bytes()) == (CONTENT, b"other")


def test_what_killed_copies_left_is_removed_by_the_next(source: Path, node: Path) -> None:
    node_root(str(node)).mkdir(mode=0o700)
    (node_root(str(node)) / "0123.partial").write_bytes(b"half of another file")
    staged = stage(source, str(node), DIGEST)
    assert held(node) == [staged.path]


# Where there can be no copy


def falls_back(source: Path, asked: str, reason: str) -> None:
    staged = stage(source, asked, DIGEST)
    assert staged.path == source
    assert asked in staged.warning
    assert reason in staged.warning


def test_a_variable_that_is_not_set_is_a_reason_and_not_a_folder(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NO_SUCH_DISK", raising=False)
    monkeypatch.chdir(tmp_path)
    falls_back(source, "$NO_SUCH_DISK", "$NO_SUCH_DISK is not set on this node")
    falls_back(source, "/mnt/${NO_SUCH_DISK}/x", "$NO_SUCH_DISK is not set on this node")
    assert held(tmp_path) == [source]


def test_a_folder_that_is_not_there_is_not_made(source: Path, tmp_path: Path) -> None:
    falls_back(source, str(tmp_path / "mnt" / "bb"), "No such file or directory")
    assert held(tmp_path) == [source]
    assert not (tmp_path / "mnt").exists()


def test_a_file_or_a_relative_path_is_no_folder(source: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    falls_back(source, str(tmp_path / "file"), "Not a directory")
    falls_back(source, "scratch", "not an absolute path")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission_falls_back(source: Path, node: Path) -> None:
    node.chmod(0o500)
    falls_back(source, str(node), "Permission denied")


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES])
def test_a_copy_that_fails_half_way_leaves_nothing_and_is_not_tried_at_each_evaluation(
    source: Path, node: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    tries = []

    def fail(_source: Path, target: Path) -> None:
        tries.append(target)
        target.write_bytes(CONTENT[:100])
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(staging.shutil, "copyfile", fail)
    falls_back(source, str(node), os.strerror(code))
    falls_back(source, str(node), os.strerror(code))
    assert len(tries) == 1
    assert held(node) == []
    monkeypatch.undo()
    forget(monkeypatch)
    assert stage(source, str(node), DIGEST).path.read_bytes() == CONTENT


def test_a_file_larger_than_may_be_written_falls_back(source: Path, node: Path) -> None:
    # A limit of the kernel's, so the plain copy itself runs into it in the middle.
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(CONTENT) // 2, before[1]))
    try:
        falls_back(source, str(node), "File too large")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert held(node) == []


def test_a_disk_that_is_full_falls_back(source: Path, node: Path) -> None:
    mount, unmount = shutil.which("mount"), shutil.which("umount")
    options = ["-t", "tmpfs", "-o", "size=512k", "tmpfs", str(node)]
    if not (mount and unmount) or subprocess.run([mount, *options], capture_output=True, check=False).returncode:
        pytest.skip("a small file system cannot be mounted here")
    try:
        falls_back(source, str(node), "No space left on device")
        assert held(node) == []
    finally:
        subprocess.run([unmount, str(node)], check=True)


def test_a_folder_of_another_user_or_open_to_others_is_not_trusted(
    source: Path, node: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = node_root(str(node))
    root.mkdir(mode=0o700)
    mine = os.geteuid()
    with monkeypatch.context() as other:
        other.setattr(staging.os, "geteuid", lambda: mine + 1)
        other.setattr(staging, "node_root", lambda _asked: root)
        falls_back(source, str(node), "not ours alone")
    root.chmod(0o777)
    forget(monkeypatch)
    falls_back(source, str(node), "not ours alone")
    assert held(node) == []


def test_a_link_in_place_of_our_folder_is_not_followed(source: Path, node: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    node_root(str(node)).symlink_to(tmp_path / "elsewhere")
    falls_back(source, str(node), "Not a directory")
    assert held(tmp_path / "elsewhere") == []


# The shared file


def test_a_shared_file_that_has_gone_or_changed_is_a_clear_error(source: Path, node: Path, tmp_path: Path) -> None:
    source.write_bytes(b"changed")
    for asked in (str(node), str(tmp_path / "none")):
        with pytest.raises(InputError, match=r"tiles\.h5: has changed since the run began"):
            stage(source, asked, DIGEST)
    source.unlink()
    for asked in (str(node), str(tmp_path / "none")):
        with pytest.raises(InputError, match=r"tiles\.h5: cannot be read any more \(No such file"):
            stage(source, asked, DIGEST)
    assert held(node) == []
    # A worker that fell back before hears of it too.
    source.write_bytes(CONTENT)
    assert stage(source, str(tmp_path / "none"), DIGEST).path == source
    source.unlink()
    with pytest.raises(InputError, match="cannot be read"):
        stage(source, str(tmp_path / "none"), DIGEST)


def test_a_good_copy_serves_while_the_shared_file_is_away(
    source: Path, node: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    staged = stage(source, str(node), DIGEST)
    source.unlink()
    forget(monkeypatch)
    assert stage(source, str(node), DIGEST) == staged


# The end of the job


def test_unstage_removes_the_copy_and_what_was_half_written(source: Path, node: Path) -> None:
    copy = stage(source, str(node), DIGEST).path
    other = source.with_name("other.h5")
    other.write_bytes(b"of another run")
    kept = stage(other, str(node), file_hash(other)).path
    copy.with_name("0123.partial").touch()
    unstage(source, str(node))
    assert held(node) == [kept]
    unstage(source, str(node))
    unstage(source.with_name("none.h5"), "$NO_SUCH_DISK")
    assert held(node) == [kept]
    assert source.read_bytes() == CONTENT


def test_copies_that_nobody_has_used_for_a_week_are_removed_by_the_next(
    source: Path, node: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    others = [source.with_name(f"other{number}.h5") for number in range(2)]
    for number, other in enumerate(others):
        other.write_bytes(b"of another run %d" % number)
    forgotten, needed = (stage(other, str(node), file_hash(other)).path for other in others)
    for copy in (forgotten, needed):
        os.utime(copy, ns=(time.time_ns() - 8 * 86_400 * 10**9, copy.stat().st_mtime_ns))
    forget(monkeypatch)
    assert stage(others[1], str(node), file_hash(others[1])).path == needed  # it is used again
    copy = stage(source, str(node), DIGEST).path
    assert set(held(node)) == {needed, copy}


def test_the_folder_on_a_node_is_the_users_own(monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"evostem-{os.geteuid()}"
    monkeypatch.setenv("BURST", "/mnt/bb/somebody")
    monkeypatch.setenv("HOME", "/home/somebody")
    assert node_root("/scratch") == Path("/scratch") / name
    assert node_root("$BURST") == node_root("${BURST}") == Path("/mnt/bb/somebody") / name
    assert node_root("~/fast") == Path("/home/somebody/fast") / name
    assert node_root(None).parent == Path(tempfile.gettempdir())


def test_a_node_s_own_temporary_folder_is_used_though_its_pool_has_a_shorter_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    name, long = f"evostem-{os.geteuid()}", f"/local/{'job' * 40}"
    monkeypatch.setenv("TMPDIR", "/tmp")
    monkeypatch.setenv("EVOSTEM_TMPDIR", long)
    assert node_root(None) == node_root("$TMPDIR") == node_root("${TMPDIR}") == Path(long) / name
    assert node_root("$TMPDIR/fast") == Path(long) / "fast" / name
    assert node_root("/scratch") == Path("/scratch") / name
    monkeypatch.delenv("EVOSTEM_TMPDIR")
    assert node_root("$TMPDIR") == Path("/tmp") / name
