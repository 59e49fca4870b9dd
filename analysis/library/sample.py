"""A random sample of what streams by, so that memory does not grow with the number of frames."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


class Sample:
    """At most `most` rows of several arrays that belong together, each row that was added as likely as any other."""

    def __init__(self, most: int, rng: np.random.Generator) -> None:
        self.most, self.rng = most, rng
        self.keys = np.zeros(0)
        self.arrays: list[NDArray[Any]] = []

    def add(self, *arrays: NDArray[Any]) -> None:
        """Add rows: arrays of equal length, always in the same order."""
        self.keys = np.concatenate([self.keys, self.rng.random(len(arrays[0]))])
        before = self.arrays or [array[:0] for array in arrays]
        self.arrays = [np.concatenate([old, new]) for old, new in zip(before, arrays, strict=True)]
        if len(self.keys) > 2 * self.most:
            self._trim()

    def rows(self) -> list[NDArray[Any]]:
        """The arrays of the sample."""
        if len(self.keys) > self.most:
            self._trim()
        return self.arrays

    def _trim(self) -> None:
        kept = np.argsort(self.keys)[: self.most]
        self.keys, self.arrays = self.keys[kept], [array[kept] for array in self.arrays]
