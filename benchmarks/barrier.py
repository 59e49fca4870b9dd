"""The asynchronous search beside one with a barrier after each generation, on simulated clusters of any size.

    python -m benchmarks.barrier [--workers 10,1000,25000] [--each 6] [--mean 600] [--spread 0.5] [--driver 0.0005]

Each worker gets `each` networks on average, whose durations are log-normal, in s; a generation is as many networks as
there are workers. `driver` is what benchmarks.search_rate measures, in s. Workers live a day on average.
The table gives the utilisation of the whole campaign, and up to its tail: until the last new network began.
"""

from __future__ import annotations

import argparse
import time

from search.evolution import STAGE, Evolution
from search.journal import Journal
from search.simulated_cluster import Shift, SimulatedCluster, log_normal, simulate, utilisation
from search.utilisation import worker_seconds

LIFE_S = 86400.0
START_UP_S = 30.0
POPULATION = 100


def before_the_tail(journal: Journal) -> float:
    """The share of the crew's time that was spent in evaluations until the last new one began."""
    records = [e for e in journal.evaluations(STAGE) if e.worker]  # lost ones have no times
    last = max(records, key=lambda e: e.request.index).started  # those tried once more begin later
    return sum(max(min(e.ended, last) - e.started, 0.0) for e in records) / worker_seconds(journal.crew(STAGE), last)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", default="10,1000,25000")
    parser.add_argument("--each", type=int, default=6)
    parser.add_argument("--mean", type=float, default=600.0)
    parser.add_argument("--spread", type=float, default=0.5)
    parser.add_argument("--driver", type=float, default=0.0005)
    asked = parser.parse_args()
    print(
        f"{'workers':>7s} {'mode':>12s} {'networks':>9s} {'hours':>7s} {'utilisation':>11s} {'to tail':>8s} "
        f"{'networks/h':>11s} {'lost':>5s} {'simulated in s':>14s}"
    )
    for workers in map(int, asked.workers.split(",")):
        for mode, barrier in (("asynchronous", None), ("barrier", workers)):
            started = time.perf_counter()
            cluster = SimulatedCluster(
                [Shift()] * workers,
                log_normal(asked.mean, asked.spread),
                start_up_s=START_UP_S,
                driver_s=asked.driver,
                mean_life_s=LIFE_S,
            )
            count = workers * asked.each
            journal = simulate(cluster, lambda: Evolution(POPULATION, 1), count, barrier)
            hours, share = cluster.now / 3600, utilisation(journal, STAGE)
            took, lost = time.perf_counter() - started, sum(journal.losses().values())
            print(
                f"{workers:7d} {mode:>12s} {count:9d} {hours:7.2f} {share:11.3f} {before_the_tail(journal):8.3f} "
                f"{count / hours:11.0f} {lost:5d} {took:14.1f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
