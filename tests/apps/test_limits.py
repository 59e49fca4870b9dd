"""Limits hold whatever the code inside does, and are gone afterwards."""

import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import apps.limits
from apps.limits import TimeLimitError, memory_limit, memory_share, time_limit

GB = 1 << 30


def test_what_would_take_too_much_memory_fails_and_the_next_does_not():
    before = resource.getrlimit(resource.RLIMIT_DATA)
    kept = []

    def allocate():
        while len(kept) < 100:  # 10 GB of addresses, none of it touched: safe even without a limit
            kept.append(np.empty(100 << 20, np.uint8))

    with pytest.raises(MemoryError), memory_limit(GB):
        allocate()
    assert len(kept) < 10
    kept.clear()
    assert resource.getrlimit(resource.RLIMIT_DATA) == before
    assert len(bytearray(GB)) == GB


def test_torch_feels_the_limit_too():
    code = (
        "import torch; from apps.limits import memory_limit; from search.verdict import failed\n"
        "kept = []\n"
        "try:\n"
        "    with memory_limit(2 << 30):\n"
        "        while len(kept) < 100: kept.append(torch.empty(100 << 20, dtype=torch.uint8))\n"
        "except Exception as error: print(failed(error, None).status.value, len(kept) < 20)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["out_of_memory", "True"]


def test_a_limit_that_is_set_already_is_not_raised():
    before = resource.getrlimit(resource.RLIMIT_DATA)
    with memory_limit(2 * GB):
        with memory_limit(10 * GB):
            assert resource.getrlimit(resource.RLIMIT_DATA)[0] == 2 * GB
        assert resource.getrlimit(resource.RLIMIT_DATA)[0] == 2 * GB
    assert resource.getrlimit(resource.RLIMIT_DATA) == before


def test_workers_of_a_machine_share_its_memory(monkeypatch):
    with Path("/proc/meminfo").open() as lines:
        total = int(next(line for line in lines if line.startswith("MemTotal")).split()[1]) * 1024
    monkeypatch.setattr(apps.limits, "_group_limits", lambda: iter([]))
    monkeypatch.setenv("PARSL_WORKER_COUNT", "4")
    assert 0.7 * total < 4 * memory_share() < total
    monkeypatch.delenv("PARSL_WORKER_COUNT")
    assert 0.7 * total < memory_share() < total


def test_a_batch_system_that_gives_less_is_listened_to(tmp_path, monkeypatch):
    job = tmp_path / "slurm" / "job_7"
    (job / "step_0").mkdir(parents=True)
    (job / "memory.max").write_text(f"{GB}\n")
    (job / "step_0" / "memory.max").write_text("max\n")
    (tmp_path / "cgroup").write_text("0::/slurm/job_7/step_0\n")
    monkeypatch.setattr(apps.limits, "CGROUPS", tmp_path)
    monkeypatch.setattr(apps.limits, "OWN_CGROUP", tmp_path / "cgroup")
    monkeypatch.setenv("PARSL_WORKER_COUNT", "2")
    assert 0.3 * GB < memory_share() < 0.5 * GB


def test_code_that_swallows_every_exception_is_stopped():
    def stubborn():
        while True:
            try:
                time.sleep(5)
            except Exception:
                continue

    with pytest.raises(TimeLimitError), time_limit(0.1):
        stubborn()
