"""MRC stacks, by the MRC2014 layout (Cheng et al. 2015, J. Struct. Biol. 192, 146)."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import numpy as np

from data_prep.errors import InputError
from data_prep.formats.axes import Axis, as_stored, memory_map
from data_prep.formats.stored import Stored, no_parts

HEADER_BYTES = 1024
# Mode 0 is signed since the layout of 2014 (which files name by its year, times ten), unsigned in older files.
SIGNED_SINCE = 20140
TYPES = {0: "u1", 1: "i2", 2: "f4", 4: "c8", 6: "u2", 12: "f2"}
FEI_EXTENDED_BYTES = 1024 * 128  # 1024 images of 128 bytes, the pixel size in metres at byte 44 of the first


def open_file(path: Path, dataset: str | None, open_files: ExitStack) -> Stored:  # noqa: ARG001
    """Open an MRC stack of either byte order; sections are frames, cell lengths give the pixel size."""
    no_parts(path, dataset)
    with path.open("rb") as file:
        header, extended = file.read(HEADER_BYTES), file.read(FEI_EXTENDED_BYTES)
    if len(header) < HEADER_BYTES:
        raise InputError(f"{path}: is not an MRC file, or a damaged one")
    # The machine stamp, or where old files have none, whichever order gives a known mode.
    order = ">" if header[212] == 0x11 or int.from_bytes(header[12:16], "little") not in TYPES else "<"
    integers = np.frombuffer(header, f"{order}i4")
    columns, rows, sections, mode = (int(value) for value in integers[:4])
    if mode not in TYPES or min(columns, rows, sections) < 0 or not 0 <= integers[23] < path.stat().st_size:
        raise InputError(f"{path}: is not an MRC file, or a damaged one")
    kind = "i1" if mode == 0 and integers[27] >= SIGNED_SINCE else TYPES[mode]
    data = memory_map(path, f"{order}{kind}", HEADER_BYTES + int(integers[23]), (sections, rows, columns))
    cell, grid = np.frombuffer(header, f"{order}f4")[10:12].astype(float), integers[7:9].astype(float)
    width, height = np.divide(cell, grid, out=np.zeros(2), where=grid > 0)
    unit = "Å"
    if integers[23] == FEI_EXTENDED_BYTES and len(extended) == FEI_EXTENDED_BYTES:
        width = height = float(np.frombuffer(extended, f"{order}f4")[11])
        unit = "m"
    axes = [Axis(sections), Axis(rows, "y", height, unit), Axis(columns, "x", width, unit)]
    return as_stored(path, axes, data.dtype, data.__getitem__)
