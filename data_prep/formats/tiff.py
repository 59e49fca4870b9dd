"""TIFF in all its kinds: plain pages, BigTIFF, ImageJ stacks, OME-TIFF."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data_prep.errors import InputError
from data_prep.formats.axes import Axis, as_stored, check_size, memory_map
from data_prep.formats.stored import Stored, choose, distinct, no_parts
from data_prep.formats.tiff_colours import as_shown, has_palette
from data_prep.formats.tiff_scale import Scale, channel_names, check_ome, scale_of

BROKEN = ("invalid page offset", "invalid value offset", "corrupted file")
LZW_OR_JPEG = {5, 6, 7}  # tifffile needs another package for these, Pillow reads them


@dataclass(frozen=True)
class Part:
    """One movie of a TIFF file: a series of pages, or one channel of it."""

    series: int
    name: str
    channel: int | None = None


def open_file(path: Path, dataset: str | None, open_files: ExitStack) -> Stored:
    """Open a TIFF file; `dataset` names a channel, or one of several images.

    Raises InputError if it is no TIFF, is cut off, or part of a set of several files.
    """
    tiff = _opened(path, open_files)
    if _one_by_one(tiff):
        no_parts(path, dataset)
        first = tiff.pages.first
        axes = [Axis(len(tiff.pages)), *_axes(first, scale_of(tiff, 0))]
        return as_stored(path, axes, first.dtype, _page_getter(path, tiff, tiff.pages, 1, open_files))
    parts = _parts(tiff, list(tiff.series))
    if len(parts) == 1:
        no_parts(path, dataset)
    part = parts[choose(path, [one.name for one in parts], dataset)]
    return _stored(path, tiff, part, open_files)


def _opened(path: Path, open_files: ExitStack) -> Any:
    """The file with its directory gone through. Raises InputError if that is not whole."""
    import tifffile

    with _complaints() as complaints:
        try:
            tiff = open_files.enter_context(tifffile.TiffFile(path, _multifile=False))
            if tiff.ome_metadata:
                check_ome(path, tiff.ome_metadata)
            len(tiff.pages)  # goes through the directory, and complains of what is missing
            if not _one_by_one(tiff):
                for series in tiff.series:
                    len(series.pages)
        except tifffile.TiffFileError as error:
            wrong = (
                "is a damaged TIFF file" if "corrupt" in str(error) else "is not a TIFF file, whatever its name says"
            )
            raise InputError(f"{path}: {wrong}") from None
    if any(word in complaint for complaint in complaints for word in BROKEN):
        raise InputError(f"{path}: is cut off or damaged, a part of its directory is missing")
    return tiff


def _one_by_one(tiff: Any) -> bool:
    """Whether images were written one by one with tifffile: each calls itself a series, together they are a movie.

    This is seen from three pages: tifffile compares each such series with all others, which takes minutes.
    """
    if len(tiff.pages) < 2 or not tiff.is_shaped:
        return False
    first, *others = pages = [tiff.pages[place].aspage() for place in (0, 1, len(tiff.pages) - 1)]
    return all(one.hash == first.hash and not one.is_reduced for one in others) and all(
        (one.shaped_description or "").startswith("{")
        and prod(json.loads(one.shaped_description)["shape"]) == one.size
        and not one.subifds
        for one in pages
    )


def _parts(tiff: Any, all_series: list[Any]) -> list[Part]:
    parts = []
    titles = distinct([series.name for series in all_series])
    for place, series in enumerate(all_series):
        title = titles[place] if len(all_series) > 1 else ""
        count = series.shape[series.axes.index("C")] if "C" in series.axes else 1
        channels = channel_names(tiff, place, count)
        if len(channels) < 2:
            parts.append(Part(place, title, 0 if "C" in series.axes else None))
        parts += [Part(place, f"{title} {name}".strip(), at) for at, name in enumerate(channels) if len(channels) > 1]
    return parts


def _stored(path: Path, tiff: Any, part: Part, open_files: ExitStack) -> Stored:
    series = tiff.series[part.series]
    declared = (tiff.imagej_metadata or {}).get("images", 1)
    if tiff.is_imagej and declared > np.prod(series.shape[:-2], dtype=int):
        raise InputError(f"{path}: is cut off, it should hold {declared} images")
    fixed = {} if part.channel is None else {series.axes.index("C"): part.channel}
    axes = _axes(series, scale_of(tiff, part.series))
    outer = series.ndim - len(series.keyframe.shape)
    if outer >= 0 and len(series.pages) == np.prod(series.shape[:outer], dtype=int):
        get = _page_getter(path, tiff, series.pages, outer, open_files, series.shape[:outer])
    elif series.dataoffset is not None:
        # ImageJ and tifffile may write a large stack as one page with the rest behind it.
        dtype = series.dtype.newbyteorder(tiff.byteorder)
        data = memory_map(path, dtype, series.dataoffset, series.shape)

        def get(key: tuple[Any, ...]) -> NDArray[Any]:
            return as_shown(np.asarray(data[key[: data.ndim]]), series.keyframe)
    else:
        raise InputError(f"{path}: has {len(series.pages)} pages for an array of {series.shape}, and they do not fit")
    return as_stored(path, axes, series.dtype, get, fixed)


def _axes(series: Any, scale: Scale) -> list[Axis]:
    """The axes of a series, or of a single page."""
    known: dict[str, tuple[float | None, str]] = {"Y": scale.height, "X": scale.width, "T": (scale.interval_s, "s")}
    # Pages of no name are a movie; so are the slices that many leave ImageJ with, if an interval is given.
    known |= dict.fromkeys("IQZ" if series.keyframe.is_imagej else "IQ", known["T"])
    # Three or four frames are written as the planes of a colour picture by tifffile, if it is not told what
    # they are; pictures have their colours behind, pixel by pixel.
    names = ("Q", *series.axes[1:]) if series.axes == "SYX" and _plain(series.keyframe) else series.axes
    axes = [Axis(size, name, *known.get(name, (None, ""))) for size, name in zip(series.shape, names, strict=True)]
    return [*axes, Axis(3, "S")] if has_palette(series.keyframe) else axes


def _plain(page: Any) -> bool:
    return page.compression not in LZW_OR_JPEG


def _page_getter(
    path: Path, tiff: Any, pages: Any, outer: int, open_files: ExitStack, shape: tuple[int, ...] | None = None
) -> Callable[[tuple[Any, ...]], NDArray[Any]]:
    """Index frames by their leading `outer` integers; each is read as a page of its own."""
    counts = shape or (len(pages),)
    first = pages[0]
    for page in (first, pages[len(pages) - 1]):
        _check_page(path, tiff, page)
    picture = None
    if not _plain(first):
        from PIL import Image

        picture = open_files.enter_context(Image.open(path, formats=("TIFF",)))

    def get(key: tuple[Any, ...]) -> NDArray[Any]:
        page = pages[int(np.ravel_multi_index(key[:outer], counts)) if outer else 0]
        _check_page(path, tiff, page)
        if (page.shape, page.dtype) != (first.shape, first.dtype):
            raise InputError(f"{path}: page {page.index} is not of the size or kind of the first")
        if picture is None:
            image = page.asarray()
        else:
            picture.seek(page.index)
            image = np.asarray(picture)
        return as_shown(image[key[outer : outer + image.ndim]], page, by_pillow=picture is not None)

    return get


def _check_page(path: Path, tiff: Any, page: Any) -> None:
    """Raise InputError if a page lies beyond the file's end; tifffile would fill it with zeros."""
    segments = list(zip(page.dataoffsets, page.databytecounts, strict=False))
    if any(offset + count > tiff.filehandle.size for offset, count in segments):
        raise InputError(f"{path}: is cut off, page {page.index} is not whole")
    check_size(path, page.nbytes, sum(count for _, count in segments))


@contextmanager
def _complaints() -> Iterator[list[str]]:
    """What tifffile logs about a damaged file instead of raising."""
    messages: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: messages.append(record.getMessage())  # type: ignore[method-assign]
    logger = logging.getLogger("tifffile")
    logger.addHandler(handler)
    try:
        yield messages
    finally:
        logger.removeHandler(handler)
