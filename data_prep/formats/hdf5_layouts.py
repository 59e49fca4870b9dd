"""Where the kinds of HDF5 file keep their images and what they tell about their axes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import h5py
import numpy as np

from data_prep.formats.axes import Axis
from data_prep.formats.stored import distinct

LONGEST_METADATA = 2**24


@dataclass(frozen=True)
class Part:
    """An image or movie in a file, by the name that the user gives to take it."""

    name: str
    data: h5py.Dataset
    axes: list[Axis]


def velox(file: h5py.File) -> list[Part]:
    """Images of a Velox EMD file (Thermo Fisher), (y, x, frame), by the name of the detector."""
    images = file.get("Data/Image")
    if "Version" not in file or not isinstance(images, h5py.Group):
        return []
    groups = [group for group in images.values() if "Data" in group and group["Data"].dtype.kind in "biuf"]
    metadata = [_velox_metadata(group) for group in groups]
    names = distinct([_velox_detector(tags) for tags in metadata])
    return [
        Part(name, group["Data"], _velox_axes(group["Data"].shape, tags))
        for name, group, tags in zip(names, groups, metadata, strict=True)
    ]


def _velox_metadata(group: h5py.Group) -> dict[str, Any]:
    """The JSON of the first frame: a column of bytes, filled up with zeros."""
    raw = group.get("Metadata")
    if raw is None or raw.shape[0] > LONGEST_METADATA:
        return {}
    tags = json.loads(raw[:, 0].tobytes().rstrip(b"\0"))
    return tags if isinstance(tags, dict) else {}


def _velox_detector(tags: dict[str, Any]) -> str:
    result = tags.get("BinaryResult", {})
    detector = tags.get("Detectors", {}).get(f"Detector-{result.get('DetectorIndex')}", {})
    return str(result.get("Detector") or detector.get("DetectorName") or "")


def _velox_axes(shape: Sequence[int], tags: dict[str, Any]) -> list[Axis]:
    result = tags.get("BinaryResult", {})
    size = result.get("PixelSize", {})
    rows, columns, frames = shape
    return [
        Axis(rows, "y", size.get("height"), result.get("PixelUnitY", result.get("PixelUnitX"))),
        Axis(columns, "x", size.get("width"), result.get("PixelUnitX")),
        Axis(frames, "time", tags.get("Scan", {}).get("FrameTime"), "s"),
    ]


def ncem(file: h5py.File) -> list[Part]:
    """Images of an EMD file of the NCEM kind (Berkeley): groups of `data` and a vector `dim1`, `dim2` … an axis."""
    groups = [
        group
        for group in _groups(file)
        if group.attrs.get("emd_group_type") is not None and isinstance(group.get("data"), h5py.Dataset)
    ]
    return [Part(str(group.name).lstrip("/"), group["data"], _ncem_axes(group)) for group in groups]


def _ncem_axes(group: h5py.Group) -> list[Axis]:
    first = 0 if "dim0" in group else 1
    shape = group["data"].shape
    return [_vector_axis(size, group.get(f"dim{place + first}")) for place, size in enumerate(shape)]


def hyperspy(file: h5py.File) -> list[Part]:
    """Signals of a HyperSpy file, by their names."""
    experiments = file.get("Experiments")
    if not isinstance(experiments, h5py.Group):
        return []
    groups = [group for group in experiments.values() if isinstance(group.get("data"), h5py.Dataset)]
    return [Part(str(group.name).split("/")[-1], group["data"], _hyperspy_axes(group)) for group in groups]


def _hyperspy_axes(group: h5py.Group) -> list[Axis]:
    axes = []
    for place, size in enumerate(group["data"].shape):
        tags = group[f"axis-{place}"].attrs if f"axis-{place}" in group else {}
        axes.append(Axis(size, _text(tags.get("name")), tags.get("scale"), _text(tags.get("units"))))
    return axes


def nexus_axes(file: h5py.File) -> dict[Any, list[Axis]]:
    """Axes of the signal of each NXdata group, by the signal's id in the file."""
    axes = {}
    for group in _groups(file):
        data = _signal(group)
        if data is None:
            continue
        names = [_text(name) for name in np.ravel(group.attrs.get("axes", data.attrs.get("axes", ())))]
        if len(names) == 1:
            names = names[0].strip("[]").replace(",", ":").split(":")
        vectors = [group.get(name) for name in names]
        if len(vectors) == data.ndim:
            known = [_vector_axis(size, vector) for size, vector in zip(data.shape, vectors, strict=True)]
            axes[data.id] = [replace(axis, name=axis.name or name) for axis, name in zip(known, names, strict=True)]
    return axes


def nexus_default(file: h5py.File) -> str | None:
    """The path of the signal that a NeXus file says to show first."""
    group: Any = file
    for _ in ("entry", "data"):
        if isinstance(group, h5py.Group) and "default" in group.attrs:
            group = group.get(_text(group.attrs["default"]))
    data = _signal(group) if isinstance(group, h5py.Group) else None
    return None if data is None else str(data.name)


def with_scale(data: h5py.Dataset, axes: list[Axis]) -> list[Axis]:
    """The axes of a plain dataset with what its attributes tell.

    Those are our own `pixel_size_nm` (one, or height and width) and `frame_interval_s`, `element_size_um` (z, y, x)
    as Fiji writes it, and the calibrations in Nion Swift's `properties`.
    """
    attributes = data.attrs
    pixel = np.ravel(attributes.get("pixel_size_nm", ()))
    element = np.ravel(attributes.get("element_size_um", ()))
    if "properties" in attributes:
        with suppress(ValueError):  # another program's properties need not be JSON
            axes = nion_axes(json.loads(_text(attributes["properties"])), axes)
    behind = 1 if axes and axes[-1].name == "s" else 0
    for place in range(len(axes)):
        from_behind = len(axes) - behind - place  # 1 for x, 2 for y, 3 for frames
        if from_behind in (1, 2) and pixel.size in (1, 2):
            axes[place] = replace(axes[place], step=pixel[-min(from_behind, pixel.size)], unit="nm")
        elif from_behind in (1, 2) and element.size == 3:
            axes[place] = replace(axes[place], step=element[-from_behind], unit="um")
        elif from_behind == 3 and "frame_interval_s" in attributes:
            axes[place] = replace(axes[place], step=attributes["frame_interval_s"], unit="s")
    return axes


def nion_axes(properties: Any, axes: list[Axis]) -> list[Axis]:
    """The axes with the calibrations that Nion Swift keeps beside the data, wherever its version puts them."""
    found = _find(properties, ("dimensional_calibrations", "spatial_calibrations")) or []
    if len(found) != len(axes):
        return axes
    return [
        replace(axis, step=one.get("scale"), unit=one.get("units", "")) for axis, one in zip(axes, found, strict=True)
    ]


def _find(tree: Any, keys: Sequence[str]) -> Any:
    if isinstance(tree, dict):
        hits = [tree[key] for key in keys if tree.get(key)]
        return hits[0] if hits else next(filter(None, (_find(branch, keys) for branch in tree.values())), None)
    if isinstance(tree, list):
        return next(filter(None, (_find(branch, keys) for branch in tree)), None)
    return None


def _groups(file: h5py.File) -> Iterator[h5py.Group]:
    """Every group, the root too."""
    found: list[h5py.Group] = [file]
    file.visititems(lambda _, item: found.append(item) if isinstance(item, h5py.Group) else None)
    return iter(found)


def _signal(group: h5py.Group) -> h5py.Dataset | None:
    """The signal of an NXdata group: named by the group, or in older files marked at the dataset."""
    if _text(group.attrs.get("NX_class")) != "NXdata":
        return None
    name = _text(group.attrs.get("signal"))
    marked = [one for one in group.values() if isinstance(one, h5py.Dataset) and _text(one.attrs.get("signal")) == "1"]
    data = group.get(name) if name else next(iter(marked), None)
    return data if isinstance(data, h5py.Dataset) and data.shape else None


def _vector_axis(size: int, vector: Any) -> Axis:
    """An axis from the vector of its points; EMD allows the first two alone."""
    if not isinstance(vector, h5py.Dataset) or vector.dtype.kind not in "iuf":
        return Axis(size)
    name, unit = _text(vector.attrs.get("name", vector.attrs.get("long_name"))), _text(vector.attrs.get("units"))
    if vector.ndim != 1 or vector.shape[0] not in (2, size) or vector.shape[0] < 2:
        return Axis(size, name)
    return Axis(size, name, (float(vector[-1]) - float(vector[0])) / (vector.shape[0] - 1), unit)


def _text(value: Any) -> str:
    """An attribute as text; some programs write all of theirs as arrays of one."""
    value = value.item() if isinstance(value, np.ndarray) and value.size == 1 else value
    return "" if value is None else value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
