"""How busy real workers are in a search, and with a generation barrier beside it.

    python -m benchmarks.utilisation runs/NAME/tiles.h5 --minutes 10

Both searches run on Parsl's workers, one for each core or GPU, as `evostem run` does, each for the same time. With a
barrier, the networks of a generation are waited for before the next is asked for.
"""

from __future__ import annotations

import argparse
import tempfile
from contextlib import closing
from functools import partial
from pathlib import Path

from apps.evaluate import EvaluationSettings
from apps.parsl_apps import Engine, start_engine
from apps.weights import WeightsFolder
from data_prep.staging import file_hash
from search.budget import Budget
from search.campaign import Crew, run_campaign
from search.evaluation import Evaluation
from search.evolution import Evolution
from search.journal import Journal
from search.screening import Screening
from search.utilisation import Utilisation
from site_configs.local import local

POPULATION = 12
MANY = 1_000_000  # more networks than there is time for


def search(engine: Engine, settings: EvaluationSettings, folder: Path, seconds: float, *, barrier: bool) -> None:
    """Search for some time and print how busy the workers were."""
    evaluator = engine.evaluator(settings)
    with closing(Journal(folder / "journal.sqlite")) as journal:
        ended, generations = "", 0
        while "have passed" not in ended:
            generations += 1
            strategy = Evolution(POPULATION, 0, inherit=True, screening=Screening())  # told again what is recorded
            weights = WeightsFolder(folder / "weights", 1, journal.evaluations())
            take = partial(forget, strategy, weights)
            budget = Budget(POPULATION * generations if barrier else MANY, seconds)
            ended = run_campaign(strategy, evaluator, journal, budget, Crew(engine.workers), take)
        busy = Utilisation()
        for evaluation in journal.evaluations():
            busy.add(evaluation)
        share, best = busy.share(journal.crew(strategy.stage)), strategy.population.members[-1]
        name = "with a barrier" if barrier else "asynchronous"
        print(f"{name}: workers busy {share:.1%}, {journal.count()} networks, best error {1 - best.fitness:.3f}")


def forget(strategy: Evolution, weights: WeightsFolder, evaluation: Evaluation) -> None:
    """Remove the weights that are wanted no more."""
    weights.told(evaluation, strategy.parents())


def main() -> None:
    """Search twice."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tiles", type=Path)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--iterations", type=int, default=80)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary, start_engine(local(Path(temporary) / "parsl")) as engine:
        for barrier in (False, True):
            folder = Path(temporary) / f"barrier_{barrier}"
            folder.mkdir()
            settings = EvaluationSettings(
                asked.tiles.absolute(), file_hash(asked.tiles), None, asked.iterations, seconds=12.0, limit_s=120.0,
                weights=folder / "weights",
            )  # fmt: skip
            search(engine, settings, folder, 60 * asked.minutes, barrier=barrier)


if __name__ == "__main__":
    main()
