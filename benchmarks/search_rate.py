"""How many networks the driver can ask for, record and learn from: ask + tell + journal, on one core.

    python -m benchmarks.search_rate [--most 1000000] [--workers 2,100,1000] [--screening] [--folder FOLDER]

The evaluator does nothing, so that all time is the driver's. Rows are for the last tenth of the first 10^3, 10^4, ...
networks: rate by the clock and time of the processor, which leaves out the waiting for the disk. With few workers few
results share a transaction; with many, the first rows are left out, in which a tenth is less than five transactions.
Each number of workers has a process of its own; the journal is written into FOLDER.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from concurrent.futures import Future
from contextlib import closing
from multiprocessing import get_context
from pathlib import Path

import psutil

from search.budget import Budget
from search.campaign import Crew, run_campaign
from search.evaluation import Evaluation, Request, Status
from search.evolution import Evolution
from search.journal import Journal
from search.screening import Screening

POPULATION = 100
SCORES = {"f1": 0.1, "iou": 0.2, "accuracy": 0.2, "balanced_accuracy": 0.3, "threshold": 0.4}


def no_op(request: Request) -> Future[Evaluation]:
    """A record as full as those of real networks, at once."""
    fitness = (request.genome[3] + request.genome[9] + request.genome[17]) / 800
    record = Evaluation(
        request, Status.OK, fitness=fitness, scores=SCORES, iterations=80, iterations_per_s=30.3,
        flops_per_iteration=10**10, weights=10**5, peak_memory_bytes=10**9, inference_s_per_megapixel=0.125,
        host="node", worker="1", device="cuda:0", started=1e9, ended=1e9 + 1,
    )  # fmt: skip
    future: Future[Evaluation] = Future()
    future.set_result(record)
    return future


class Meter:
    """Prints a row at 10^3, 10^4, ... networks."""

    def __init__(self, workers: int) -> None:
        self.workers, self.done, self.mark = workers, 0, 1000
        while self.mark < 50 * workers:
            self.mark *= 10
        self.clock = self.processor = 0.0

    def __call__(self, _evaluation: Evaluation) -> None:
        """Count one more network."""
        self.done += 1
        if self.done == self.mark * 9 // 10:
            self.clock, self.processor = time.perf_counter(), time.process_time()
        if self.done == self.mark:
            rate = self.mark / 10 / (time.perf_counter() - self.clock)
            each = (time.process_time() - self.processor) / (self.mark / 10)
            memory = psutil.Process().memory_info().rss / 2**20
            print(f"{self.workers:7d} {self.done:9d} {rate:11.0f} {1e6 * each:17.0f} {memory:10.0f}", flush=True)
            self.mark *= 10


def measure(workers: int, most: int, folder: Path, *, screening: bool) -> None:
    """Run one campaign and print its rows."""
    strategy = Evolution(POPULATION, 1, inherit=screening, screening=Screening() if screening else None)
    with tempfile.TemporaryDirectory(dir=folder) as inside, closing(Journal(Path(inside) / "rate.sqlite")) as journal:
        run_campaign(strategy, no_op, journal, Budget(most), Crew(lambda: workers), Meter(workers))


def main() -> None:
    """Measure each number of workers in a fresh process."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--most", type=int, default=1_000_000)
    parser.add_argument("--workers", default="2,100,1000")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()))
    parser.add_argument("--screening", action="store_true", help="with screened children that inherit, the default")
    asked = parser.parse_args()
    print(f"{'workers':>7s} {'networks':>9s} {'networks/s':>11s} {'processor us each':>17s} {'memory MiB':>10s}")
    for workers in map(int, asked.workers.split(",")):
        process = get_context("spawn").Process(
            target=measure, args=(workers, asked.most, asked.folder), kwargs={"screening": asked.screening}
        )
        process.start()
        process.join()


if __name__ == "__main__":
    main()
