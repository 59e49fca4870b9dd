"""Evolution beside random search, and beside itself with each of its options, on real tiles.

    python -m benchmarks.search_strategies runs/NAME/tiles.h5 --out FOLDER

Each row of the table is a strategy, run with several seeds, all with the same number of evaluations on the
same number of worker processes. Journals stay in the folder; given again, the command goes on where it was.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import closing
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

from apps.evaluate import EvaluationSettings, evaluate
from apps.weights import WeightsFolder
from data_prep.staging import file_hash
from search.budget import Budget
from search.campaign import Crew, run_campaign
from search.evaluation import Evaluation, Request
from search.evolution import Evolution
from search.halving import Halving
from search.journal import Journal
from search.price import Price
from search.screening import Screening

POPULATION = 12
LIFETIME = 60
PRICE = Price(0.02, "inference")
# Random search is an evolution whose population is never full: all networks come from the prior.
STRATEGIES: dict[str, Callable[[int], Evolution]] = {
    "random": lambda seed: Evolution(1_000_000, seed),
    "published": lambda seed: Evolution(POPULATION, seed),
    "inherit": lambda seed: Evolution(POPULATION, seed, inherit=True),
    "screening": lambda seed: Evolution(POPULATION, seed, screening=Screening()),
    "default": lambda seed: Evolution(POPULATION, seed, inherit=True, screening=Screening()),
    "default+halving": lambda seed: Evolution(POPULATION, seed, inherit=True, screening=Screening(), halving=Halving()),
    "default+price": lambda seed: Evolution(POPULATION, seed, inherit=True, screening=Screening(), price=PRICE),
    "default+lifetime": lambda seed: Evolution(
        POPULATION, seed, inherit=True, screening=Screening(), lifetime=LIFETIME
    ),
}


def run(strategy: Evolution, settings: EvaluationSettings, path: Path, evaluations: int, workers: int) -> None:
    """Run one campaign, or go on with it, on fresh worker processes."""
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool, closing(Journal(path)) as journal:

        def evaluator(request: Request) -> Future[Evaluation]:
            record: Future[Evaluation] = Future()
            pool.submit(evaluate, request, settings).add_done_callback(
                lambda done: record.set_result(Evaluation.from_plain(done.result()))
            )
            return record

        weights = (
            None if settings.weights is None else WeightsFolder(settings.weights, best=1, before=journal.evaluations())
        )

        def show(evaluation: Evaluation) -> None:
            if weights is not None:
                weights.told(evaluation, strategy.parents())
            print(f"\r{path.stem} {journal.count()} of {evaluations} ", end="", file=sys.stderr)

        run_campaign(strategy, evaluator, journal, Budget(evaluations), Crew(lambda: workers), show)


def main() -> None:
    """Run what is missing and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tiles", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--rows", default=",".join(STRATEGIES))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--evaluations", type=int, default=160)
    parser.add_argument("--iterations", type=int, default=40)
    parser.add_argument("--workers", type=int, default=2)
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    settings = EvaluationSettings(
        asked.tiles.absolute(), file_hash(asked.tiles), None, asked.iterations, seconds=60.0, limit_s=600.0
    )
    for seed in range(asked.seeds):
        for row in asked.rows.split(","):
            path = asked.out / f"{row}_{seed}.sqlite"
            strategy = STRATEGIES[row](seed)
            with_weights = replace(settings, weights=path.with_suffix("") if strategy.inherit else None)
            run(strategy, with_weights, path, asked.evaluations, asked.workers)
    print(file=sys.stderr)


if __name__ == "__main__":
    main()
