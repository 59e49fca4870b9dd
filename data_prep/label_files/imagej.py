"""Regions of interest of ImageJ: a `.roi`, or a `.zip` of the ROI manager."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from data_prep.errors import InputError
from data_prep.formats.stored import short
from data_prep.label_files.outlines import Kind, Outline, Outlines

if TYPE_CHECKING:
    from roifile import ImagejRoi

# The ROI manager numbers what has the same name, and names by numbers what has none: 0012-0034.
NUMBERS_BEHIND = re.compile(r"([-_. ]+\d+)+$")
ONLY_NUMBERS = re.compile(r"[-_. \d]*")
AREAS = ("RECT", "OVAL", "POLYGON", "FREEHAND", "TRACED")
# In ImageJ the corner of the first pixel is 0, 0 for areas, and its centre for points.
CORNER = 0.5


def read_imagej(path: Path) -> Outlines:
    """Read ROIs: points, rectangles, ovals, polygons and freehand; their names give the classes.

    A ROI's position (1-based slice or frame) gives its frame. Raises InputError naming the file or the ROI.
    """
    try:
        rois = _read(path)
        outlines = tuple(outline for title, roi in rois for outline in _outlines(path, title, roi))
    except InputError:
        raise
    except Exception as error:  # damaged files fail anywhere in their reading
        raise InputError(f"{path}: cannot be read as ImageJ ROIs ({short(error)})") from None
    if not outlines:
        raise InputError(f"{path}: holds no ROI")
    untold = [outline.title for outline in outlines if outline.frame is None]
    if untold and len(untold) < len(outlines):
        raise InputError(f"{path}: '{untold[0]}' has no position (its frame), others have; give all one or none")
    return Outlines(path, outlines)


def _read(path: Path) -> list[tuple[str, ImagejRoi]]:
    """The ROIs of a file and what they are called."""
    from roifile import ImagejRoi

    if path.suffix.lower() == ".roi":
        roi = ImagejRoi.frombytes(path.read_bytes())
        return [(roi.name or path.stem, roi)]
    with zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if name.lower().endswith(".roi")]
        read = [(PurePosixPath(name).stem, ImagejRoi.frombytes(archive.read(name))) for name in names]
    return [(roi.name or stem, roi) for stem, roi in read]


def _outlines(path: Path, title: str, roi: ImagejRoi) -> list[Outline]:
    """What a ROI marks: one outline, but points that lie in several frames are one for each."""
    name = path.stem if ONLY_NUMBERS.fullmatch(title) else NUMBERS_BEHIND.sub("", title)
    frame = _frame(path, title, roi)
    if roi.roitype.name == "POINT":
        places = np.asarray(roi.coordinates(), float)[:, ::-1]
        positions = roi.counter_positions
        if positions is None or not positions.any():
            return [Outline(title, name, frame, "points", places)]
        return [
            Outline(title, name, int(slice_) - 1 if slice_ else frame, "points", places[positions == slice_])
            for slice_ in np.unique(positions)
        ]
    if roi.roitype.name not in AREAS or roi.composite:
        kind = "composite" if roi.composite else roi.roitype.name.lower()
        raise InputError(
            f"{path}: '{title}' is a {kind} ROI; points, rectangles, ovals, polygons and freehand are read"
        )
    kind, corners = _area(roi)
    return [Outline(title, name, frame, kind, corners - CORNER)]


def _area(roi: ImagejRoi) -> tuple[Kind, NDArray[np.float64]]:
    """The kind of an area and its vertices (n, 2) as (y, x) in ImageJ's coordinates."""
    if roi.roitype.name not in {"RECT", "OVAL"}:
        return "polygon", np.asarray(roi.coordinates(), float)[:, ::-1]
    top, left, bottom, right = map(float, (roi.top, roi.left, roi.bottom, roi.right))
    if roi.subpixelrect:
        top, left, bottom, right = roi.yd, roi.xd, roi.yd + roi.heightd, roi.xd + roi.widthd
    corners = np.array([(top, left), (top, right), (bottom, right), (bottom, left)])
    return ("ellipse" if roi.roitype.name == "OVAL" else "polygon"), corners


def _frame(path: Path, title: str, roi: ImagejRoi) -> int | None:
    """The frame of a ROI, 0-based; of a hyperstack, whichever of slice and frame there are several of."""
    if roi.position > 0:
        return int(roi.position) - 1
    if roi.z_position > 1 and roi.t_position > 1:
        raise InputError(f"{path}: '{title}' lies in slice {roi.z_position} and frame {roi.t_position}; which is it?")
    return max(roi.z_position, roi.t_position) - 1 if max(roi.z_position, roi.t_position) > 0 else None
