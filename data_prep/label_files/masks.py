"""Mask images: a class for each pixel, as an index or as a colour."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from data_prep.errors import InputError
from data_prep.formats.stored import open_stored, short
from data_prep.label_files.legend import UNLABELLED, Legend
from data_prep.label_files.mask_values import mask_codes, mask_meanings
from data_prep.label_files.regions import objects_of_regions
from data_prep.labels import BACKGROUND, IGNORE, LabelledFrame


@dataclass(frozen=True)
class Mask:
    """A mask of `shape` (rows, columns), or a stack of `stack` of them, and what its values mean.

    Of class indices 0 is the background and 255 unlabelled. Of colours the background is what is
    fully transparent or, where nothing is, black or white, the more common of them. A legend may
    name `background` and `unlabelled`.
    """

    path: Path
    shape: tuple[int, int]
    stack: int
    coloured: bool
    legend: Legend

    @property
    def frames(self) -> frozenset[int] | None:
        """All frames for a stack; None for a single mask."""
        return frozenset(range(self.stack)) if self.stack > 1 else None

    @cached_property
    def counts(self) -> Counter[str]:
        """Pixels of each class in all masks; a class of the legend that has none counts 0.

        Raises InputError for values that have no meaning.
        """
        counts = Counter(dict.fromkeys(dict(self.legend), 0))
        for index in range(self.stack):
            codes, meanings = self._read(index)
            for code, count in zip(*np.unique(codes, return_counts=True), strict=True):
                counts[meanings[int(code)]] += int(count)
        del counts[BACKGROUND], counts[UNLABELLED]
        return counts

    def check(self, shape: tuple[int, int], frames: int) -> None:
        """Raise InputError if the mask is not of `shape` (rows, columns), not one for each of `frames`, or empty."""
        if self.shape != shape:
            hint = "it is transposed" if self.shape == shape[::-1] else "a mask has a pixel for each of the frame's"
            raise InputError(
                f"{self.path}: is a mask of {self.shape[0]} x {self.shape[1]} px, the frame has "
                f"{shape[0]} x {shape[1]} px (rows x columns); {hint}"
            )
        if self.stack not in {1, frames}:
            raise InputError(
                f"{self.path}: is a stack of {self.stack} masks, the movie has {frames} frames; "
                "give one mask for each frame, or a single one"
            )
        if not self.counts.total():
            raise InputError(
                f"{self.path}: no pixel is of any class, all are background or unlabelled (255); "
                "if 255 is a class, say --legend NAME=255"
            )

    def likely_defects(self, shape: tuple[int, int], period_px: float) -> tuple[str, ...]:  # noqa: ARG002
        """All classes that have pixels."""
        return tuple(name for name, count in self.counts.items() if count)

    def label(self, frame: int, defects: tuple[str, ...], shape: tuple[int, int], period_px: float) -> LabelledFrame:
        """Labels of one frame (y, x): the pixels as they were drawn; each connected region is an object."""
        codes, meanings = self._read(frame if self.stack > 1 else 0)
        class_map, parts = np.zeros(shape, np.uint8), np.zeros(shape, np.int32)
        kinds: list[int] = []
        for code, name in meanings.items():
            drawn = codes == code
            if name == UNLABELLED:
                class_map[drawn] = IGNORE
            elif name in defects:
                kind = defects.index(name) + 1
                class_map[drawn] = kind
                numbered, count = ndimage.label(drawn, np.ones((3, 3)))
                parts[drawn] = numbered[drawn] + len(kinds)
                kinds += [kind] * count
        objects = objects_of_regions(parts, len(kinds), period_px)
        return LabelledFrame(class_map, objects, np.array(kinds, np.int64), defects, f"mask {self.path.name}")

    def _read(self, index: int) -> tuple[NDArray[np.int64], dict[int, str]]:
        """The codes (y, x) of one mask and the class of each."""
        with open_stored(self.path) as stored:
            try:
                image = stored.read(index)
            except Exception as error:  # any reader's own failure on a damaged file
                raise InputError(f"{self.path}: cannot be read ({short(error)})") from None
        codes = mask_codes(self.path, image)
        values, counts = np.unique(codes, return_counts=True)
        pixels = dict(zip(values.tolist(), counts.tolist(), strict=True))
        return codes, mask_meanings(self.path, pixels, self.legend, coloured=self.coloured)


def read_mask(path: Path, legend: Legend) -> Mask:
    """A mask image, or a stack of them, in any format of images. Raises InputError if it cannot be read."""
    with open_stored(path) as stored:
        return Mask(path, stored.shape, stored.frames, stored.channels > 1, legend)
