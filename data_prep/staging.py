"""Copies of the tile set on each node's own disk, as a burst buffer is used."""

from __future__ import annotations

import fcntl
import getpass
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


def node_root(asked: str | None = None) -> Path:
    """The folder for staged files on this node: what the site says, or the temporary folder."""
    return Path(asked or tempfile.gettempdir()) / f"evostem-{getpass.getuser()}"


def file_hash(path: Path) -> str:
    """SHA-256 of a file, as hexadecimal digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def stage(source: Path, root: Path, digest: str) -> Path:
    """Give a node-local copy of `source`, made once however many workers ask at a time.

    The first to come holds a lock that the kernel drops if it dies, copies to a temporary name,
    checks `digest` and renames. Copies are named by content, so later runs use them again.
    Where the copy cannot be made (no space, no permission), the shared file itself is returned.
    """
    target = root / f"{digest[:32]}{source.suffix}"
    try:
        with _locked(root):
            if not target.exists():
                partial = target.with_suffix(".partial")
                shutil.copyfile(source, partial)
                if file_hash(partial) != digest:
                    partial.unlink()
                    return source
                partial.replace(target)
    except OSError:
        return source
    return target


def unstage(source: Path, root: Path, digest: str) -> None:
    """Remove this node's copy of `source`, if there is one that we may remove."""
    with suppress(OSError):
        (root / f"{digest[:32]}{source.suffix}").unlink()


@contextmanager
def _locked(root: Path) -> Iterator[None]:
    root.mkdir(parents=True, exist_ok=True, mode=0o700)
    if root.stat().st_uid != os.getuid():
        raise PermissionError(f"{root} belongs to another user")
    with (root / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
