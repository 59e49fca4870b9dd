"""How fast evaluations that do nothing go the whole way: campaign, Parsl, a worker, its record, the journal.

    python -m benchmarks.real_path

It prints the time from the start of the engine to the first evaluation (without torch, whose import is timed beside
it), evaluations per second, and the size of logs per evaluation.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from importlib import import_module
from pathlib import Path
from typing import Any

import apps.parsl_apps
from apps.evaluate import EvaluationSettings
from apps.parsl_apps import start_engine
from search.budget import Budget
from search.campaign import Crew, run_campaign
from search.evaluation import Evaluation, Request, Status
from search.evolution import Evolution
from search.journal import Journal
from site_configs.executors import Purpose
from site_configs.sites import config_for, settings_of

ROOT = Path(__file__).resolve().parents[1]


def no_op(request: Request, _settings: EvaluationSettings) -> tuple[Any, ...]:
    """What a worker does: say when it began and ended."""
    now = time.time()
    return Evaluation(request, Status.OK, fitness=0.5, started=now, ended=time.time()).to_message()


def main() -> None:
    """Time a start, then a campaign."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--evaluations", type=int, default=5000)
    parser.add_argument("--workers", type=int, default=None)
    asked = parser.parse_args()
    os.environ["PYTHONPATH"] = f"{ROOT}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    apps.parsl_apps.evaluate = import_module("benchmarks.real_path").no_op  # by a name that workers can import
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import networks.train"], check=True)
    print(f"import of torch and the training, for comparison: {time.perf_counter() - began:.1f} s")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        site = settings_of({"workers": asked.workers} if asked.workers else {}, "benchmark")
        began = time.perf_counter()
        with (
            closing(Journal(folder / "journal.sqlite")) as journal,
            start_engine(config_for(site, Purpose(folder / "parsl"))) as engine,
        ):
            evaluator = engine.evaluator(EvaluationSettings(folder, "", None, 1, 1.0, 60.0))
            evaluator(Request(0, Evolution.stage, 0, b"first", 0)).result()
            print(f"start of the engine to the first evaluation: {time.perf_counter() - began:.1f} s")
            began = time.perf_counter()
            budget, crew = Budget(asked.evaluations), Crew(engine.workers)
            run_campaign(Evolution(12, 0), evaluator, journal, budget, crew, lambda _: None)
            seconds = time.perf_counter() - began
            print(f"{asked.evaluations} evaluations on {engine.workers()} workers: {asked.evaluations / seconds:.0f}/s")
        logs = sum(file.stat().st_size for file in (folder / "parsl").rglob("*.log"))
        print(f"Parsl's logs: {logs / asked.evaluations:.1f} bytes per evaluation")


if __name__ == "__main__":
    main()
