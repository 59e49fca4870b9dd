"""Movies in: one lazy view of frames for every format. Nothing else here reads microscope files."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from data_prep.errors import InputError

NM_PER = {"m": 1e9, "cm": 1e7, "mm": 1e6, "um": 1e3, "µm": 1e3, "μm": 1e3, "micron": 1e3, "nm": 1.0, "a": 0.1, "å": 0.1}
NM_PER |= {"angstrom": 0.1, "pm": 1e-3, "inch": 2.54e7}
SECONDS_PER = {"s": 1.0, "ms": 1e-3, "µs": 1e-6, "us": 1e-6, "ns": 1e-9, "min": 60.0}
SMALLEST_SIDE_PX = 64
TIFF_SUFFIXES = {".tif", ".tiff", ".btf"}
HDF5_SUFFIXES = {".h5", ".hdf5", ".nxs"}


@dataclass(frozen=True)
class Movie:
    """Frames of a movie, read one at a time.

    `frames` frames of `shape` (rows, columns); `pixel_size_nm` and `frame_interval_s` are None
    where the file does not tell; `source` is the file, `read` gives a frame as it is stored.
    """

    source: Path
    frames: int
    shape: tuple[int, int]
    pixel_size_nm: float | None
    frame_interval_s: float | None
    read: Callable[[int], NDArray[Any]]

    def frame(self, index: int) -> NDArray[np.float32]:
        """Frame `index` as float32 (y, x), in counts.

        Raises InputError if it cannot be read or holds no image.
        """
        if not 0 <= index < self.frames:
            raise InputError(f"{self.source}: has no frame {index}, it has {self.frames}")
        try:
            image = np.asarray(self.read(index), np.float32)
        except Exception as error:  # any reader's own failure on a damaged frame
            raise InputError(f"{self.source}: frame {index} cannot be read ({_short(error)})") from None
        if not np.isfinite(image).all():
            raise InputError(f"{self.source}: frame {index} has pixels that are not finite numbers")
        if image.min() == image.max():
            raise InputError(f"{self.source}: frame {index} is empty, all its pixels are {image.flat[0]:g}")
        return image


@contextmanager
def open_movie(path: Path, pixel_size_nm: float | None = None, dataset: str | None = None) -> Iterator[Movie]:
    """Open a movie: TIFF (OME, ImageJ), HDF5, and what RosettaSciIO reads (DM3, DM4, MRC, EMD, SER …).

    `pixel_size_nm` overrides what the file says; `dataset` names the one to take in an HDF5 file.
    Raises InputError with one line on what is wrong with the file.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(f"{path}: no such file")
    if path.is_dir():
        raise InputError(f"{path}: is a folder, and a movie is a file")
    if path.stat().st_size == 0:
        raise InputError(f"{path}: is empty")
    suffix = path.suffix.lower()
    with ExitStack() as open_files:
        try:
            if suffix in TIFF_SUFFIXES:
                movie = _open_tiff(path, open_files)
            elif suffix in HDF5_SUFFIXES:
                movie = _open_hdf5(path, dataset, open_files)
            else:
                movie = _open_rosettasciio(path)
        except InputError:
            raise
        except Exception as error:  # readers raise what they like on damaged files
            raise InputError(f"{path}: cannot be read as {suffix or 'a movie'} ({_short(error)})") from None
        if min(movie.shape) < SMALLEST_SIDE_PX:
            rows, columns = movie.shape
            raise InputError(
                f"{path}: frames are {rows} x {columns} px; at least {SMALLEST_SIDE_PX} px a side are needed"
            )
        yield movie if pixel_size_nm is None else replace(movie, pixel_size_nm=pixel_size_nm)


def _short(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 120 else text[:117] + "..."


def _in_nm(size: float, unit: str) -> float | None:
    factor = NM_PER.get(unit.strip().lower().replace("\\u00b5", "µ"))
    return None if factor is None or not size > 0 else float(size) * factor


def _frames_and_shape(path: Path, shape: tuple[int, ...]) -> tuple[int, tuple[int, int]]:
    if len(shape) == 2:
        return 1, (shape[0], shape[1])
    if len(shape) == 3 and shape[-1] in (3, 4):
        raise InputError(f"{path}: is a colour picture; give the detector's own counts, or save it as grey")
    if len(shape) == 3:
        return shape[0], (shape[1], shape[2])
    raise InputError(f"{path}: has {len(shape)} axes {shape}; a movie has frame, y, x and an image y, x")


def _open_tiff(path: Path, open_files: ExitStack) -> Movie:
    import tifffile

    try:
        tiff = open_files.enter_context(tifffile.TiffFile(path))
    except tifffile.TiffFileError:
        raise InputError(f"{path}: is not a TIFF file, whatever its name says") from None
    series = tiff.series[0]
    declared = (tiff.imagej_metadata or {}).get("images", 1)
    if tiff.is_imagej and declared > np.prod(series.shape[:-2], dtype=int):
        raise InputError(f"{path}: is cut off, it should hold {declared} images")
    frames, shape = _frames_and_shape(path, series.shape)
    size, interval = _tiff_scale(tiff)
    if frames == len(series.pages):
        return Movie(path, frames, shape, size, interval, lambda index: np.asarray(tiff.asarray(key=index)))
    # ImageJ writes a large stack as one page with the rest behind it.
    stack = np.reshape(
        tifffile.memmap(path, mode="r") if series.dataoffset is not None else series.asarray(), (frames, *shape)
    )
    return Movie(path, frames, shape, size, interval, lambda index: stack[index])


def _tiff_scale(tiff: Any) -> tuple[float | None, float | None]:
    """Pixel size (nm) and frame interval (s) from OME, ImageJ or baseline TIFF metadata."""
    import tifffile

    if tiff.ome_metadata:
        ome = tifffile.xml2dict(tiff.ome_metadata)["OME"]["Image"]
        pixels = (ome[0] if isinstance(ome, list) else ome)["Pixels"]
        if "PhysicalSizeX" in pixels:
            size = _in_nm(float(pixels["PhysicalSizeX"]), str(pixels.get("PhysicalSizeXUnit", "µm")))
            unit_s = SECONDS_PER.get(str(pixels.get("TimeIncrementUnit", "s")), 0.0)
            return size, float(pixels.get("TimeIncrement", 0.0)) * unit_s or None
    tags = tiff.pages[0].tags
    resolution = tags["XResolution"].value if "XResolution" in tags else None
    per_unit = resolution[0] / resolution[1] if resolution and resolution[0] and resolution[1] else None
    imagej = tiff.imagej_metadata or {}
    if per_unit is None:
        return None, imagej.get("finterval")
    if imagej.get("unit"):
        return _in_nm(1.0 / per_unit, str(imagej["unit"])), imagej.get("finterval")
    unit = {2: "inch", 3: "cm"}.get(int(tags["ResolutionUnit"].value)) if "ResolutionUnit" in tags else None
    size = _in_nm(1.0 / per_unit, unit) if unit else None
    # Printing resolutions (72 dpi and the like) say nothing about the specimen.
    return (size if size is not None and size < 100 else None), imagej.get("finterval")


def _open_hdf5(path: Path, dataset: str | None, open_files: ExitStack) -> Movie:
    try:
        stored = open_files.enter_context(h5py.File(path, "r"))
    except OSError:
        raise InputError(f"{path}: is not an HDF5 file, or a damaged one") from None
    candidates: list[str] = []
    stored.visititems(
        lambda name, item: candidates.append(name) if isinstance(item, h5py.Dataset) and item.ndim in (2, 3) else None
    )
    if dataset is None and len(candidates) != 1:
        stacks = [name for name in candidates if stored[name].ndim == 3]
        if len(stacks) != 1:
            raise InputError(f"{path}: name the dataset with --dataset; it has {', '.join(candidates) or 'none'}")
        candidates = stacks
    name = dataset or candidates[0]
    if name not in stored or not isinstance(stored[name], h5py.Dataset):
        raise InputError(f"{path}: no dataset '{name}'; it has {', '.join(candidates) or 'none'}")
    data = stored[name]
    frames, shape = _frames_and_shape(path, data.shape)
    size, interval = (
        float(data.attrs[key]) if key in data.attrs else None for key in ("pixel_size_nm", "frame_interval_s")
    )
    return Movie(
        path, frames, shape, size, interval, (lambda index: data[index]) if data.ndim == 3 else lambda _: data[:]
    )


def _open_rosettasciio(path: Path) -> Movie:
    from rsciio import IO_PLUGINS

    suffix = path.suffix.lower().lstrip(".")
    plugins = [plugin for plugin in IO_PLUGINS if suffix in (e.lower() for e in plugin["file_extensions"])]
    if not plugins:
        raise InputError(f"{path}: no reader for '.{suffix}' files; TIFF, HDF5, DM3, DM4, MRC, EMD and SER are read")
    # Several readers may share a suffix: the one of the plainest name is the format's own (MRC, not MRCZ).
    reader = min(plugins, key=lambda plugin: len(plugin["name"]))
    signals = importlib.import_module(reader["api"]).file_reader(str(path), lazy=True)
    images = [signal for signal in signals if signal["data"].ndim in (2, 3)]
    if not images:
        raise InputError(f"{path}: holds no image or movie")
    data, axes = images[0]["data"], images[0]["axes"]
    frames, shape = _frames_and_shape(path, data.shape)
    size = _in_nm(float(axes[-1].get("scale", 0)), str(axes[-1].get("units") or ""))
    interval = None
    if data.ndim == 3 and str(axes[0].get("units") or "") in ("s", "sec"):
        interval = float(axes[0]["scale"])

    def read(index: int) -> NDArray[Any]:
        return np.asarray(data[index] if data.ndim == 3 else data)

    return Movie(path, frames, shape, size, interval, read)
