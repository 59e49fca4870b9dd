"""Pictures of everyday formats: PNG, JPEG, BMP, GIF."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data_prep.formats.stored import Stored, no_parts


def open_file(path: Path, dataset: str | None, open_files: ExitStack) -> Stored:
    """Open a picture; a palette is resolved to RGB."""
    from PIL import Image

    no_parts(path, dataset)
    picture = open_files.enter_context(Image.open(path))
    mode = {
        "P": "RGBA" if "transparency" in picture.info else "RGB",
        "1": "L",
        "LA": "RGBA",
        "CMYK": "RGB",
        "YCbCr": "RGB",
    }

    def read(index: int) -> NDArray[Any]:
        picture.seek(index)
        return np.asarray(picture.convert(mode.get(picture.mode, picture.mode)))

    first = read(0)
    channels = 1 if first.ndim == 2 else first.shape[2]
    return Stored(getattr(picture, "n_frames", 1), first.shape[:2], channels, None, None, read)
