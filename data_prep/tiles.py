"""The tile set: labelled pieces of a frame, training and validation from disjoint regions."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from data_prep.balance import Balance, Region, count_classes, objects_within
from data_prep.errors import InputError
from data_prep.files import whole_file
from data_prep.labels import HOLE, IGNORE, LabelledFrame

SCHEMA_VERSION = 3
VALIDATION_SHARE = 0.25
DARK_PERCENTILE = 0.5
TILE_SIZES = (64, 48, 32, 16)
TILES_ACROSS = 4  # a frame's side holds at least so many tiles: two to train, a margin, one to validate


@dataclass(frozen=True)
class TileSizes:
    """Side of a tile and stride of the training tiles, each in px or in lattice periods.

    By default the side is the largest of `TILE_SIZES` that the frame allows, the stride half of it.
    """

    size_px: int | None = None
    size_periods: float | None = None
    stride_px: int | None = None
    stride_periods: float | None = None

    def in_px(self, shape: tuple[int, ...], period_px: float) -> tuple[int, int]:
        """Side and stride in px for frames of `shape` (rows, columns).

        Raises InputError if tiles are too small, or too large for the frame.
        """
        side = next((size for size in TILE_SIZES if min(shape) >= TILES_ACROSS * size), TILE_SIZES[-1])
        if self.size_px or self.size_periods:
            side = self.size_px or round((self.size_periods or 0) * period_px)
        if min(shape) < TILES_ACROSS * side or side < TILE_SIZES[-1]:
            raise InputError(
                f"tiles of {side} px do not fit frames of {shape[0]} x {shape[1]} px: they need {TILE_SIZES[-1]} px a "
                f"side or more, and a frame {TILES_ACROSS} of them (tiles.size_px, tiles.size_periods)"
            )
        stride = self.stride_px or max(1, round((self.stride_periods or 0) * period_px))
        return side, stride if self.stride_px or self.stride_periods else side // 2


@dataclass(frozen=True)
class TileSet:
    """Tiles of labelled frames.

    `train` (tile, y, x) float32 and `train_labels` (tile, y, x) uint8 overlap; `validation`
    (tile, y, x) and `validation_labels` do not, and `validation_origins` (tile, 3) say where each
    lies: number of its frame, y, x. Images are levelled by `normalise.local_contrast`; `dark_level`
    is the level of their darkest pixels (the half per cent). The class `hole` is always among
    `class_names`. `balance` counts what is labelled in both regions.

    A set may also be of plain images with one class each: then labels are (tile,), 0 for the first class
    and k for `class_names[k - 1]`, origins are 0, and lengths in lattice periods mean nothing.
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
    balance: Balance

    @property
    def per_tile(self) -> bool:
        """Whether each tile has one class, and not each pixel."""
        return self.train_labels.ndim == 1

    @property
    def tile_px(self) -> int:
        """Side of a tile in px."""
        return int(self.train.shape[1])

    def validation_regions(self) -> list[tuple[int, Region, NDArray[np.float32]]]:
        """The validation tiles put together again: for each frame its number, where in it, and the image (y, x)."""
        regions = []
        for frame in np.unique(self.validation_origins[:, 0]):
            chosen = self.validation_origins[:, 0] == frame
            origins = self.validation_origins[chosen, 1:]
            (top, left), (bottom, right) = origins.min(axis=0), origins.max(axis=0) + self.tile_px
            image = np.zeros((bottom - top, right - left), np.float32)
            for tile, (y, x) in zip(self.validation[chosen], origins - (top, left), strict=True):
                image[y : y + self.tile_px, x : x + self.tile_px] = tile
            regions.append((int(frame), (slice(int(top), int(bottom)), slice(int(left), int(right))), image))
        return regions


def cut_tiles(
    frames: dict[int, tuple[NDArray[np.float32], LabelledFrame]],
    period_px: float,
    pixel_size_nm: float | None,
    sizes: TileSizes,
) -> TileSet:
    """Cut levelled frames (y, x) of one movie, by their numbers, into tiles.

    Validation is a strip along one side, a quarter of the frame as near as tiles allow, on the side
    where it holds nearest to a quarter of the defects; a margin of a tile parts it from the training
    region. It is the same strip in all frames, since they show the same place.
    Raises InputError if either region would hold no defect, or the frames are too small.
    """
    images = {number: image for number, (image, _) in frames.items()}
    labels = {number: labelled for number, (_, labelled) in frames.items()}
    first = next(iter(labels.values()))
    if not any(len(labelled.objects) for labelled in labels.values()):
        raise InputError(f"no defect is labelled ({first.made_by}); there is nothing to learn from")
    shape = first.class_map.shape
    side, stride = sizes.in_px(shape, period_px)
    training, validation = _split(shape, side, list(labels.values()))
    train_origins = _grid(training, side, stride)
    origins = _grid(validation, side, side)
    maps = {number: labelled.class_map for number, labelled in labels.items()}
    return TileSet(
        _cut(images, train_origins, side),
        _cut(maps, train_origins, side),
        _cut(images, origins, side),
        _cut(maps, origins, side),
        np.concatenate([np.insert(origins, 0, number, axis=1) for number in frames]),
        first.class_names if HOLE in first.class_names else (*first.class_names, HOLE),
        period_px,
        pixel_size_nm,
        float(np.percentile(list(images.values()), DARK_PERCENTILE)),
        {"train": count_classes(labels.values(), training), "validation": count_classes(labels.values(), validation)},
    )


def _split(shape: tuple[int, ...], side: int, labels: list[LabelledFrame]) -> tuple[Region, Region]:
    """Training and validation region: of four strips the one with nearest to a quarter of the objects."""
    strips = [_strip(shape, side, axis, at_end=at_end) for axis in (1, 0) for at_end in (True, False)]
    total = sum(len(labelled.objects) for labelled in labels)

    def share(region: Region) -> float:
        return sum(int(objects_within(labelled, region).sum()) for labelled in labels) / total

    training, validation = min(strips, key=lambda pair: abs(share(pair[1]) - VALIDATION_SHARE))
    if not share(validation) > 0 or not share(training) > 0:
        raise InputError(
            f"{total} labelled defects ({labels[0].made_by}) are too few or too close together: "
            "training and validation regions both need some"
        )
    return training, validation


def _strip(shape: tuple[int, ...], side: int, axis: int, *, at_end: bool) -> tuple[Region, Region]:
    """Training and validation regions, the latter at one end of an axis."""
    length = shape[axis]
    width = side * max(1, round(VALIDATION_SHARE * length / side))
    split = (slice(0, length - width - side), slice(length - width, length))
    if not at_end:
        split = (slice(width + side, length), slice(0, width))
    whole = slice(0, shape[1 - axis])
    # A strip's other side may not be a whole number of tiles: what is over is left out.
    across = slice(0, shape[1 - axis] // side * side)
    training, validation = split
    return ((whole, training), (across, validation)) if axis == 1 else ((training, whole), (validation, across))


def _grid(region: Region, side: int, stride: int) -> NDArray[np.int64]:
    """Corners (tile, 2) as (y, x) of the tiles of a region."""
    # The last tile is flush with the region's end: it overlaps more, and nothing is left out.
    starts = [np.unique([*range(part.start, part.stop - side + 1, stride), part.stop - side]) for part in region]
    return np.stack(np.meshgrid(*starts, indexing="ij"), axis=-1).reshape(-1, 2).astype(np.int64)


def _cut(images: Mapping[int, NDArray[Any]], origins: NDArray[np.int64], side: int) -> NDArray[Any]:
    """Tiles (tile, y, x) with these corners of each image (y, x)."""
    return np.stack([image[y : y + side, x : x + side] for image in images.values() for y, x in origins])


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
            balance=json.dumps(tiles.balance),
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
            balance=json.loads(stored.attrs["balance"]),
        )


def load_balance(path: Path) -> Balance:
    """Only the class balance of a stored tile set."""
    with h5py.File(path, "r") as stored:
        balance: Balance = json.loads(stored.attrs["balance"])
        return balance
