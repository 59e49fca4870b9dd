"""Copies of the tile set on each node's own disk, as a burst buffer is used."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from string import Template
from typing import NamedTuple

from data_prep.errors import InputError

PARTIAL = ".partial"  # ends the name of a copy under way
KEPT_S = 7 * 86_400.0


class Staged(NamedTuple):
    """Where a worker reads a file: `warning` says why that is the shared file, "" if it is a copy."""

    path: Path
    warning: str = ""


_State = tuple[int, int, int]  # inode, size and time of change: they differ when a file does

# What this process staged, so that hashes are taken and full disks are tried once, not at every evaluation.
_staged: dict[tuple[Path, str | None, str], tuple[Staged, _State | None]] = {}


def file_hash(path: Path) -> str:
    """SHA-256 of a file, as hexadecimal digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def node_root(asked: str | None = None) -> Path:
    """Our folder for copies on this node, in the folder that the site says or the temporary one.

    `asked` may hold `~` and `$VARIABLES`, which are this node's. Raises OSError where it makes no
    absolute path here.
    """
    try:
        # A guard gives its pool a shorter TMPDIR where sockets would have too long a name in the node's own.
        own = os.environ.get("EVOSTEM_TMPDIR", tempfile.gettempdir())
        names = {**os.environ, "TMPDIR": own} if "EVOSTEM_TMPDIR" in os.environ else os.environ
        folder = Path(Template(asked).substitute(names) if asked else own).expanduser()
    except KeyError as error:
        raise OSError(f"${error.args[0]} is not set on this node") from None
    except (ValueError, RuntimeError) as error:  # a lone $, the home of nobody
        raise OSError(str(error)) from None
    if not folder.is_absolute():
        raise OSError("not an absolute path")
    return folder / f"evostem-{os.geteuid()}"


def stage(source: Path, asked: str | None, digest: str) -> Staged:
    """Give a node-local copy of `source`, made once however many workers ask at a time.

    `asked` is the site's node-local folder, `digest` the SHA-256 of the file. Copies are named by it,
    so later runs use them again; one that was damaged or removed is made anew. Where there can be no
    copy (no space, no permission) the shared file is given, with a warning. Raises InputError if
    that has gone or changed.
    """
    key = (source, asked, digest)
    staged, state = _staged.get(key, (None, None))
    if staged is None or state is None or _state_of(staged.path) != state:
        try:
            staged = Staged(_copy(source, node_root(asked), digest))
        except OSError as error:
            _check_source(source, digest)
            reason = error.strerror or error
            staged = Staged(source, f"no copy in {asked or 'the temporary folder'} ({reason}), the shared file is read")
        _staged[key] = staged, _state_of(staged.path)
    return staged


def unstage(source: Path, asked: str | None) -> None:
    """Remove this node's copy of `source`, and what killed workers left half-written."""
    with suppress(OSError):
        root = node_root(asked)
        with _locked(root):
            _copy_name(source, root, file_hash(source)).unlink(missing_ok=True)


def _copy(source: Path, root: Path, digest: str) -> Path:
    """The good copy of `source` in `root`. Raises OSError where there can be none."""
    copy = _copy_name(source, root, digest)
    with suppress(FileExistsError):
        root.mkdir(mode=0o700)
    with _own(root):
        found = _state_of(copy)
        if found and file_hash(copy) == digest:
            return _used(copy)
    with _locked(root):
        if _state_of(copy) in (found, None):  # else another worker made it, while we waited for the lock
            partial = copy.with_suffix(PARTIAL)
            try:
                shutil.copyfile(source, partial)
                if file_hash(partial) != digest:
                    raise OSError(errno.EIO, "the copy differs from the file")
                partial.replace(copy)
            finally:
                partial.unlink(missing_ok=True)
            _remove_unused(root)
    return _used(copy)


def _used(copy: Path) -> Path:
    """Note that a copy is used: its time of access is set, whatever the disk is mounted with."""
    with suppress(OSError):
        os.utime(copy, ns=(time.time_ns(), copy.stat().st_mtime_ns))
    return copy


def _remove_unused(root: Path) -> None:
    """Remove copies that no worker has used for long, of runs that ended where they could not be removed."""
    for copy in root.iterdir():
        with suppress(OSError):
            if time.time() - copy.stat().st_atime > KEPT_S:
                copy.unlink()


def _copy_name(source: Path, root: Path, digest: str) -> Path:
    return root / f"{digest[:32]}{source.suffix}"


def _check_source(source: Path, digest: str) -> None:
    try:
        same = file_hash(source) == digest
    except OSError as error:
        raise InputError(f"{source}: cannot be read any more ({error.strerror})") from None
    if not same:
        raise InputError(f"{source}: has changed since the run began; put it back, or begin another run (--name)")


def _state_of(path: Path) -> _State | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


@contextmanager
def _own(root: Path) -> Iterator[int]:
    """A folder, open, that is ours alone: in a shared /tmp others could make it, or a link of its name."""
    folder = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        found = os.fstat(folder)
        if found.st_uid != os.geteuid() or found.st_mode & 0o077:
            raise PermissionError(errno.EACCES, f"{root} is not ours alone")
        yield folder
    finally:
        os.close(folder)


@contextmanager
def _locked(root: Path) -> Iterator[None]:
    """Hold our folder; the kernel lets go of it for a holder that is killed."""
    with _own(root) as folder:
        fcntl.flock(folder, fcntl.LOCK_EX)
        for leftover in root.glob(f"*{PARTIAL}"):  # only who holds the lock writes these
            leftover.unlink()
        yield
