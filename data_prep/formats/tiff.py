"""TIFF, BigTIFF, OME-TIFF and ImageJ stacks."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from data_prep.errors import InputError
from data_prep.formats.scale import in_nm, in_seconds
from data_prep.formats.stored import Stored, layout, no_parts


def open_file(path: Path, dataset: str | None, open_files: ExitStack) -> Stored:
    """Open a TIFF file."""
    import tifffile

    no_parts(path, dataset)
    try:
        tiff = open_files.enter_context(tifffile.TiffFile(path))
    except tifffile.TiffFileError:
        raise InputError(f"{path}: is not a TIFF file, whatever its name says") from None
    series = tiff.series[0]
    declared = (tiff.imagej_metadata or {}).get("images", 1)
    if tiff.is_imagej and declared > np.prod(series.shape[:-2], dtype=int):
        raise InputError(f"{path}: is cut off, it should hold {declared} images")
    frames, shape, channels = layout(path, series.shape)
    size, interval = _tiff_scale(tiff)
    if frames == len(series.pages):
        return Stored(frames, shape, channels, size, interval, lambda index: np.asarray(tiff.asarray(key=index)))
    # ImageJ writes a large stack as one page with the rest behind it.
    stack = np.reshape(
        tifffile.memmap(path, mode="r") if series.dataoffset is not None else series.asarray(),
        (frames, *shape, channels)[: 4 if channels > 1 else 3],
    )
    return Stored(frames, shape, channels, size, interval, lambda index: stack[index])


def _tiff_scale(tiff: Any) -> tuple[float | None, float | None]:
    """Pixel size (nm) and frame interval (s) from OME, ImageJ or baseline TIFF metadata."""
    import tifffile

    if tiff.ome_metadata:
        ome = tifffile.xml2dict(tiff.ome_metadata)["OME"]["Image"]
        pixels = (ome[0] if isinstance(ome, list) else ome)["Pixels"]
        if "PhysicalSizeX" in pixels:
            size = in_nm(float(pixels["PhysicalSizeX"]), str(pixels.get("PhysicalSizeXUnit", "µm")))
            return size, in_seconds(pixels.get("TimeIncrement"), pixels.get("TimeIncrementUnit", "s"))
    tags = tiff.pages[0].tags
    resolution = tags["XResolution"].value if "XResolution" in tags else None
    per_unit = resolution[0] / resolution[1] if resolution and resolution[0] and resolution[1] else None
    imagej = tiff.imagej_metadata or {}
    if per_unit is None:
        return None, imagej.get("finterval")
    if imagej.get("unit"):
        return in_nm(1.0 / per_unit, str(imagej["unit"])), imagej.get("finterval")
    unit = {2: "inch", 3: "cm"}.get(int(tags["ResolutionUnit"].value)) if "ResolutionUnit" in tags else None
    size = in_nm(1.0 / per_unit, unit) if unit else None
    # Printing resolutions (72 dpi and the like) say nothing about the specimen.
    return (size if size is not None and size < 100 else None), imagej.get("finterval")
