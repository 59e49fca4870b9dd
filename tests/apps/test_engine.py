"""Networks that do all the wrong things on real workers."""

import sys
import time
from collections import Counter
from concurrent.futures import BrokenExecutor
from contextlib import closing, suppress
from pathlib import Path

import psutil
import pytest

import apps.blocks
import apps.evaluate
import apps.limits
from apps.evaluate import EvaluationSettings
from apps.parsl_apps import start_engine
from search.budget import Budget
from search.campaign import CampaignError, Crew, run_campaign
from search.evaluation import Request, Status
from search.evolution import Evolution
from search.journal import Journal
from site_configs.executors import Purpose
from site_configs.local import local
from site_configs.settings import SiteSettings

pytestmark = [
    pytest.mark.htex,
    pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning"),  # Parsl's log
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

# What workers import in place of `apps.evaluate.evaluate`: it trains nothing, and network 1, 2... has a fault.
INJECTED = """
import ctypes, os, signal, time
from pathlib import Path
from types import SimpleNamespace
import numpy as np
import torch  # here, not under the time limit
import apps.evaluate, apps.limits
from search.evaluation import Status

apps.limits.GRACE_S = 1.0
apps.evaluate.memory_share = lambda: 2 << 30
apps.evaluate.stage = lambda *_: SimpleNamespace(path=None, warning="")
whole = apps.evaluate.evaluate


class Needy(Exception):
    def __init__(self, one, two):
        pass


class Poison:
    def __reduce__(self):
        return int, ("not a number",)  # whoever reads it fails


def raises(): raise ValueError("no such layer")
def raises_needy(): raise Needy(1, 2)
def leaves(): raise SystemExit(1)
def is_nan(): return {"fitness": float("nan")}
def is_numpy(): return {"fitness": np.float32(0.25)}
def ends(): os._exit(1)
def segfaults(): os.kill(os.getpid(), signal.SIGSEGV)
def hangs(): time.sleep(600)
def hangs_in_c():
    library = ctypes.PyDLL(None)  # which keeps the interpreter's lock
    mutex = ctypes.create_string_buffer(128)
    library.pthread_mutex_lock(mutex)
    library.pthread_mutex_lock(mutex)  # no signal ends this
def allocates():
    kept = []
    while True: kept.append(np.empty(1 << 24, np.uint8))
def allocates_tensors():
    kept = []
    while True: kept.append(torch.empty(1 << 24, dtype=torch.uint8))
def says_nothing(): return None
def says_too_much(): return {"colour": "green"}
def says_poison(): return {"scores": {"f1": Poison()}}
def says_function(): return {"host": says_nothing, "fitness": lambda: 1}

FAULTS = [
    raises, raises_needy, leaves, is_nan, is_numpy, ends, segfaults, hangs, hangs_in_c, allocates, allocates_tensors,
    says_nothing, says_too_much, says_poison, says_function,
]


def evaluate(request, settings):
    with open(Path(__file__).with_name("tries"), "a") as tries:
        print(request.index, file=tries)
    def train(*_):
        good = {"status": Status.OK, "reason": "", "fitness": 0.5}
        fault = FAULTS[request.index - 1] if 0 < request.index <= len(FAULTS) else dict
        said = fault()
        return said if said is None else good | said
    apps.evaluate._train = train
    if request.index == len(FAULTS) + 1: return 7
    if request.index == len(FAULTS) + 2: return lambda: 7
    if request.index == len(FAULTS) + 3:
        return tuple("fine" if part == "ok" else part for part in whole(request, settings))
    return whole(request, settings)
"""
EXPECTED = [
    (Status.OK, ""),
    (Status.CRASHED, "ValueError: no such layer"),
    (Status.CRASHED, "Needy"),
    (Status.CRASHED, "SystemExit: 1"),
    (Status.DIVERGED, "fitness nan"),
    (Status.OK, ""),
    (Status.LOST, "went away"),
    (Status.LOST, "went away"),
    (Status.TIMED_OUT, "not done after 3 s"),
    (Status.LOST, "went away"),
    (Status.OUT_OF_MEMORY, "MemoryError"),
    (Status.OUT_OF_MEMORY, "can't allocate memory"),
    (Status.CRASHED, "NoneType"),
    (Status.CRASHED, "colour"),
    (Status.CRASHED, "score f1 is a Poison, no number"),
    (Status.CRASHED, "TypeError"),
    (Status.CRASHED, "it is a int, no record"),
    (Status.CRASHED, "it is a function, no record"),
    (Status.CRASHED, "fine"),
]
SETTINGS = EvaluationSettings(Path("tiles.h5"), "", None, 1, 1.0, 3.0)


@pytest.fixture
def injected(tmp_path, monkeypatch):
    """A folder with a module of faults, which workers find as we do."""
    (tmp_path / "injected_faults.py").write_text(INJECTED)
    monkeypatch.syspath_prepend(str(tmp_path))
    root = str(Path(__file__).resolve().parents[2])
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{root}")
    for module, name in ((apps.evaluate, "stage"), (apps.evaluate, "memory_share"), (apps.limits, "GRACE_S")):
        monkeypatch.setattr(module, name, getattr(module, name))  # so that it is put back
    import injected_faults

    monkeypatch.setattr("apps.parsl_apps.evaluate", injected_faults.evaluate)
    yield tmp_path
    del sys.modules["injected_faults"]


def quick(log_folder):
    """The local site, which notices losses sooner."""
    return local(SiteSettings(workers=2, heartbeat_s=1), Purpose(log_folder))


def command_of(process):
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""  # gone already


def wait_until(condition, seconds):
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.1)
    return condition()


def test_each_fault_on_a_real_worker_is_a_record(injected):
    with closing(Journal(injected / "journal.sqlite")) as journal, start_engine(quick(injected / "log")) as engine:
        assert engine.workers() == 2  # none is there yet, and two are to come
        evaluator = engine.evaluator(SETTINGS)
        crew = Crew(engine.workers, patience_s=60)
        ended = run_campaign(Evolution(4, 3), evaluator, journal, Budget(30), crew, lambda _: None)
        assert engine.workers() == 2  # lost ones were replaced
        assert ended == "30 networks are evaluated"
        evaluations = sorted(journal.evaluations(), key=lambda e: e.request.index)
    assert [e.request.index for e in evaluations] == list(range(30))
    said = [(e.status, e.reason) for e in evaluations]
    for (status, reason), (expected, part) in zip(said, EXPECTED + 11 * [(Status.OK, "")], strict=True):
        assert status is expected, said
        assert part in reason, said
    assert evaluations[5].fitness == 0.25
    tries = Counter(map(int, (injected / "tries").read_text().split()))
    twice = {index for index, (status, _) in enumerate(EXPECTED) if status is Status.LOST}
    assert tries == {index: 2 if index in twice else 1 for index in range(30)}


def test_workers_that_are_gone_are_not_counted_and_others_come(injected):
    with start_engine(quick(injected / "log")) as engine:
        request = Request(0, "evolution", 0, b"network", 0)
        evaluator = engine.evaluator(SETTINGS)
        assert evaluator(request).result(60).status is Status.OK
        assert wait_until(lambda: engine.workers() == 2, 10)
        marks = ("process_worker_pool.py", str(injected / "log"))
        pools = [process for process in psutil.process_iter() if all(mark in command_of(process) for mark in marks)]
        for process in pools:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        lost = evaluator(request)  # perhaps by those that are gone: then it is tried again
        assert lost.result(60).status is Status.OK
        assert wait_until(lambda: engine.workers() == 2, 60)
        assert all(not process.is_running() for process in pools)


def test_where_no_worker_ever_comes_that_is_said_and_not_tried_for_ever(injected, monkeypatch):
    monkeypatch.setattr(apps.blocks, "BACKOFF_S", 0.5)
    said = []
    config = quick(injected / "log")
    config.executors[0].launch_cmd = "echo module load is not there >&2; exit 3; {{block_id}}"
    with start_engine(config, said.append) as engine:
        evaluator = engine.evaluator(SETTINGS)
        requests = [Request(index, "evolution", 0, b"network", 0) for index in range(2)]
        with pytest.raises(BrokenExecutor, match="no worker came of 3 blocks in a row: module load is not there"):
            evaluator(requests[0]).result(60)
        with pytest.raises(BrokenExecutor, match="module load"):
            evaluator(requests[1])
    assert len(said) == 3
    assert said[0] == "no worker came of a block: module load is not there; another is asked for in 0 s"
    assert len(list((injected / "log").rglob("*.sh"))) == 3  # blocks


def test_a_dead_interchange_ends_the_campaign_and_not_the_networks(injected):
    def kill(_evaluation):
        for process in psutil.Process().children():
            if "interchange" in command_of(process):
                process.kill()

    with closing(Journal(injected / "journal.sqlite")) as journal:
        with start_engine(quick(injected / "log")) as engine:
            crew = Crew(engine.workers)
            with pytest.raises(CampaignError, match="interchange ended with status -9"):
                run_campaign(Evolution(4, 3), engine.evaluator(SETTINGS), journal, Budget(500), crew, kill)
        assert {e.status for e in journal.evaluations()} <= {Status.OK, Status.CRASHED}
