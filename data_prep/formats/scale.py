"""Units of length and time, as the formats write them."""

from __future__ import annotations

import math

import numpy as np

METRES = {"m": 1e9, "cm": 1e7, "mm": 1e6, "um": 1e3, "nm": 1.0, "pm": 1e-3, "a": 0.1, "å": 0.1, "in": 2.54e7}
NAMED_LENGTHS = {"meter": 1e9, "metre": 1e9, "micron": 1e3, "micrometer": 1e3, "micrometre": 1e3, "nanometer": 1.0}
NAMED_LENGTHS |= {"nanometre": 1.0, "angstrom": 0.1, "ångström": 0.1, "picometer": 1e-3, "inch": 2.54e7}
NM_PER = METRES | NAMED_LENGTHS
SECONDS_PER = {"s": 1.0, "sec": 1.0, "second": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9, "min": 60.0, "h": 3600.0}
LARGEST_PIXEL_NM = 100.0


def pixel_nm(size: object, unit: object) -> float | None:
    """A pixel's side in nm, or None where the metadata does not tell one.

    Coarser than `LARGEST_PIXEL_NM` is a printing resolution (72 dpi and the like) or the camera's own pixel:
    it says nothing about the specimen.
    """
    side = _converted(size, unit, NM_PER)
    return side if side is not None and side < LARGEST_PIXEL_NM else None


def in_seconds(time: object, unit: object) -> float | None:
    """A time in seconds, or None where the metadata does not tell one."""
    return _converted(time, unit, SECONDS_PER)


def _converted(value: object, unit: object, factors: dict[str, float]) -> float | None:
    name = unit.decode("utf-8", "replace") if isinstance(unit, bytes) else str(unit)
    # The micro sign has two code points, and ImageJ escapes it; EMD writes [n_m].
    name = (
        name.strip(" []")
        .replace("_", "")
        .lower()
        .replace("\\u00b5", "u")
        .replace("µ", "u")
        .replace("μ", "u")
        .replace("\u212b", "å")
    )
    factor = factors.get(name) or factors.get(name.removesuffix("s"))
    try:
        number = float(np.asarray(value).item())  # metadata may hold anything, also arrays of one
    except (TypeError, ValueError):
        return None
    # Some formats count an axis downwards.
    return abs(number) * factor if factor and math.isfinite(number) and number != 0 else None
