"""The one way to read labels that people made."""

from __future__ import annotations

from pathlib import Path

from data_prep.formats.stored import check_there
from data_prep.label_files.imagej import read_imagej
from data_prep.label_files.label_file import LabelFile
from data_prep.label_files.legend import Legend
from data_prep.label_files.masks import read_mask
from data_prep.label_files.napari import is_napari, read_napari
from data_prep.label_files.points import read_points
from data_prep.label_files.table import read_table

ROIS, TABLE = {".roi", ".zip"}, ".csv"


def is_mask(path: Path) -> bool:
    """Whether a file of labels is a mask image: every other form has a suffix of its own."""
    return path.suffix.lower() not in {*ROIS, TABLE}


def read_labels(path: Path, legend: Legend, pixel_size_nm: float | None) -> LabelFile:
    """Read labels, as the suffix has it: a CSV of columns or of napari, ROIs of ImageJ, else a mask image.

    `legend` is of masks; `pixel_size_nm` is needed where positions are in nm. Raises InputError if
    the file cannot be read or is not complete.
    """
    suffix = path.suffix.lower()
    check_there(path)
    if suffix in ROIS:
        return read_imagej(path)
    if suffix == TABLE:
        table = read_table(path)
        return read_napari(table) if is_napari(table) else read_points(table, pixel_size_nm)
    return read_mask(path, legend)
