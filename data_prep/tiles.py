"""The tile set: labelled pieces of a frame, training and validation from disjoint regions."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from data_prep.errors import InputError
from data_prep.files import whole_file
from data_prep.labels import HOLE, IGNORE, LabelledFrame

SCHEMA_VERSION = 2
VALIDATION_SHARE = 0.25
DARK_PERCENTILE = 0.5
TILE_SIZES = (64, 48, 32, 16)


@dataclass(frozen=True)
class TileSet:
    """Tiles of one labelled frame.

    `train` (tile, y, x) float32 and `train_labels` (tile, y, x) uint8 overlap by half a tile;
    `validation` (tile, y, x) and `validation_labels` do not overlap, and `validation_origins`
    (tile, 2) say where in the frame each lies. Images are levelled by `normalise.local_contrast`;
    `dark_level` is the level of their darkest pixels (the half per cent). The class `hole` is always
    among `class_names`.
    """

    train: NDArray[np.float32]
    train_labels: NDArray[np.uint8]
    validation: NDArray[np.float32]
    validation_labels: NDArray[np.uint8]
    validation_origins: NDArray[np.int64]
    class_names: tuple[str, ...]
    period_px: float
    pixel_size_nm: float | None
    dark_level: float

    @property
    def tile_px(self) -> int:
        """Side of a tile in px."""
        return int(self.train.shape[1])

    def validation_region(self) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        """The validation tiles put together again: image (y, x) and labels (y, x)."""
        return _mosaic(self.validation, self.validation_origins), _mosaic(
            self.validation_labels, self.validation_origins
        )


def _mosaic(tiles: NDArray[np.generic], origins: NDArray[np.int64]) -> NDArray:  # type: ignore[type-arg]
    corner, side = origins.min(axis=0), tiles.shape[1]
    canvas = np.zeros(tuple(origins.max(axis=0) - corner + side), tiles.dtype)
    for tile, (y, x) in zip(tiles, origins - corner, strict=True):
        canvas[y : y + side, x : x + side] = tile
    return canvas


def cut_tiles(
    image: NDArray[np.float32],
    labels: LabelledFrame,
    period_px: float,
    pixel_size_nm: float | None,
    tile_px: int | None = None,
) -> TileSet:
    """Cut a levelled frame (y, x) into tiles.

    Validation is a strip along one side of the frame, a quarter of it as near as tiles allow, on
    the side where it holds nearest to a quarter of the defects; a margin of half a tile parts it
    from the training region. Raises InputError if either region would hold no defect.
    """
    if len(labels.objects) == 0:
        raise InputError(f"no defect is labelled ({labels.made_by}); there is nothing to learn from")
    side = tile_px or next((size for size in TILE_SIZES if min(image.shape) >= 4 * size), TILE_SIZES[-1])
    if min(image.shape) < 4 * side:
        raise InputError(f"tiles of {side} px need a frame of at least {4 * side} px a side, this one is {image.shape}")
    strips = [_strip(image.shape, side, axis, at_end=at_end) for axis in (1, 0) for at_end in (True, False)]
    places = np.round(labels.objects.positions).astype(int)

    def share(region: tuple[slice, slice]) -> float:
        inside = [(places[:, k] >= region[k].start) & (places[:, k] < region[k].stop) for k in (0, 1)]
        return float(np.mean(inside[0] & inside[1]))

    training, validation = min(strips, key=lambda pair: abs(share(pair[1]) - VALIDATION_SHARE))
    if not share(validation) > 0 or not share(training) > 0:
        raise InputError(
            f"{len(labels.objects)} labelled defects ({labels.made_by}) are too few or too close together: "
            "training and validation regions both need some"
        )
    train_origins = _grid(training, side, side // 2)
    origins = _grid(validation, side, side)
    train_labels = _cut(labels.class_map, train_origins, side)
    return TileSet(
        _cut(image, train_origins, side),
        train_labels,
        _cut(image, origins, side),
        _cut(labels.class_map, origins, side),
        origins,
        labels.class_names if HOLE in labels.class_names else (*labels.class_names, HOLE),
        period_px,
        pixel_size_nm,
        float(np.percentile(image, DARK_PERCENTILE)),
    )


Region = tuple[slice, slice]


def _strip(shape: tuple[int, ...], side: int, axis: int, *, at_end: bool) -> tuple[Region, Region]:
    """Training and validation regions, the latter at one end of an axis."""
    length = shape[axis]
    width = side * max(1, round(VALIDATION_SHARE * length / side))
    split = (slice(0, length - width - side // 2), slice(length - width, length))
    if not at_end:
        split = (slice(width + side // 2, length), slice(0, width))
    whole = slice(0, shape[1 - axis])
    # A strip's other side may not be a whole number of tiles: what is over is left out.
    across = slice(0, shape[1 - axis] // side * side)
    training, validation = split
    return ((whole, training), (across, validation)) if axis == 1 else ((training, whole), (validation, across))


def _grid(region: Region, side: int, stride: int) -> NDArray[np.int64]:
    # The last tile is flush with the region's end: it overlaps more, and nothing is left out.
    starts = [np.unique([*range(part.start, part.stop - side + 1, stride), part.stop - side]) for part in region]
    return np.stack(np.meshgrid(*starts, indexing="ij"), axis=-1).reshape(-1, 2).astype(np.int64)


def _cut(image: NDArray[np.generic], origins: NDArray[np.int64], side: int) -> NDArray:  # type: ignore[type-arg]
    return np.stack([image[y : y + side, x : x + side] for y, x in origins])


def save_tiles(tiles: TileSet, provenance: dict[str, object], path: Path) -> None:
    """Write a tile set as one HDF5 file, with where it comes from."""
    with whole_file(path) as temporary, h5py.File(temporary, "w") as out:
        for name in ("train", "train_labels", "validation", "validation_labels"):
            data = getattr(tiles, name)
            out.create_dataset(name, data=data, chunks=(1, *data.shape[1:]))
        out["validation_origins"] = tiles.validation_origins
        out.attrs.update(
            schema_version=SCHEMA_VERSION,
            class_names=list(tiles.class_names),
            period_px=tiles.period_px,
            dark_level=tiles.dark_level,
            ignore=IGNORE,
            normalisation="local_contrast",
            provenance=json.dumps(provenance),
        )
        if tiles.pixel_size_nm is not None:
            out.attrs["pixel_size_nm"] = tiles.pixel_size_nm


def load_tiles(path: Path) -> TileSet:
    """Read a tile set. Raises InputError if the file is of another schema."""
    with h5py.File(path, "r") as stored:
        version = int(stored.attrs.get("schema_version", 0))
        if version != SCHEMA_VERSION:
            raise InputError(f"{path}: tile set of schema {version}, this evostem reads {SCHEMA_VERSION}")
        size = stored.attrs.get("pixel_size_nm")
        return TileSet(
            train=stored["train"][:],
            train_labels=stored["train_labels"][:],
            validation=stored["validation"][:],
            validation_labels=stored["validation_labels"][:],
            validation_origins=stored["validation_origins"][:],
            class_names=tuple(str(name) for name in stored.attrs["class_names"]),
            period_px=float(stored.attrs["period_px"]),
            pixel_size_nm=None if size is None else float(size),
            dark_level=float(stored.attrs["dark_level"]),
        )
