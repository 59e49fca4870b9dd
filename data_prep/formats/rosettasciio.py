"""What RosettaSciIO reads and no module here does: DM3 and DM4, BLO, EMI, PRZ, BCF and more.

Only readers of images are let in, and of these none that runs or follows what the file says: its netCDF reader
evaluates text from the file, its EMPAD, JEOL and Arina readers open files whose names are in the file.
"""

from __future__ import annotations

import importlib
import traceback
import warnings
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.recfunctions import structured_to_unstructured

from data_prep.errors import InputError
from data_prep.formats.axes import Axis, as_stored
from data_prep.formats.stored import SUFFIXES, Stored, choose, distinct

READERS = {
    ".dm3": "digitalmicrograph",
    ".dm4": "digitalmicrograph",
    ".blo": "blockfile",
    ".emi": "tia",
    ".prz": "pantarhei",
    ".bcf": "bruker",
    ".mib": "quantumdetector",
    ".tvips": "tvips",
    ".rpl": "ripple",
    ".sur": "digitalsurf",
    ".elid": "phenom",
    ".img": "hamamatsu",
    ".mrcz": "mrcz",
    ".zspy": "zspy",
}
READ_WHOLE = {"pantarhei"}  # its lazy reader takes compressed files for plain ones
SPECTRA = ("EELS", "EDS", "CL")
NOT_LAZY = (NotImplementedError, ValueError)  # what readers raise that know no lazy reading, as of a colour DM4


def open_file(path: Path, dataset: str | None, open_files: ExitStack) -> Stored:  # noqa: ARG001
    """Open a file with its RosettaSciIO reader; `dataset` names one of several images by its title."""
    suffix = path.suffix.lower()
    if suffix not in READERS:
        known = " ".join(sorted({*READERS, *(one for group in SUFFIXES.values() for one in group)}))
        raise InputError(f"{path}: no reader for '{suffix}' files; known are folders of images and {known}")
    signals = [signal for signal in _signals(path, READERS[suffix]) if _is_image(signal)]
    if not signals:
        raise InputError(f"{path}: holds no image or movie")
    names = distinct([str(signal["metadata"].get("General", {}).get("title") or "") for signal in signals])
    signal = signals[0 if dataset is None and len(signals) == 1 else choose(path, names, dataset)]
    data, axes = signal["data"], _axes(signal["axes"])
    dtype = data.dtype
    if dtype.names in (("R", "G", "B"), ("R", "G", "B", "A")):
        data = structured_to_unstructured(np.asarray(data))
        axes, dtype = [*axes, Axis(data.shape[-1], "s")], data.dtype
    stored = as_stored(path, axes, dtype, lambda key: np.asarray(data[key]))
    try:
        stored.read(stored.frames - 1)
    except Exception:  # whatever the reader raises where the file ends too soon
        raise InputError(f"{path}: is cut off or damaged, its last frame cannot be read") from None
    return stored


def _signals(path: Path, reader: str) -> list[dict[str, Any]]:
    import rsciio

    rsciio.set_log_level("CRITICAL")  # it logs to the standard output
    with warnings.catch_warnings():
        # Some readers leave closing to the garbage collector; others warn of metadata that is not used here.
        warnings.simplefilter("ignore")
        # Text that is taken for the header of a blockfile declares many gigabytes.
        warnings.filterwarnings("error", "Blockfile has unrecognized header signature")
        try:
            read = importlib.import_module(f"rsciio.{reader}").file_reader
            try:
                return list(read(str(path), lazy=reader not in READ_WHOLE))
            except NOT_LAZY:
                return list(read(str(path)))
        except ModuleNotFoundError as missing:
            raise InputError(f"{path}: needs the Python package '{missing.name}' to be read; install it") from None
        except Exception as error:
            traceback.clear_frames(error.__traceback__)  # closes at once what a failed reader left open
            wrong = f"is not such a file, a damaged one, or of a kind that is not known ({reader} of RosettaSciIO)"
            raise InputError(f"{path}: cannot be read as {path.suffix.lower()}: {wrong}") from None


def _is_image(signal: dict[str, Any]) -> bool:
    """Whether a signal holds images; the third axis of a spectrum image is energy, not time."""
    kind = str(signal["metadata"].get("Signal", {}).get("signal_type") or "")
    return signal["data"].ndim >= 2 and not kind.startswith(SPECTRA)


def _axes(all_tags: list[dict[str, Any]]) -> list[Axis]:
    """The axes; the two that a reader flags as those of an image are y and x, whatever their names."""
    names = [str(tags.get("name") or "") for tags in all_tags]
    image = [place for place, tags in enumerate(all_tags) if not tags.get("navigate", True)]
    if len(image) == 2:
        names = [dict(zip(image, "yx", strict=True)).get(place, "") for place in range(len(names))]
    return [
        Axis(int(tags["size"]), name, tags.get("scale"), str(tags.get("units") or ""))
        for name, tags in zip(names, all_tags, strict=True)
    ]
