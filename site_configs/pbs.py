"""Clusters with PBS Pro and mpiexec."""

from __future__ import annotations

from typing import TYPE_CHECKING

from site_configs.address import address_of
from site_configs.executors import Blocks, Purpose, config_of, ledger_of, of_blocks
from site_configs.settings import SiteSettings

if TYPE_CHECKING:
    from parsl.config import Config
    from parsl.providers.base import ExecutionProvider


def pbs(settings: SiteSettings, purpose: Purpose) -> Config:
    """Blocks of nodes by qsub, a worker pool on each node by mpiexec."""
    from parsl.launchers import MpiExecLauncher
    from parsl.providers import PBSProProvider

    from site_configs.batch import BatchProvider, PatientCommands

    class Provider(BatchProvider, PBSProProvider, PatientCommands):
        poll_s = settings.poll_s
        ledger = ledger_of(purpose)

    cores = settings.cores_per_node or 1
    mpiexec = ["--ppn 1", f"--depth={cores}", settings.launcher_options]  # one task on a node, with all its cores

    # In the script rather than on qsub's command line, so that it is all there is to see.
    lines = [
        *([f"#PBS -A {settings.account}"] if settings.account else []),
        *([f"#PBS -q {settings.queue}"] if settings.queue else []),
        *settings.scheduler_lines,
    ]

    def provider(blocks: Blocks) -> ExecutionProvider:
        return Provider(
            **of_blocks(settings, blocks),
            cpus_per_node=cores,
            scheduler_options="\n".join(lines),
            select_options=settings.select_options,
            launcher=MpiExecLauncher(bind_cmd="--cpu-bind", overrides=" ".join(mpiexec).strip()),
        )

    return config_of(settings, purpose, address_of(settings.interface or ""), provider)
