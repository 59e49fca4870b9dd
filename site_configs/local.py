"""This machine: one worker per GPU, or per core where there is none."""

from __future__ import annotations

import logging
import os
import shlex
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from parsl.config import Config
    from parsl.dataflow.taskrecord import TaskRecord

RETRIES = 2
RESTARTS = 5  # of a worker pool that died


def count_gpus() -> int:
    """NVIDIA devices on this machine, without importing torch in the driver."""
    return len(list(Path("/dev").glob("nvidia[0-9]*")))


def count_workers(asked: int | None) -> int:
    """Workers that `local` starts: as asked, else one per GPU, else one per core we may use.

    Where there are GPUs there are no more workers than GPUs, as each is pinned to its own.
    """
    gpus = count_gpus()
    if gpus:
        return min(asked or gpus, gpus)
    return asked or count_cores()


def count_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def retry_cost(error: Exception, record: TaskRecord) -> float:
    """What a failed try costs of `RETRIES`: little if the task is not to blame for it.

    A worker that was lost with a network to evaluate costs all: the campaign tries again, and remembers.
    """
    from parsl.executors.high_throughput.errors import ManagerLost, WorkerLost

    if isinstance(error, ManagerLost):
        return 0.2
    function = record["args"][1]  # of `apps.parsl_apps.run_task`: module, function, arguments
    return 1.0 if isinstance(error, WorkerLost) and not function.startswith("evaluate") else RETRIES + 1.0


def local(log_folder: Path, workers: int | None = None) -> Config:
    """Parsl's HighThroughputExecutor on this machine, the same engine as on a cluster."""
    from parsl.config import Config
    from parsl.executors import HighThroughputExecutor
    from parsl.executors.high_throughput.executor import DEFAULT_LAUNCH_CMD
    from parsl.logconfigs.file import FileLogging
    from parsl.providers import LocalProvider

    # Parsl starts interchange.py and process_worker_pool.py by name.
    scripts = str(Path(sys.executable).parent)
    if scripts not in os.environ["PATH"].split(os.pathsep):
        os.environ["PATH"] = scripts + os.pathsep + os.environ["PATH"]
    gpus = count_gpus()
    if shlex.quote(str(log_folder)) != str(log_folder):
        # Parsl writes its folder into shell commands as it is: a space in it and no worker ever starts.
        log_folder = Path(tempfile.mkdtemp(prefix="evostem-parsl-"))
    guard = f"{shlex.quote(sys.executable)} -m site_configs.guard {os.getpid()} {RESTARTS}"
    executor = HighThroughputExecutor(
        label="local",
        address="127.0.0.1",  # unset, Parsl asks outside services for an address
        max_workers_per_node=count_workers(workers),
        cores_per_worker=1e-3,  # the number of workers is ours to say
        available_accelerators=gpus,  # pins one GPU to each worker
        # Without it, torch's threads fight for cores: ten times slower. Parsl's workers refuse to share cores.
        cpu_affinity="block" if count_workers(workers) <= count_cores() else "none",
        prefetch_capacity=0,  # a queued network stays free for whichever worker is idle first
        heartbeat_period=5,  # a lost worker is noticed this soon
        heartbeat_threshold=30,
        poll_period=100,
        encrypted=True,
        interchange_launch_cmd=_interchange(),
        launch_cmd=f"{guard} {DEFAULT_LAUNCH_CMD}",
        provider=LocalProvider(init_blocks=1, min_blocks=1, max_blocks=1),
    )
    return Config(
        executors=[executor],
        run_dir=str(log_folder),
        strategy="simple",
        strategy_period=0.5,  # the first block goes out at the second tick
        retries=RETRIES,
        retry_handler=retry_cost,
        initialize_logging=FileLogging(level=logging.WARNING),  # the debug log halves the task rate
        usage_tracking=0,
    )


def _interchange() -> list[str]:
    """Start the interchange in a session of its own, and let it die with the driver.

    In our session it would get the terminal's Ctrl-C too, and the driver would wait for it for ever;
    without the death signal (Linux) it and the workers would outlive a killed driver.
    """
    command = ["interchange.py"]
    if shutil.which("setpriv"):
        command = ["setpriv", "--pdeathsig", "TERM", *command]
    if shutil.which("setsid"):
        command = ["setsid", *command]
    return command
