"""Mean, spread and examples of each kind's pictures, gathered frame by frame."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from analysis.library.align import Alignment
from analysis.library.cutouts import SIDE
from analysis.library.places import placed
from analysis.library.sample import Sample
from analysis.results import FrameResult

EXAMPLES = 12


class KindPictures:
    """What is gathered of one kind."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.count = 0
        self.classes: Counter[int] = Counter()
        self._sum, self._squares = np.zeros((SIDE, SIDE)), np.zeros((SIDE, SIDE))
        self._ratios = np.zeros(3)
        self._sample = Sample(EXAMPLES, rng)

    def add(self, images: NDArray[np.float32], ratios: NDArray[np.float64], classes: NDArray[np.int64]) -> None:
        """Add pictures (n, side, side), intensity ratios (n,) and classes by the network (n,)."""
        self.count += len(images)
        self.classes.update(classes.tolist())
        wide = images.astype(np.float64)
        self._sum += wide.sum(axis=0)
        self._squares += (wide**2).sum(axis=0)
        known = ratios[np.isfinite(ratios)]
        self._ratios += [len(known), known.sum(), (known**2).sum()]
        self._sample.add(images)

    def mean(self) -> NDArray[np.float32]:
        """Mean picture (side, side)."""
        return np.asarray(self._sum / max(self.count, 1), np.float32)

    def spread(self) -> NDArray[np.float32]:
        """Standard deviation (side, side) of the pictures."""
        mean = self._sum / max(self.count, 1)
        return np.asarray(np.sqrt(np.maximum(self._squares / max(self.count, 1) - mean**2, 0)), np.float32)

    def examples(self) -> NDArray[np.float32]:
        """Some of the pictures (e, side, side), taken at random."""
        rows = self._sample.rows()
        return np.asarray(rows[0], np.float32) if rows else np.zeros((0, SIDE, SIDE), np.float32)

    def ratio(self) -> tuple[float, float]:
        """Mean and standard deviation of the intensity ratio, NaN where there is none."""
        count, total, squares = self._ratios
        if not count:
            return np.nan, np.nan
        mean = total / count
        return float(mean), float(np.sqrt(max(squares / count - mean**2, 0)))


class Pictures:
    """What is gathered of all kinds: `of` (k,); `period_px` is the first frame's."""

    def __init__(self, kinds: int, rng: np.random.Generator) -> None:
        self.of = [KindPictures(rng) for _ in range(kinds)]
        self.period_px = 0.0

    def add(self, result: FrameResult, kinds: NDArray[np.int64], alignments: Mapping[int, Alignment]) -> None:
        """Add the defects of a frame, of these kinds (n,), turned as the alignment of their sublattice says."""
        assert result.views is not None  # noqa: S101 (as the caller has made sure)
        assert result.network is not None  # noqa: S101
        self.period_px = self.period_px or result.period_px
        where = placed(result)
        images = result.views.images.copy()
        for place, alignment in alignments.items():
            mine = where.place == place
            if mine.any():
                images[mine] = alignment.align(images[mine])
        for number in np.unique(kinds).tolist():
            mine = kinds == number
            self.of[number - 1].add(images[mine], where.ratio[mine], result.network.kinds[mine])
