"""What is likely to hurt with a site's settings, before anything is submitted."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

from site_configs.executors import drain_s
from site_configs.settings import SiteSettings

SUBMIT = {"slurm": "sbatch", "lsf": "bsub", "pbs": "qsub"}
OF_WALLTIME = 4  # a lost node shall be noticed in this part of it


def warnings_of(settings: SiteSettings, longest_s: float) -> list[str]:
    """What may go wrong, a line each; an evaluation may take `longest_s`."""
    if not settings.on_cluster:
        return []
    return [*_of_time(settings, longest_s), *_of_request(settings), *_of_workers(settings)]


def _of_time(settings: SiteSettings, longest_s: float) -> Iterator[str]:
    """The walltime beside evaluations and heartbeats."""
    if settings.walltime_s <= longest_s:
        yield (
            f"walltime {settings.walltime} is shorter than an evaluation may take ({longest_s:.0f} s): what a job "
            "cannot finish is begun again in the next; give site.walltime more, or search.seconds less"
        )
    elif drain_s(settings, longest_s) is None:
        yield (
            f"walltime {settings.walltime} is short for evaluations that may take {longest_s:.0f} s: a job works to "
            "its end, and what it cannot finish is begun again in the next"
        )
    if OF_WALLTIME * settings.heartbeat_threshold_s > settings.walltime_s:
        yield (
            f"a lost node is noticed after {settings.heartbeat_threshold_s} s without a heartbeat, long beside a "
            f"walltime of {settings.walltime}; site.heartbeat_s = {max(1, settings.heartbeat_s // 4)} is sooner"
        )


def _of_request(settings: SiteSettings) -> Iterator[str]:
    """What the batch system is asked for. Of what a site needs, its absence is no warning but an error."""
    if not settings.account and "account" not in settings.needs:
        yield "no site.account: the batch system charges your default account, if you have one"
    if settings.gpus_per_node is None:
        yield "no site.gpus_per_node: no GPU is asked for"
    if settings.nodes_per_block > settings.nodes_per_shard:
        yield (
            f"a block of {settings.nodes_per_block} nodes has an executor of its own, which is slow beyond "
            f"{settings.nodes_per_shard}: smaller blocks, and more of them, are faster"
        )
    if shutil.which(SUBMIT[settings.kind]) is None:
        yield f"there is no {SUBMIT[settings.kind]} here: run it where jobs are submitted"


def _of_workers(settings: SiteSettings) -> Iterator[str]:
    """How many workers a node has, and what they share."""
    if settings.workers_per_node is None:
        yield "neither site.workers nor site.cores_per_node: each node has a worker for each of its cores"
    if settings.mps and settings.gpu_vendor != "nvidia":
        yield f"site.mps is NVIDIA's, there is none for GPUs of {settings.gpu_vendor}"
        return
    there = settings.mps or any("gpumps" in line for line in settings.scheduler_lines)  # LSF may start it
    if settings.gpus_per_node and settings.workers_per_gpu > 1 and settings.gpu_vendor == "nvidia" and not there:
        yield "several workers share a GPU and take turns on it; with site.mps = true they use it at once"
