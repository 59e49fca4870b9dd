"""Whether a file is still the one that a run was begun with."""

from __future__ import annotations

import hashlib
from pathlib import Path

PIECES, PIECE_BYTES = 64, 1 << 20
HEAD_BYTES = 1 << 14  # of each image of a folder


def fingerprint(path: Path) -> str:
    """SHA-256 over what tells a file, or a folder of images, from another one, as hexadecimal digits.

    Small files count whole; of large ones, their size and pieces all along: a movie of 20 GB takes a moment.
    """
    digest = hashlib.sha256()
    if path.is_dir():
        for file in sorted(entry for entry in path.iterdir() if entry.is_file()):
            digest.update(f"{file.name} {file.stat().st_size}\n".encode())
            with file.open("rb") as stream:
                digest.update(stream.read(HEAD_BYTES))
        return digest.hexdigest()
    size = path.stat().st_size
    digest.update(f"{size}\n".encode())
    step = max(PIECE_BYTES, (size - PIECE_BYTES) // (PIECES - 1))
    with path.open("rb") as stream:
        for start in range(0, size, step):
            stream.seek(start)
            digest.update(stream.read(PIECE_BYTES))
    return digest.hexdigest()
