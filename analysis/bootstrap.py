"""How far scores can be trusted: intervals from resampled places.

Objects that lie near one another, and the same place in all frames of a movie, are right or wrong together. So what
is drawn anew are places: blocks of the frame, several lattice periods wide, each with what all frames show there. This
is the block bootstrap of spatial data with fixed blocks (P. Hall, "Resampling a coverage pattern", Stochastic Processes
and their Applications 20, 231-246, 1985; S. N. Lahiri, "Resampling Methods for Dependent Data", Springer 2003).
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from analysis.scores import Score

MEASURES = ("precision", "recall", "f1", "position_error_px", "pixel_accuracy", "iou")
CONFIDENCE = 0.95
RESAMPLES = 1000
FEWEST_BLOCKS = 5  # that bear on a measure: from fewer, an interval would be a guess


def intervals(score: Score, seed: int = 0) -> dict[str, tuple[float, float]]:
    """The 95 % percentile interval (low, high) of each of `MEASURES`.

    NaN where fewer than `FEWEST_BLOCKS` blocks have anything to say of a measure.
    """
    sums = _sums(score)
    # Not a product of matrices: threads that wait for one another cost more than so small a one.
    above, below = np.einsum("rb,sbm->srm", _drawn(sums.shape[1], seed), sums)
    # A resample may hold nothing that bears on a measure, and then says nothing of it.
    with np.errstate(invalid="ignore"):
        resampled = above / below
    tails = 50 * (1 - CONFIDENCE), 50 * (1 + CONFIDENCE)
    found = {}
    for name, values, enough in zip(MEASURES, resampled.T, (sums[1] > 0).sum(axis=0) >= FEWEST_BLOCKS, strict=True):
        low, high = np.percentile(values[np.isfinite(values)], tails) if enough else (np.nan, np.nan)
        found[name] = (float(low), float(high))
    return found


def _sums(score: Score) -> NDArray[np.float64]:
    """Each measure is a sum over blocks divided by another: the summands of the two (2, block, measure)."""
    right, wrong, missed = score.objects.T
    both, found_only, known_only, neither = score.pixels.T
    count = len(score.objects)
    errors = np.bincount(score.error_blocks, score.errors_px, count)
    pairs = np.bincount(score.error_blocks, minlength=count)
    above = (right, right, 2 * right, errors, both + neither, both)
    either = both + found_only + known_only
    below = (right + wrong, right + missed, 2 * right + wrong + missed, pairs, either + neither, either)
    return np.stack([np.stack(above, axis=1), np.stack(below, axis=1)]).astype(float)


@lru_cache(maxsize=4)
def _drawn(blocks: int, seed: int) -> NDArray[np.float64]:
    """How often each block is in each resample (resample, block): the same for all frames of a movie."""
    places = np.random.default_rng(seed).integers(blocks, size=(RESAMPLES, blocks))
    places += blocks * np.arange(RESAMPLES)[:, None]
    return np.bincount(places.ravel(), minlength=RESAMPLES * blocks).reshape(RESAMPLES, blocks).astype(float)
