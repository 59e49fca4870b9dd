"""Pictures of everyday formats: PNG, JPEG, BMP, GIF, PGM."""

from __future__ import annotations

import warnings
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data_prep.errors import InputError
from data_prep.formats.axes import Axis, as_stored
from data_prep.formats.stored import Stored, no_parts

# A palette becomes its colours, black and white 0 and 255, and what else Pillow knows RGB.
AS_ARRAY = {"L": "L", "1": "L", "I": "I", "F": "F", "I;16": "I;16", "I;16B": "I;16B", "RGB": "RGB"}
AS_ARRAY |= {"RGBA": "RGBA", "LA": "RGBA", "PA": "RGBA"}
FORMATS = ("PNG", "JPEG", "BMP", "GIF", "PPM")  # and no other, whatever the content: some run programs
CHANNELS = {"RGB": 3, "RGBA": 4}
NOTES = {".jpg": "JPEG loses detail", ".jpeg": "JPEG loses detail", ".gif": "GIF has 256 levels"}


def open_file(path: Path, dataset: str | None, open_files: ExitStack) -> Stored:
    """Open a picture, or an animation as a movie. Such files tell no pixel size."""
    from PIL import Image, UnidentifiedImageError

    no_parts(path, dataset)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # frames of 2**28 px are allowed here
            picture = open_files.enter_context(Image.open(path, formats=FORMATS))
    except UnidentifiedImageError:
        raise InputError(f"{path}: is not a picture, whatever its name says, or a damaged one") from None
    mode = "RGBA" if "transparency" in picture.info else AS_ARRAY.get(picture.mode, "RGB")

    def get(key: tuple[Any, ...]) -> NDArray[Any]:
        picture.seek(key[0])
        return np.asarray(picture if picture.mode == mode else picture.convert(mode))

    columns, rows = picture.size
    axes = [Axis(getattr(picture, "n_frames", 1)), Axis(rows, "y"), Axis(columns, "x")]
    axes += [Axis(CHANNELS[mode], "s")] if mode in CHANNELS else []
    suffix = path.suffix.lower()
    notes = (f"{path}: {NOTES[suffix]}; the detector's own file is better",) if suffix in NOTES else ()
    return as_stored(path, axes, np.uint8 if mode in CHANNELS else np.float32, get, notes=notes)
