"""Whether networks do as well on one site as on another: two runs of the same movie and seed, side by side.

    evostem demo --name here  --config same.toml
    evostem demo --name there --config same.toml --site mine.toml
    python -m benchmarks.same_everywhere runs/here runs/there

With `search.seconds` so large that no network meets its cap on time, a network that began with the same weights does
equally well anywhere, to the last bit on processors of the same kind. Which networks are bred depends on which results
came back first, so only those of both runs can be compared: at least the first population.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

from search.evaluation import Evaluation
from search.reading import JournalReader

Lineage = tuple[Any, ...]


def lineages(evaluations: Iterable[Evaluation]) -> dict[Lineage, Evaluation]:
    """Evaluations by their network, its seed, and all networks that its weights come from."""
    by_index = {evaluation.request.index: evaluation for evaluation in evaluations}
    known: dict[int, Lineage] = {}

    def of(index: int) -> Lineage:
        if index not in known:
            request = by_index[index].request
            known[index] = (request.genome, request.seed, *map(of, request.parents))
        return known[index]

    return {of(index): evaluation for index, evaluation in by_index.items()}


def in_common(one: Path, other: Path) -> list[tuple[Evaluation, Evaluation]]:
    """The networks that two runs have evaluated both."""
    found = []
    for folder in (one, other):
        with closing(JournalReader(folder / "journal.sqlite")) as journal:
            found.append(lineages(list(journal.evaluations())))
    here, there = found
    return [(here[lineage], there[lineage]) for lineage in here if lineage in there]


def main() -> None:
    """Compare two run folders."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("one", type=Path)
    parser.add_argument("other", type=Path)
    asked = parser.parse_args()
    pairs = in_common(asked.one, asked.other)
    equal = [a.fitness == b.fitness and a.status == b.status for a, b in pairs]
    print(f"{len(pairs)} networks in common, {sum(equal)} of them equal")
    for name, one in (("the first", 0), ("the second", 1)):
        nodes = sorted({(pair[one].host, pair[one].worker, pair[one].gpu) for pair in pairs})
        told = (f"{host} worker {worker}" + f" GPU {gpu}" * bool(gpu) for host, worker, gpu in nodes)
        print(f"{name} on", ", ".join(told))
    for a, b in pairs:
        if a.fitness != b.fitness or a.status != b.status:
            said = (f"{one.status} {one.fitness} {one.reason}".strip() for one in (a, b))
            print(f"network {a.request.index}:", ", and ".join(said))


if __name__ == "__main__":
    main()
