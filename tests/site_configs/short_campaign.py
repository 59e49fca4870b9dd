"""Campaigns of evaluations that train nothing, on whatever site."""

import os
import sys
import time
import zlib
from collections import Counter
from contextlib import closing
from pathlib import Path

import apps.parsl_apps
from apps.evaluate import EvaluationSettings
from apps.parsl_apps import start_engine
from data_prep.staging import file_hash
from search.budget import Budget
from search.campaign import Crew, run_campaign
from search.evolution import Evolution
from search.journal import Journal
from site_configs.executors import Purpose
from site_configs.reaper import reaping
from site_configs.sites import config_for, settings_of
from tests.clusters.host import wait_until

ROOT = Path(__file__).resolve().parents[2]

# What workers import in place of `apps.evaluate.evaluate`: all is as in earnest, but for the training.
SHORT = """
import os, time, zlib
from contextlib import nullcontext
from pathlib import Path
import apps.parsl_apps
from search.evaluation import Status

whole = apps.evaluate.evaluate
HERE = Path(__file__).parent


def evaluate(request, settings):
    with open(HERE / "tries", "a") as tries:
        tries.write(f"{request.index}\\n")
    def train(request, settings, tiles):
        time.sleep(float((HERE / "seconds").read_text()))
        return {"status": Status.OK, "reason": "", "fitness": zlib.crc32(request.genome) / 2**32, "device": str(tiles)}
    apps.evaluate._train = train
    apps.evaluate._load = lambda: None  # torch, which takes a while to import
    apps.evaluate._memory = nullcontext
    return whole(request, settings)
"""


def injected(folder):
    """Write the module of short evaluations, and have it found and used here and by workers; returns it."""
    (folder / "short_evaluations.py").write_text(SHORT)
    os.environ["PYTHONPATH"] = f"{folder}:{ROOT}"
    sys.path.insert(0, str(folder))
    import short_evaluations

    apps.parsl_apps.evaluate = short_evaluations.evaluate
    return short_evaluations


class ShortCampaign:
    """A campaign of evaluations that only take time; `at` says what happens after so many results."""

    def __init__(self, folder):
        self.folder = folder
        self.said = []
        self.say = self.said.append
        self.tiles = folder / "tiles.h5"
        if not self.tiles.exists():
            self.tiles.write_bytes(os.urandom(100_000))
        self.journal = folder / "journal.sqlite"
        self.jobs = folder / "jobs.txt"

    def run(self, site, evaluations, seconds=0.3, at=None, limit_s=10.0, before=None):
        """Returns the evaluations, and for how many seconds the campaign went on.

        `before` is called when there are workers, and none has anything to do.
        """
        at = dict(at or {})
        (self.folder / "seconds").write_text(str(seconds))
        site = settings_of(site, "test")
        purpose = Purpose(
            self.folder / "parsl", f"evotest{zlib.crc32(str(self.folder).encode()):x}", limit_s, self.jobs
        )
        settings = EvaluationSettings(self.tiles, file_hash(self.tiles), site.node_local, 1, 1.0, limit_s)
        done = 0
        self.jobs_noted = 0

        def take(_evaluation):
            nonlocal done
            done += 1
            if done in at:
                at[done]()
            if self.jobs.exists():
                self.jobs_noted = len(self.jobs.read_text().splitlines())

        with (
            closing(Journal(self.journal, self.say)) as journal,
            reaping(self.jobs, jobs=site.on_cluster),
            start_engine(config_for(site, purpose), self.say) as engine,
            engine.all_blocks(),
        ):
            if before is not None:
                wait_until(lambda: engine.submit(os.getpid).result(), "a first worker", 60)
                before()
            began = time.monotonic()
            crew = Crew(engine.workers, patience_s=150 + 3 * limit_s)  # of a busy machine
            run_campaign(Evolution(8, 3), engine.evaluator(settings), journal, Budget(evaluations), crew, take)
            took = time.monotonic() - began
            return sorted(journal.evaluations(), key=lambda e: e.request.index), took

    def tries(self):
        """How often each evaluation was begun."""
        return Counter(map(int, (self.folder / "tries").read_text().split()))

    def repeats(self):
        """How many evaluations were begun in vain."""
        return sum(self.tries().values()) - len(self.tries())
