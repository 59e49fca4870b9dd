""".ndata files of Nion Swift: a zip of `data.npy`, not compressed, and `metadata.json`."""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path
from zipfile import ZIP_STORED, BadZipFile, ZipFile

from data_prep.errors import InputError
from data_prep.formats.axes import as_stored, plain_axes
from data_prep.formats.hdf5_layouts import LONGEST_METADATA, nion_axes
from data_prep.formats.npy import mapped
from data_prep.formats.stored import Stored, no_parts


def open_file(path: Path, dataset: str | None, open_files: ExitStack) -> Stored:  # noqa: ARG001
    """Open an .ndata file; the calibrations give the pixel size and, in a sequence, the interval."""
    no_parts(path, dataset)
    try:
        with ZipFile(path) as archive:
            data, tags = archive.getinfo("data.npy"), archive.getinfo("metadata.json")
            if data.compress_type != ZIP_STORED or tags.file_size > LONGEST_METADATA:
                raise InputError(f"{path}: is not as Nion Swift writes it")
            properties = json.loads(archive.read(tags))
    except (BadZipFile, KeyError):
        raise InputError(f"{path}: is not an .ndata file, or a damaged one") from None
    with path.open("rb") as file:
        # The local header before the member: 30 bytes, whose last four are the lengths of its name and extra field.
        file.seek(data.header_offset + 26)
        lengths = [int.from_bytes(file.read(2), "little") for _ in range(2)]
        file.seek(sum(lengths), 1)
        array = mapped(path, file)
    return as_stored(path, nion_axes(properties, plain_axes(array.shape)), array.dtype, array.__getitem__)
