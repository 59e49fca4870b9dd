"""Which networks were there already, in eight bytes each."""

from __future__ import annotations

from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from networks.genes import expressed

RECENT = 1 << 14  # kept as a Python set before they are merged into the array


class Seen:
    """A set of genes, known by fingerprints of what they express.

    Two networks with the same fingerprint are taken for one: of a million networks, the chance that
    any is wrongly left out is about one in ten million.
    """

    def __init__(self) -> None:
        self._old = np.zeros(0, np.uint64)  # sorted
        self._recent: set[int] = set()

    def __contains__(self, genes: NDArray[np.integer]) -> bool:
        return self._has(_mark(genes))

    def add(self, genes: NDArray[np.integer]) -> None:
        """Add genes (n,)."""
        mark = _mark(genes)
        if self._has(mark):
            return
        self._recent.add(mark)
        if len(self._recent) == RECENT:
            self._old = np.sort(np.concatenate([self._old, np.fromiter(self._recent, np.uint64, RECENT)]))
            self._recent.clear()

    def _has(self, mark: int) -> bool:
        place = int(self._old.searchsorted(np.uint64(mark)))
        return mark in self._recent or (place < len(self._old) and int(self._old[place]) == mark)


def _mark(genes: NDArray[np.integer]) -> int:
    """The fingerprint of genes (n,)."""
    text = expressed(genes).astype(np.uint8).tobytes()
    return int.from_bytes(blake2b(text, digest_size=8).digest(), "little")
