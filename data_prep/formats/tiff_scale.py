"""Pixel size, frame interval and channel names from OME, ImageJ and baseline TIFF metadata."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

from data_prep.errors import InputError
from data_prep.formats.scale import in_seconds

TIFF_UNITS = {2: "inch", 3: "cm"}


@dataclass(frozen=True)
class Scale:
    """Height and width of a pixel, each with its unit, and the time between frames in s; None where not told."""

    height: tuple[float | None, str] = (None, "")
    width: tuple[float | None, str] = (None, "")
    interval_s: float | None = None


def scale_of(tiff: Any, series: int) -> Scale:
    """The scale of one series of an open TIFF file."""
    if tiff.ome_metadata:
        pixels = _ome_pixels(tiff, series)
        if pixels is not None and {"PhysicalSizeX", "PhysicalSizeY"} & set(pixels.attrib):
            return _ome_scale(pixels)
    tags = tiff.pages[0].tags
    width, height = _side(tags, "XResolution"), _side(tags, "YResolution")
    imagej = tiff.imagej_metadata or {}
    unit = str(imagej.get("unit") or TIFF_UNITS.get(int(tags.valueof("ResolutionUnit", default=0)), ""))
    interval = in_seconds(imagej.get("finterval"), imagej.get("tunit") or "s")
    return Scale((height, unit), (width, unit), interval)


def channel_names(tiff: Any, series: int, count: int) -> list[str]:
    """Names of the channels of one series, `C0`, `C1` … where it gives none or not enough."""
    pixels = _ome_pixels(tiff, series) if tiff.ome_metadata else None
    given = [] if pixels is None else [one.get("Name") for one in pixels if _tag(one) == "Channel"]
    if not all(given) or len(set(given)) != len(given) or len(given) != count:
        given = [f"C{place}" for place in range(count)]
    return [str(name) for name in given]


def check_ome(path: Path, xml: str) -> None:
    """Raise InputError if an OME-TIFF file is one of several: the others are never opened."""
    root = ET.fromstring(xml)  # noqa: S314  # expat itself bounds what entities may grow to
    named = {(one.text or "").strip() for one in root.iter() if _tag(one) == "UUID"}
    own = {root.get("UUID")} if root.get("UUID") else named
    if any(_tag(one) == "BinaryOnly" for one in root) or len(named) > 1 or not named <= own:
        raise InputError(f"{path}: is one of a set of OME-TIFF files; save the set as one file")


def _ome_pixels(tiff: Any, series: int) -> Any:
    root = ET.fromstring(tiff.ome_metadata)  # noqa: S314
    images = [one for one in root.iter() if _tag(one) == "Pixels"]
    return images[series] if series < len(images) else None


def _ome_scale(pixels: Any) -> Scale:
    width, height = pixels.get("PhysicalSizeX"), pixels.get("PhysicalSizeY")
    interval = in_seconds(pixels.get("TimeIncrement"), pixels.get("TimeIncrementUnit", "s"))
    return Scale(
        (height and float(height), pixels.get("PhysicalSizeYUnit", "µm")),
        (width and float(width), pixels.get("PhysicalSizeXUnit", "µm")),
        interval,
    )


def _tag(element: ET.Element) -> str:
    return str(element.tag).rpartition("}")[2]


def _side(tags: Any, name: str) -> float | None:
    """The side of a pixel in the unit of resolution: TIFF stores pixels per unit, as a fraction."""
    pixels, units = tags.valueof(name, default=None) or (0, 0)
    return units / pixels if pixels else None
