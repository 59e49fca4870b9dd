"""What the driver tells workers of a tuning, in a folder that all see: the space of sets, and predictors."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data_prep.files import whole_file
from networks.hyperparameters import Hyperparameters
from networks.network_limits import can_be
from search.evaluation import Request
from search.predictors import PREDICTORS, RANDOM
from search.predictors.predictor import Predictor, Proposal

ATTEMPTS = 50  # to draw a set that can be trained as it is
DRAWING = 2  # the stream of random numbers, of those of a network's seed, that its set is drawn from


@dataclass(frozen=True)
class Drawn:
    """A request with its set, and how many sets were looked at.

    `rejected` if the predictor accepted none of them. There is a warning if it could not be had, so that the set is
    a random one.
    """

    request: Request
    draws: int
    rejected: bool
    warning: str


class TuningFolder:
    """The driver writes, workers read. Predictors are NumPy archives without pickled objects."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write_space(self, space: Hyperparameters) -> None:
        """Write what may vary. Raises InputError if the disk is full, OSError for other troubles."""
        with whole_file(self.path / "space.json") as temporary:
            temporary.write_text(json.dumps(space.to_plain()), encoding="utf-8")

    def write_predictor(self, name: str, predictor: Predictor) -> None:
        """Write a predictor. Raises InputError if the disk is full, OSError for other troubles."""
        with whole_file(self.path / f"{name}.npz") as temporary:
            arrays: dict[str, NDArray[Any]] = dict(predictor.arrays())
            np.savez_compressed(temporary, **arrays)  # type: ignore[arg-type]

    def draw(self, request: Request) -> Drawn:
        """Draw the set of a request that has none. The same request draws the same set.

        In a topology that somebody wrote down, sets are drawn anew that cannot be trained as they are, see
        `networks.network_limits`.
        """
        return self._draw(request, _space(self.path))

    def draw_group(self, requests: Sequence[Request]) -> list[Drawn]:
        """Draw sets for requests that can be trained as one: the first freely, the others with the shapes of that."""
        space = _space(self.path)
        first = self._draw(requests[0], space)
        like_first = space.holding(space.set_of(first.request.genome))
        return [first, *(self._draw(request, like_first) for request in requests[1:])]

    def _draw(self, request: Request, space: Hyperparameters) -> Drawn:
        rng = np.random.default_rng([request.seed, DRAWING])
        predictor, origin, warning = None, RANDOM, ""
        if request.predictor:
            kind = request.predictor.split("_")[0]
            try:
                predictor, origin = _predictor(self.path / f"{request.predictor}.npz", kind), kind
            except Exception as error:
                warning = f"sets were random, as a predictor could not be read ({type(error).__name__})"
        draws = 0
        for _ in range(ATTEMPTS):
            proposal = Proposal(space.draw(1, rng)[0]) if predictor is None else predictor.propose(space, rng)
            draws += proposal.draws
            genome = space.genome(proposal.chosen)
            if space.around or can_be(genome):
                break
        return Drawn(replace(request, genome=genome, origin=origin), draws, proposal.rejected, warning)


@lru_cache(maxsize=1)
def _space(folder: Path) -> Hyperparameters:
    return Hyperparameters.from_plain(json.loads((folder / "space.json").read_text(encoding="utf-8")))


@lru_cache(maxsize=1)
def _predictor(path: Path, kind: str) -> Predictor:
    """A predictor; a worker's later sets find it there."""
    with np.load(path, allow_pickle=False) as arrays:
        return PREDICTORS[kind].from_arrays(dict(arrays))
