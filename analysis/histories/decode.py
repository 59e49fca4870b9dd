"""What each watched column is in each frame: the likeliest history by its intensities and the network's findings."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from analysis.histories.watch import Watched
from analysis.library.kinds import Kind
from analysis.library.places import place_name

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
PERFECT, HOLE, UNSEEN = 0, -1, -2  # beside the numbers of kinds
STAYS = 0.97  # from frame to frame, before anything is known
ROUNDS = 3  # of decoding and counting what happens
FOUND = 0.9  # share of defects that the network finds in a frame
FALSE = 0.003  # share of perfect columns where it finds one
OUTLIERS = 1e-4  # density of intensities that no state explains


def decode(watched: Watched, kinds: Sequence[Kind]) -> IntArray:
    """States (t, n) of the watched columns: a kind's number, `PERFECT`, `HOLE`, or `UNSEEN` out of view.

    Each sublattice is a hidden Markov model: its states are a perfect column and the kinds on it, which give a
    Gaussian intensity each and are found by the network more or less surely. Viterbi's path is taken, the
    probabilities of its steps estimated from the paths (Rabiner, Proc. IEEE 77, 257, 1989). A defect that the network
    misses in a frame is so followed through it, a single outlier is none. Near a hole intensities tell nothing.
    """
    states = np.full(watched.ratio.shape, UNSEEN)
    for number in np.unique(watched.sublattice).tolist():
        mine = watched.sublattice == number
        own = [kind for kind in kinds if kind.sublattice == place_name(number) and not kind.perfect]
        evidence = _evidence(watched, mine, own, float(watched.noise[number]))
        path = _paths(evidence)
        states[:, mine] = np.array([PERFECT, *(kind.number for kind in own)])[path]
    states[watched.hole] = HOLE
    states[np.isnan(watched.ratio)] = UNSEEN
    return states


def _evidence(watched: Watched, mine: NDArray[np.bool_], kinds: Sequence[Kind], noise: float) -> FloatArray:
    """Log-likelihood (t, n, k) of what is seen of columns, for a perfect one and for each kind."""
    ratio = watched.ratio[:, mine]
    found = watched.by_network[:, mine]
    scores = []
    for number, (mean, deviation) in enumerate([(1.0, noise), *((kind.ratio, kind.ratio_sd) for kind in kinds)]):
        spread = max(deviation, noise / 3, 0.01)
        density = np.exp(-(((ratio - mean) / spread) ** 2) / 2) / spread + OUTLIERS
        rate = FOUND if number else FALSE
        scores.append(np.log(density) + np.log(np.where(found, rate, 1 - rate)))
    told = np.stack(scores, axis=-1)
    told[np.isnan(ratio) | watched.rim[:, mine]] = 0.0
    return told


def _paths(evidence: FloatArray) -> IntArray:
    """The likeliest states (t, n) for log-likelihoods (t, n, k)."""
    count = evidence.shape[2]
    steps = np.full((count, count), (1 - STAYS) / max(count - 1, 1))
    np.fill_diagonal(steps, STAYS)
    start = np.full(count, 1 / count)
    for _ in range(ROUNDS):
        path = _viterbi(evidence, np.log(start), np.log(steps))
        events = np.zeros((count, count))
        np.add.at(events, (path[:-1].ravel(), path[1:].ravel()), 1)
        events += 0.5 / count
        steps = events / events.sum(axis=1, keepdims=True)
        start = np.bincount(path[0], minlength=count) + 0.5
        start = start / start.sum()
    return path


def _viterbi(evidence: FloatArray, start: FloatArray, steps: FloatArray) -> IntArray:
    length, columns, count = evidence.shape
    best = start + evidence[0]
    came = np.zeros((length, columns, count), np.int8)
    for t in range(1, length):
        ways = best[:, :, None] + steps
        came[t] = ways.argmax(axis=1)
        best = ways.max(axis=1) + evidence[t]
    path = np.zeros((length, columns), np.int64)
    path[-1] = best.argmax(axis=1)
    for t in range(length - 1, 0, -1):
        path[t - 1] = came[t, np.arange(columns), path[t]]
    return path
