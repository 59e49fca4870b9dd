"""What the first generation is worth: dead networks, FLOP/s beside the core's best, time lost around training.

    python -m benchmarks.first_generation TILES [--networks 200] [--iterations 80]

TILES is the `tiles.h5` of a run. Networks of the prior are evaluated as in a run, one process per core, each with
one thread; in between, each process measures the rate of large float32 matrix products on its core.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from apps.evaluate import EvaluationSettings, evaluate
from data_prep.labels import IGNORE
from data_prep.staging import file_hash
from data_prep.tiles import TileSet, load_tiles
from networks.genome import decode, encode
from networks.space import Limits, sample
from search.evaluation import Evaluation, Request, Status, rng_of, training_seed

SIDES = (1024, 2048)  # of the matrices
ALIVE = 1e-9  # more accurate than background everywhere by this


def matrix_rate() -> float:
    """Largest rate of float32 matrix products on this core now, FLOP/s."""
    import torch

    torch.set_num_threads(1)
    best = 0.0
    for side in SIDES:
        first, second = torch.randn(side, side), torch.randn(side, side)
        for _ in range(3):
            started = time.perf_counter()
            first @ second
            best = max(best, 2 * side**3 / (time.perf_counter() - started))
    return best


def evaluated(index: int, settings: EvaluationSettings) -> tuple[Evaluation, float]:
    """The record of network `index` of the prior, and the core's matrix rate right before it."""
    rate = matrix_rate()
    genome = encode(sample(rng_of(0, index)))
    request = Request(index, "prior", 0, genome, training_seed(0, index))
    return Evaluation.from_message(evaluate(request, settings), request), rate


def main() -> None:
    """Evaluate, and print the figures as a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tiles", type=Path)
    parser.add_argument("--networks", type=int, default=200)
    parser.add_argument("--iterations", type=int, default=80)
    asked = parser.parse_args()
    settings = EvaluationSettings(
        asked.tiles.absolute(), file_hash(asked.tiles), None, asked.iterations, seconds=60.0, limit_s=600.0
    )
    started, records, rates = time.time(), [], []
    cores = len(os.sched_getaffinity(0))
    with ProcessPoolExecutor(cores, mp_context=get_context("spawn")) as pool:
        for record, rate in pool.map(evaluated, range(asked.networks), [settings] * asked.networks):
            records.append(record)
            rates.append(rate)
            print(f"\r{len(records)} of {asked.networks}, {time.time() - started:.0f} s", end="", file=sys.stderr)
    print(file=sys.stderr)
    _report(records, np.array(rates), load_tiles(asked.tiles))


def _report(records: list[Evaluation], rates: NDArray[np.float64], tiles: TileSet) -> None:
    labels = tiles.validation_labels
    background = float((labels[labels != IGNORE] == 0).mean())  # the accuracy of answering so everywhere
    alive = [r for r in records if r.status is Status.OK and r.scores["accuracy"] > background + ALIVE]
    dead = [r for r in records if r not in alive]
    for record in dead:
        print(f"dead: {record.status} {record.reason} {decode(record.request.genome, Limits())}")
    flops = np.array([r.flops_per_iteration * r.iterations_per_s for r in records])
    best = float(rates.max())
    share = flops / best
    training = np.array([r.iterations / r.iterations_per_s if r.iterations_per_s else np.nan for r in records])
    size = np.array([r.inference_s_per_megapixel for r in records])
    total = np.array([r.ended - r.started for r in records])
    print(f"networks                              {len(records)}")
    print(f"dead                                  {len(dead)} ({len(dead) / len(records):.1%})")
    print(f"validation F1, quartiles              {_quartiles([r.fitness for r in records])}")
    print(f"matrix product, largest rate          {best / 1e9:.0f} GFLOP/s (median {np.median(rates) / 1e9:.0f})")
    print(f"training, mean rate                   {flops.mean() / 1e9:.1f} GFLOP/s")
    print(f"share of the matrix rate, mean        {share.mean():.3f}")
    print(f"  least, quartiles, most              {share.min():.3f}, {_quartiles(share)}, {share.max():.3f}")
    for record in [records[i] for i in np.argsort(share)[:3]]:
        print(f"  among the slowest: {decode(record.request.genome, Limits())}")
    print(f"seconds of training, quartiles        {_quartiles(training)}")
    print(f"inference, s per megapixel, quartiles {_quartiles(size)}")
    validation = size * labels.size / 1e6
    print(f"neither training nor validation       {np.nanmedian(1 - (training + validation) / total):.2%} (median)")
    print(f"peak memory, most                     {max(r.peak_memory_bytes for r in records) / 2**20:.0f} MiB")


def _quartiles(values: object) -> str:
    return ", ".join(f"{value:.3g}" for value in np.nanpercentile(np.asarray(values, float), [25, 50, 75]))


if __name__ == "__main__":
    main()
