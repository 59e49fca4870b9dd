"""What is likely to hurt is warned of, and nothing else."""

import re

import pytest

import site_configs.advice
from site_configs.advice import warnings_of
from site_configs.settings import SiteSettings
from site_configs.sites import settings_of

SENSIBLE = {
    "kind": "slurm",
    "account": "abc123",
    "interface": "ib0",
    "walltime": "02:00:00",
    "gpus_per_node": 4,
    "cores_per_node": 64,
    "heartbeat_s": 60,
    "needs": ("interface",),
}
NAMED = ["summit", "frontier", "perlmutter", "polaris", "aurora"]


@pytest.fixture(autouse=True)
def commands(monkeypatch):
    """The commands that this machine has: all of the batch systems, until a test takes some away."""
    there = {"sbatch", "bsub", "qsub"}
    monkeypatch.setattr(site_configs.advice.shutil, "which", lambda name: name if name in there else None)
    return there


def advice(longest_s=160.0, **changed):
    return warnings_of(SiteSettings(**{**SENSIBLE, **changed}), longest_s)


@pytest.mark.parametrize("kind", ["slurm", "lsf", "pbs"])
def test_a_sensible_site_has_no_warning(kind):
    assert advice(kind=kind) == []
    assert advice(kind=kind, min_blocks=0, max_blocks=100, nodes_per_block=46) == []


@pytest.mark.parametrize("name", NAMED)
def test_named_machines_are_sensible(name):
    assert warnings_of(settings_of({"like": name, "account": "abc123"}, "test"), 160.0) == []


def test_this_machine_has_no_warnings(commands):
    commands.clear()
    short = SiteSettings(kind="local", walltime="00:01:00", heartbeat_s=600, workers_per_gpu=3, nodes_per_block=900)
    assert warnings_of(short, 1e6) == []


LONG = "is short for evaluations that may take"
TOO_LONG = "is shorter than an evaluation may take"
HEARTBEAT = "a lost node is noticed after"
LARGE = "has an executor of its own"
TURNS = "take turns on it"


@pytest.mark.parametrize(
    ("changed", "longest_s", "said"),
    [
        ({}, 3540.0, None),  # half of the walltime, but for the minute at the start
        ({}, 3541.0, f"walltime 02:00:00 {LONG} 3541 s"),
        ({}, 7199.0, LONG),
        ({}, 7200.0, TOO_LONG),
        ({}, 1e5, f"walltime 02:00:00 {TOO_LONG} \\(100000 s\\)"),
        ({"heartbeat_s": 360}, 160.0, None),
        ({"heartbeat_s": 361}, 160.0, f"{HEARTBEAT} 1805 s .* site.heartbeat_s = 90 is sooner"),
        ({"walltime": "00:20:00"}, 160.0, None),
        ({"walltime": "00:19:00"}, 160.0, HEARTBEAT),
        ({"account": None}, 160.0, "no site.account: .* your default account"),
        ({"account": None, "needs": ("account",)}, 160.0, None),  # that is an error, see `site_configs.sites.missing`
        ({"gpus_per_node": None}, 160.0, "no site.gpus_per_node: no GPU is asked for"),
        ({"gpus_per_node": 0}, 160.0, None),
        ({"nodes_per_block": 500}, 160.0, None),
        ({"nodes_per_block": 501}, 160.0, f"a block of 501 nodes {LARGE}, which is slow beyond 500"),
        ({"nodes_per_block": 3, "nodes_per_shard": 2}, 160.0, LARGE),
        ({"gpus_per_node": 0, "cores_per_node": None}, 160.0, "neither site.workers nor site.cores_per_node"),
        ({"gpus_per_node": 0, "cores_per_node": None, "workers": 2}, 160.0, None),
        ({"cores_per_node": None}, 160.0, None),
        ({"workers_per_gpu": 2}, 160.0, TURNS),
        ({"workers_per_gpu": 2, "mps": True}, 160.0, None),
        ({"mps": True}, 160.0, None),
        ({"mps": True, "gpu_vendor": "amd"}, 160.0, "site.mps is NVIDIA's, there is none for GPUs of amd"),
        ({"mps": True, "gpu_vendor": "intel", "workers_per_gpu": 2}, 160.0, "site.mps is NVIDIA's"),
        ({"workers_per_gpu": 2, "gpu_vendor": "amd"}, 160.0, None),
        ({"workers_per_gpu": 2, "gpu_vendor": "intel"}, 160.0, None),
        ({"workers_per_gpu": 1, "workers": 4}, 160.0, None),
    ],
)
def test_each_warning_is_given_when_it_should_be(changed, longest_s, said):
    found = advice(longest_s, **changed)
    assert len(found) == (said is not None)
    for line in found:
        assert re.search(said, line)
        assert "\n" not in line


@pytest.mark.parametrize(("kind", "command"), [("slurm", "sbatch"), ("lsf", "bsub"), ("pbs", "qsub")])
def test_where_jobs_cannot_be_submitted_is_told(commands, kind, command):
    commands.remove(command)
    assert advice(kind=kind) == [f"there is no {command} here: run it where jobs are submitted"]


def test_all_that_is_wrong_is_told_at_once(commands):
    commands.clear()
    found = advice(1e5, account=None, gpus_per_node=None, cores_per_node=None, heartbeat_s=999, nodes_per_block=501)
    assert len(found) == 7


def test_a_site_of_which_nothing_is_said_is_warned_of_what_it_then_does():
    found = warnings_of(settings_of({"like": "slurm", "interface": "ib0"}, "test"), 160.0)
    assert [line.split(":")[0] for line in found] == [
        "no site.account",
        "no site.gpus_per_node",
        "neither site.workers nor site.cores_per_node",
    ]


@pytest.mark.parametrize("gpus", [None, 0])
def test_nobody_shares_gpus_that_there_are_not(gpus):
    assert not [line for line in advice(gpus_per_node=gpus, workers_per_gpu=2) if TURNS in line]


def test_a_multi_process_service_that_the_batch_system_starts_is_known():
    lines = ('#BSUB -alloc_flags "smt1 gpumps"',)
    assert advice(kind="lsf", workers_per_gpu=2, scheduler_lines=lines) == []
    (line,) = advice(kind="lsf", workers_per_gpu=2, scheduler_lines=('#BSUB -alloc_flags "smt1"',))
    assert TURNS in line
    summit = settings_of({"like": "summit", "account": "abc123", "workers_per_gpu": 2}, "test")
    assert warnings_of(summit, 160.0) == []
    (line,) = warnings_of(summit.model_copy(update={"scheduler_lines": ()}), 160.0)
    assert TURNS in line
