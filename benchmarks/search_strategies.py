"""Evolution beside random search, and beside itself with each of its options, on real tiles.

    python -m benchmarks.search_strategies runs/NAME/tiles.h5 --out FOLDER

Each row of the table is a strategy, run with several seeds, all with the same number of evaluations on the
same number of worker processes. Journals stay in the folder; given again, the command goes on where it was.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from apps.evaluate import EvaluationSettings
from apps.weights import WeightsFolder
from benchmarks.processes import processes
from data_prep.staging import file_hash
from search.budget import Budget
from search.campaign import Crew, run_campaign
from search.evaluation import Evaluation
from search.evolution import Evolution
from search.halving import Halving
from search.journal import Journal
from search.predictors import Svm
from search.screening import Screening

POPULATION = 12
# Random search is an evolution whose population is never full: all networks come from the prior.
STRATEGIES: dict[str, Callable[[int], Evolution]] = {
    "random": lambda seed: Evolution(1_000_000, seed),
    "published": lambda seed: Evolution(POPULATION, seed),
    "inherit": lambda seed: Evolution(POPULATION, seed, inherit=True),
    "screening": lambda seed: Evolution(POPULATION, seed, screening=Screening()),
    "default": lambda seed: Evolution(POPULATION, seed, inherit=True, screening=Screening()),
    "default+svm": lambda seed: Evolution(POPULATION, seed, inherit=True, screening=Screening(Svm)),
    "default+halving": lambda seed: Evolution(POPULATION, seed, inherit=True, screening=Screening(), halving=Halving()),
}


def run(strategy: Evolution, settings: EvaluationSettings, path: Path, evaluations: int, workers: int) -> None:
    """Run one campaign, or go on with it, on fresh worker processes."""
    with processes(workers, settings) as evaluator, closing(Journal(path)) as journal:
        weights = None if settings.weights is None else WeightsFolder(settings.weights, 1, journal.evaluations())

        def show(evaluation: Evaluation) -> None:
            if weights is not None:
                weights.told(evaluation, strategy.parents())
            print(f"\r{path.stem} {journal.count()} of {evaluations} ", end="", file=sys.stderr)

        run_campaign(strategy, evaluator, journal, Budget(evaluations), Crew(lambda: workers), show)


@dataclass(frozen=True)
class Row:
    """What the seeds of a strategy came to: best error so far (seed, evaluation), and what it cost."""

    best: NDArray[np.float64]
    worker_s: list[float]
    inference_s: list[float]
    teraflops: list[float]


def read(paths: list[Path], evaluations: int) -> Row:
    """The first `evaluations` of each journal."""
    best, worker_s, inference_s, teraflops = [], [], [], []
    for path in paths:
        with closing(Journal(path)) as journal:
            records = list(islice(journal.evaluations(), evaluations))
        best.append(np.minimum.accumulate([1 - record.fitness for record in records]))
        worker_s.append(sum(record.ended - record.started for record in records))
        inference_s.append(max(records, key=lambda record: record.fitness).inference_s_per_megapixel)
        teraflops.append(sum(record.flops_per_iteration * record.iterations for record in records) / 1e12)
    return Row(np.array(best), worker_s, inference_s, teraflops)


def report(rows: dict[str, Row]) -> None:
    """Print the table: medians over the seeds, least and most in brackets."""
    marks = [n for n in (20, 40, 60, 80, 120, 160, 240, 320) if n <= next(iter(rows.values())).best.shape[1]]
    random = np.median(rows["random"].best[:, -1]) if "random" in rows else math.nan
    heads = " | ".join(f"at {n}" for n in marks)
    print(f"| strategy | {heads} | least to most | below random | TFLOP | s/megapixel of the best |")
    print("| --- " * (len(marks) + 5) + "|")
    for name, row in rows.items():
        last = row.best[:, -1]
        curve = " | ".join(f"{np.median(row.best[:, n - 1]):.3f}" for n in marks)
        print(
            f"| {name} | {curve} | {last.min():.3f} to {last.max():.3f} | {1 - np.median(last) / random:.1%} | "
            f"{np.median(row.teraflops):.1f} | {np.median(row.inference_s):.2f} |"
        )


def draw(rows: dict[str, Row], path: Path) -> None:
    """Draw the median of the best error so far against the number of evaluations, and the range over seeds."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(8, 4.5), layout="constrained")
    for number, (name, row) in enumerate(rows.items()):
        x = np.arange(1, row.best.shape[1] + 1)
        line = axes.step(x, np.median(row.best, axis=0), where="post", label=name, linewidth=1.8, color=f"C{number}")
        if name in {"random", "default"}:
            axes.fill_between(
                x, row.best.min(axis=0), row.best.max(axis=0), step="post", alpha=0.15, color=line[0].get_color()
            )
    axes.set_xlabel("evaluations")
    axes.set_ylabel("best validation error, median of the seeds")
    axes.set_ylim(top=0.45)
    axes.legend(frameon=False)
    figure.savefig(path, dpi=150)


def main() -> None:
    """Run what is missing, print the table, draw the curves."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tiles", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--rows", default=",".join(STRATEGIES))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--evaluations", type=int, default=80)
    parser.add_argument("--iterations", type=int, default=40)
    parser.add_argument("--workers", type=int, default=2)
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    settings = EvaluationSettings(
        asked.tiles.absolute(), file_hash(asked.tiles), None, asked.iterations, seconds=60.0, limit_s=600.0
    )
    journals: dict[str, list[Path]] = {name: [] for name in asked.rows.split(",")}
    for seed in range(asked.seeds):
        for name, paths in journals.items():
            strategy = STRATEGIES[name](seed)
            paths.append(asked.out / f"{name}_{seed}.sqlite")
            weights = paths[-1].with_suffix("") if strategy.inherit else None
            run(strategy, replace(settings, weights=weights), paths[-1], asked.evaluations, asked.workers)
    print(file=sys.stderr)
    rows = {name: read(paths, asked.evaluations) for name, paths in journals.items()}
    report(rows)
    draw(rows, asked.out / "curves.png")


if __name__ == "__main__":
    main()
