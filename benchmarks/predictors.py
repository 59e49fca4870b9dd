"""Random sets of hyperparameters beside those that predictors choose, on real tiles.

    python -m benchmarks.predictors runs/NAME/tiles.h5 --out FOLDER

The network is examples/lenet.json, or another with --network. Each seed begins with random sets, the same for all
rows of the table; then each predictor chooses as many. Journals stay in the folder; given again, the command goes on
where it was.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from apps.evaluate import EvaluationSettings
from benchmarks.processes import processes
from data_prep.staging import file_hash
from networks.hyperparameters import Hyperparameters
from networks.network_file import read_network
from search.budget import Budget
from search.campaign import Crew, run_campaign
from search.evaluation import Evaluation
from search.journal import Journal
from search.predictors import PREDICTORS, RANDOM
from search.tuning import Build, Plan, Tuning
from search.tuning_folder import TuningFolder

EXAMPLE = Path(__file__).parents[1] / "examples" / "lenet.json"
GOOD_SHARE = 0.25


@dataclass(frozen=True)
class Bench:
    """What all rows share; `sets` is how many random ones there are, and others after them."""

    tiles: Path
    space: Hyperparameters
    out: Path
    sets: int
    iterations: int
    workers: int

    def journal(self, name: str, seed: int) -> Path:
        """Where a row's evaluations of a seed are."""
        return self.out / f"{name}_{seed}.sqlite"

    def run(self, name: str, seed: int, predictor: str, evaluations: int) -> None:
        """Run a campaign, or go on with it."""
        path = self.journal(name, seed)
        folder = TuningFolder(path.with_suffix("").absolute())
        folder.write_space(self.space)
        settings = EvaluationSettings(
            self.tiles.absolute(),
            file_hash(self.tiles),
            None,
            self.iterations,
            seconds=120.0,
            limit_s=600.0,
            tuning=folder.path,
        )

        def publish(build: Build) -> bool:
            if build.predictor is None:
                print(f"\n{path.stem}: {build.reason}", file=sys.stderr)
                return False
            folder.write_predictor(build.name, build.predictor)
            return True

        def show(_: Evaluation) -> None:
            print(f"\r{path.stem} {journal.count()} of {evaluations} ", end="", file=sys.stderr)

        with (
            processes(self.workers, settings) as evaluator,
            closing(Journal(path)) as journal,
            ThreadPoolExecutor(1) as background,
        ):
            plan = Plan(self.sets, predictor, GOOD_SHARE)
            tuning = Tuning(self.space, plan, seed, background, publish)
            run_campaign(tuning, evaluator, journal, Budget(evaluations), Crew(lambda: self.workers), show)

    def read(self, name: str, seeds: int) -> tuple[NDArray[np.float64], list[float]]:
        """Fitness (seed, evaluation) of a row, and the share of the sets looked at that were taken by choice."""
        fitness, taken = [], []
        for seed in range(seeds):
            with closing(Journal(self.journal(name, seed))) as journal:
                evaluations = list(journal.evaluations())
            fitness.append([evaluation.fitness for evaluation in evaluations])
            later = evaluations[self.sets :]
            accepted = sum(not evaluation.rejected for evaluation in later)
            taken.append(accepted / sum(evaluation.draws for evaluation in later))
        return np.array(fitness), taken


def report(bench: Bench, names: list[str], seeds: int) -> None:
    """Print the table: medians over the seeds, and from least to most."""
    read = {name: bench.read(name, seeds) for name in names}
    random = read[RANDOM][0].max(axis=1)
    print("| | best error | no worse than random | share of good sets | of seeds, at least twice | accepted |")
    print("| --- " * 6 + "|")
    for name, (fitness, taken) in read.items():
        best, first, then = fitness.max(axis=1), fitness[:, : bench.sets], fitness[:, bench.sets :]
        good = np.quantile(first, 1 - GOOD_SHARE, axis=1, keepdims=True)
        before, after = (first >= good).mean(axis=1), (then >= good).mean(axis=1)
        print(
            f"| {name} | {1 - np.median(best):.3f} ({1 - best.max():.3f} to {1 - best.min():.3f}) | "
            f"{(best >= random).sum()} of {seeds} | "
            f"{np.median(before):.2f} then {np.median(after):.2f} ({after.min():.2f} to {after.max():.2f}) | "
            f"{(after >= 2 * before).sum()} of {seeds} | {np.median(taken):.3f} |"
        )


def main() -> None:
    """Run what is missing and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tiles", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--network", type=Path, default=EXAMPLE)
    parser.add_argument("--rows", default=",".join([RANDOM, *PREDICTORS]))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--sets", type=int, default=60, help="random ones, and as many after them")
    parser.add_argument("--iterations", type=int, default=80)
    parser.add_argument("--workers", type=int, default=2)
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    space = read_network(asked.network)
    bench = Bench(asked.tiles, space, asked.out, asked.sets, asked.iterations, asked.workers)
    names = asked.rows.split(",")
    for seed in range(asked.seeds):
        start = bench.journal("start", seed)
        bench.run("start", seed, RANDOM, asked.sets)
        for name in names:
            if not bench.journal(name, seed).exists():
                shutil.copyfile(start, bench.journal(name, seed))
            bench.run(name, seed, name, 2 * asked.sets)
    print(file=sys.stderr)
    report(bench, names, asked.seeds)


if __name__ == "__main__":
    main()
