"""The ancestors of a network: its main line, what each step of it changed, and what it brought."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from data_prep.files import whole_file
from networks.difference import difference
from networks.genome import decode
from networks.space import Limits
from search.evaluation import Evaluation, Status


@dataclass(frozen=True)
class Step:
    """A network of the main line and what changed from the one before it; the first has no `parent`.

    `other` is the second parent of a crossover, the less fit.
    """

    network: Evaluation
    parent: Evaluation | None
    other: Evaluation | None
    changes: tuple[str, ...]

    @property
    def gain(self) -> float:
        """Fitness beyond that of the parent; negative if it was the fitter one."""
        return self.network.fitness - (self.parent.fitness if self.parent else 0.0)


def winner_of(evaluations: Sequence[Evaluation]) -> Evaluation | None:
    """The fittest network, of equals the one that arrived first; None if none was evaluated well."""
    good = (e for e in evaluations if e.status is Status.OK)
    return max(good, key=lambda e: e.fitness, default=None)


def parents_of(network: Evaluation, known: Mapping[int, Evaluation]) -> tuple[Evaluation, ...]:
    """The parents of a network among the `known` ones by index, the fitter first."""
    parents = [known[index] for index in network.request.parents if index in known]
    return tuple(sorted(parents, key=lambda parent: -parent.fitness))


def main_line(evaluations: Sequence[Evaluation], winner: Evaluation) -> list[Step]:
    """The line of the fitter parents that leads to the winner, the founder first."""
    known = {e.request.index: e for e in evaluations}
    steps: list[Step] = []
    network: Evaluation | None = winner
    while network is not None:
        parents = parents_of(network, known)
        parent, other = (*parents, None, None)[:2]
        steps.append(Step(network, parent, other, _changes(parent, network)))
        network = parent
    return steps[::-1]


def _changes(parent: Evaluation | None, network: Evaluation) -> tuple[str, ...]:
    if parent is None:
        return ()
    old, new = (decode(e.request.genome, Limits()) for e in (parent, network))
    return tuple(difference(old, new))


def family(evaluations: Sequence[Evaluation], winner: Evaluation) -> list[tuple[Evaluation, tuple[Evaluation, ...]]]:
    """The winner and all its ancestors, each with its parents, the fitter first."""
    known = {e.request.index: e for e in evaluations}
    found: dict[int, tuple[Evaluation, tuple[Evaluation, ...]]] = {}
    ahead = [winner]
    while ahead:
        network = ahead.pop()
        if network.request.index not in found:
            parents = parents_of(network, known)
            found[network.request.index] = (network, parents)
            ahead += parents
    return list(found.values())


def most_telling(steps: Sequence[Step], most: int) -> list[int]:
    """Numbers of the `most` steps to show, in order: the ends, and between them those that gained the most."""
    between = sorted(range(1, len(steps) - 1), key=lambda number: -steps[number].gain)
    ends = {0, len(steps) - 1} if steps else set()
    return sorted(ends | set(between[: max(most - len(ends), 0)]))


def write_line(steps: Sequence[Step], path: Path) -> Path:
    """Write the main line as CSV, a row for each step."""
    with whole_file(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as out:
        writer = csv.writer(out)
        writer.writerow(["network", "stage", "generation", "made_by", "parent", "other_parent", "fitness", "changes"])
        for step in steps:
            request = step.network.request
            parents = ["" if p is None else p.request.index for p in (step.parent, step.other)]
            values = [request.index, request.stage, request.generation, request.origin, *parents]
            writer.writerow([*values, f"{step.network.fitness:.4f}", "; ".join(step.changes)])
    return path
