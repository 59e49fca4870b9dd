"""The part of a Parsl configuration that is the same at all sites: executors, their nodes' guard, retries."""

from __future__ import annotations

import atexit
import logging
import os
import shlex
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from site_configs.guard import node_folder
from site_configs.jobs import JobLedger
from site_configs.settings import SiteSettings

if TYPE_CHECKING:
    from parsl.config import Config
    from parsl.dataflow.taskrecord import TaskRecord
    from parsl.executors import HighThroughputExecutor
    from parsl.providers.base import ExecutionProvider

RETRIES = 2
COMMAND_S = 120  # a busy batch system takes a minute
START_S = 60.0  # until the first evaluation of a job runs
DRAINED_SHARE = 0.5  # of the walltime is worked at least: with longer evaluations, a job is worked to its end


@dataclass(frozen=True)
class Purpose:
    """What workers are started for: logs go to `log_folder`, `name` begins the names of jobs and of log folders.

    No evaluation takes more than `longest_s`. Jobs are written down in `ledger`.
    """

    log_folder: Path
    name: str = "evostem"
    longest_s: float = 0.0
    ledger: Path | None = None


@dataclass(frozen=True)
class Blocks:
    """How many blocks an executor keeps."""

    least: int
    most: int


ProviderOf = Callable[[Blocks], "ExecutionProvider"]


def shards(settings: SiteSettings) -> Iterator[Blocks]:
    """The blocks of each executor: of at most `nodes_per_shard` nodes, or a block.

    With many nodes an executor gets slow: 1,890 tasks/s with 4, 1,366 with 200, 737 with 1,000, 54 with 4,600.
    """
    most = max(1, settings.nodes_per_shard // settings.nodes_per_block)
    count = -(-settings.max_blocks // most)
    for number in range(count):
        share = [whole // count + (number < whole % count) for whole in (settings.min_blocks, settings.max_blocks)]
        yield Blocks(*share)


def config_of(settings: SiteSettings, purpose: Purpose, address: str, provider_of: ProviderOf) -> Config:
    """A Parsl configuration with an executor for each shard."""
    from parsl.config import Config
    from parsl.logconfigs.file import FileLogging

    # Parsl starts interchange.py and process_worker_pool.py by name.
    scripts = str(Path(sys.executable).parent)
    if scripts not in os.environ["PATH"].split(os.pathsep):
        os.environ["PATH"] = scripts + os.pathsep + os.environ["PATH"]
    folder = purpose.log_folder
    if shlex.quote(str(folder)) != str(folder):
        # Parsl writes its folder into shell commands as it is: a space in it and no worker ever starts. On a cluster
        # that is an error, as nodes do not see another folder (`sites.missing`).
        folder = Path(tempfile.mkdtemp(prefix="evostem-parsl-"))
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
    executors = [
        _executor(settings, purpose, f"{purpose.name}-{number}", address, provider_of(blocks))
        for number, blocks in enumerate(shards(settings))
    ]
    return Config(
        executors=executors,
        run_dir=str(folder),
        strategy="none",  # blocks are asked for by apps.blocks, also for executors that have no task yet
        strategy_period=0.2 if not settings.on_cluster else 2.0,  # how often that looks
        retries=RETRIES,
        retry_handler=retry_cost,
        initialize_logging=FileLogging(level=logging.WARNING),  # the debug log halves the task rate
        usage_tracking=0,
    )


def retry_cost(error: Exception, record: TaskRecord) -> float:
    """What a failed try costs of `RETRIES`: little if the task is not to blame for it.

    A worker that was lost with a network to evaluate costs all: the campaign tries again, and remembers.
    """
    from parsl.executors.high_throughput.errors import ManagerLost, WorkerLost

    if isinstance(error, ManagerLost):
        return 0.5  # for nodes are lost often; but a network that takes its node down is not repeated for ever
    function = record["args"][1]  # of `apps.parsl_apps.run_task`: module, function, arguments
    return 1.0 if isinstance(error, WorkerLost) and not function.startswith("evaluate") else RETRIES + 1.0


def drain_s(settings: SiteSettings, longest_s: float) -> int | None:
    """After so many seconds a job takes no more tasks, so that its walltime cuts none off.

    None, and it takes them to its end, where evaluations may take too much of the walltime.
    """
    left = settings.walltime_s - longest_s - START_S
    return int(left) if settings.on_cluster and left >= DRAINED_SHARE * settings.walltime_s else None


def affinity(settings: SiteSettings) -> str:
    """Which cores a node's workers get: those listed for a GPU go to each of its workers.

    Without any, torch's threads fight for cores: ten times slower.
    """
    if settings.cores_per_node is not None and (settings.workers_per_node or 0) > settings.cores_per_node:
        return "none"  # Parsl's workers refuse to share cores
    kind, *cores = settings.cpu_affinity.split(":")
    each = [part for part in cores for _ in range(settings.workers_per_gpu)]
    return ":".join([kind, *each[: settings.workers_per_node]])


def ledger_of(purpose: Purpose) -> JobLedger | None:
    """Where jobs are written down; their names begin as Parsl makes them of an executor's label."""
    return None if purpose.ledger is None else JobLedger(purpose.ledger, f"parsl.{purpose.name}-")


def of_blocks(settings: SiteSettings, blocks: Blocks) -> dict[str, Any]:
    """What all of Parsl's providers of batch systems are told of blocks."""
    return {
        "walltime": settings.walltime,
        "nodes_per_block": settings.nodes_per_block,
        "init_blocks": 0,  # they are asked for by apps.blocks
        "min_blocks": blocks.least,
        "max_blocks": blocks.most,
        "worker_init": _setup_lines(settings),
        "cmd_timeout": COMMAND_S,
    }


def _setup_lines(settings: SiteSettings) -> str:
    """What a job runs first: the user's lines, then our Python's folder on PATH."""
    return "\n".join([*settings.setup, f"export PATH={shlex.quote(str(Path(sys.executable).parent))}:$PATH"])


def _executor(
    settings: SiteSettings, purpose: Purpose, label: str, address: str, provider: ExecutionProvider
) -> HighThroughputExecutor:
    from parsl.executors import HighThroughputExecutor
    from parsl.executors.high_throughput.executor import DEFAULT_LAUNCH_CMD

    return HighThroughputExecutor(
        label=label,
        provider=provider,
        address=address,  # unset, Parsl listens everywhere and asks outside services for an address
        encrypted=True,
        max_workers_per_node=settings.workers_per_node,  # None: by the node's cores
        # Where the number of workers is ours to say, that of cores shall not limit it.
        cores_per_worker=1e-3 if settings.workers_per_node else float(settings.threads_per_worker),
        cpu_affinity=affinity(settings),
        prefetch_capacity=0,  # a queued network stays free for whichever worker is idle first
        heartbeat_period=settings.heartbeat_s,
        heartbeat_threshold=settings.heartbeat_threshold_s,
        drain_period=drain_s(settings, purpose.longest_s),
        poll_period=100,
        # On a node's own disk: thousands of small files at once hold up a shared one.
        worker_logdir_root=str(node_folder()) if settings.on_cluster else None,
        interchange_launch_cmd=_interchange(),
        launch_cmd=f"{_guard(settings)} {DEFAULT_LAUNCH_CMD}",
        block_error_handler=False,  # apps.blocks decides
    )


def _guard(settings: SiteSettings) -> str:
    """What looks after the worker pool of a node. Launchers put it into here-documents: no `$`, no braces."""
    parts = [sys.executable, "-m", "site_configs.guard", f"--threads={settings.threads_per_worker}"]
    if not settings.on_cluster:
        parts.append(f"--driver={os.getpid()}")
    if settings.gpus_per_node:
        parts += [f"--gpus={settings.gpus_per_node}", f"--vendor={settings.gpu_vendor}"]
        parts.append(f"--workers-per-gpu={settings.workers_per_gpu}")
    if settings.mps:
        parts.append("--mps")
    return " ".join(map(shlex.quote, [*parts, "--"]))


def _interchange() -> list[str]:
    """Start the interchange in a session of its own, and let it die with the driver.

    In our session it would get the terminal's Ctrl-C too, and the driver would wait for it for ever;
    without the death signal (Linux) it and the workers would outlive a killed driver.
    """
    command = ["interchange.py"]
    if shutil.which("setpriv"):
        command = ["setpriv", "--pdeathsig", "TERM", *command]
    return [sys.executable, "-c", "import os, sys; os.setsid(); os.execvp(sys.argv[1], sys.argv[1:])", *command]
