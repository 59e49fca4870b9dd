"""This machine: one worker per GPU, or per core where there is none."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from site_configs.executors import Blocks, Purpose, config_of
from site_configs.settings import SiteSettings

if TYPE_CHECKING:
    from parsl.config import Config
    from parsl.providers.base import ExecutionProvider


def local(settings: SiteSettings, purpose: Purpose) -> Config:
    """Parsl's HighThroughputExecutor on this machine, the same engine as on a cluster."""
    from parsl.providers import LocalProvider

    settings = here(settings)

    def provider(blocks: Blocks) -> ExecutionProvider:
        return LocalProvider(
            init_blocks=0, min_blocks=blocks.least, max_blocks=1, worker_init="\n".join(settings.setup)
        )

    return config_of(settings, purpose, "127.0.0.1", provider)


def here(settings: SiteSettings) -> SiteSettings:
    """Settings in which it is said how many GPUs and workers this machine has.

    As many workers as asked, else one for each GPU, or for each core that we may use.
    """
    gpus = count_gpus() if settings.gpus_per_node is None else settings.gpus_per_node
    workers = settings.workers or (None if gpus else max(1, count_cores() // settings.threads_per_worker))
    one = {"nodes_per_block": 1, "min_blocks": 1, "max_blocks": 1}  # there is one machine
    settings = settings.model_copy(update={"gpus_per_node": gpus, "workers": workers, **one})
    if (settings.workers_per_node or 0) > count_cores():  # Parsl's workers refuse to share cores
        settings = settings.model_copy(update={"cpu_affinity": "none"})
    return settings


def count_gpus() -> int:
    """NVIDIA devices on this machine, without importing torch in the driver."""
    return len(list(Path("/dev").glob("nvidia[0-9]*")))


def count_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
