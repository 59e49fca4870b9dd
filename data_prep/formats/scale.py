"""Units of length and time, as the formats write them."""

from __future__ import annotations

import math

NM_PER = {"m": 1e9, "cm": 1e7, "mm": 1e6, "um": 1e3, "micron": 1e3, "nm": 1.0, "a": 0.1, "å": 0.1, "pm": 1e-3}
NM_PER |= {
    "meter": 1e9,
    "metre": 1e9,
    "micrometer": 1e3,
    "nanometer": 1.0,
    "angstrom": 0.1,
    "ångström": 0.1,
    "picometer": 1e-3,
}
NM_PER |= {"inch": 2.54e7, "in": 2.54e7}
SECONDS_PER = {"s": 1.0, "sec": 1.0, "second": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9, "min": 60.0, "h": 3600.0}


def in_nm(size: object, unit: object) -> float | None:
    """A length in nm, or None if the unit is no length or the size says nothing."""
    return _converted(size, unit, NM_PER)


def in_seconds(time: object, unit: object) -> float | None:
    """A time in seconds, or None if the unit is no time or the time says nothing."""
    return _converted(time, unit, SECONDS_PER)


def _converted(value: object, unit: object, factors: dict[str, float]) -> float | None:
    # The micro sign has two code points, and ImageJ escapes it.
    name = str(unit).strip().lower().replace("\\u00b5", "u").replace("µ", "u").replace("μ", "u")
    factor = factors.get(name) or factors.get(name.removesuffix("s"))
    try:
        number = float(value)  # type: ignore[arg-type]  # metadata may hold anything
    except (TypeError, ValueError):
        return None
    return number * factor if factor and math.isfinite(number) and number > 0 else None
