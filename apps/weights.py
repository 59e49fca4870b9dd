"""The weights that networks leave for their children, as long as these may want them."""

from __future__ import annotations

import heapq
from collections.abc import Container, Iterable
from pathlib import Path

from search.evaluation import Evaluation, Status


def kept_weights(folder: Path, index: int) -> Path:
    """Where the network of an evaluation leaves its weights."""
    return folder / f"{index}.safetensors"


class WeightsFolder:
    """Removes the weights of networks that are wanted no more: not among the `best` fittest, and no parents.

    `before` are the evaluations of earlier lives of the run.
    """

    def __init__(self, path: Path, best: int, before: Iterable[Evaluation] = ()) -> None:
        self.path = path
        self._size = best
        self._best: list[tuple[float, int]] = []
        left = {int(file.stem) for file in path.glob("[0-9]*.safetensors")}
        self._there: set[int] = set()
        for evaluation in before:
            self._rank(evaluation)
            if evaluation.request.index in left:
                self._there.add(evaluation.request.index)
        # What was under way when an earlier life ended is evaluated anew, under numbers that may be the same.
        for index in left - self._there:
            kept_weights(path, index).unlink()

    def told(self, evaluation: Evaluation, parents: Container[int]) -> None:
        """Take in that an evaluation was told, after which `parents` may have children.

        Networks that are not told yet may have left their weights already; these are not touched.
        """
        self._rank(evaluation)
        self._there.add(evaluation.request.index)
        best = {-minus_index for _, minus_index in self._best}
        for gone in [index for index in self._there if index not in best and index not in parents]:
            kept_weights(self.path, gone).unlink(missing_ok=True)
            self._there.remove(gone)

    def _rank(self, evaluation: Evaluation) -> None:
        if evaluation.status is not Status.OK:
            return
        ranked = (evaluation.fitness, -evaluation.request.index)
        if len(self._best) < self._size:
            heapq.heappush(self._best, ranked)
        else:
            heapq.heappushpop(self._best, ranked)
