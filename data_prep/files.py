"""Files that appear whole or not at all."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from data_prep.errors import InputError

UNFINISHED = ".unfinished-"  # what a killed process leaves behind begins so


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Give a temporary path that becomes `path` when the block ends without an exception.

    The temporary file lies in the same folder, so the rename is atomic; it is flushed to
    disk first and removed if the block fails. Its suffix is that of `path`, since many
    writers choose the format by it. Raises InputError if the disk is full.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f"{UNFINISHED}{path.stem}-", suffix=path.suffix, dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        # mkstemp makes files private; the result gets the permissions any new file would.
        mask = os.umask(0)
        os.umask(mask)
        temporary.chmod(0o666 & ~mask)
        temporary.replace(path)
    except (OSError, RuntimeError) as error:
        if _disk_is_full(error):
            raise InputError(
                f"{path}: cannot be written, the disk is full; make room and give the same command again"
            ) from None
        raise
    finally:
        temporary.unlink(missing_ok=True)


def _disk_is_full(error: Exception) -> bool:
    # HDF5 tells it in the text of a RuntimeError.
    number = getattr(error, "errno", None)
    return number in (errno.ENOSPC, errno.EDQUOT) or f"errno = {errno.ENOSPC}" in str(error)


def remove_unfinished(folder: Path) -> None:
    """Remove what killed writers left in a folder and those below it."""
    for leftover in folder.rglob(f"{UNFINISHED}*"):
        leftover.unlink(missing_ok=True)
