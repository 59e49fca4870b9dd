"""Clusters with Slurm."""

from __future__ import annotations

from typing import TYPE_CHECKING

from site_configs.address import address_of
from site_configs.executors import Blocks, Purpose, config_of, ledger_of, of_blocks
from site_configs.settings import SiteSettings

if TYPE_CHECKING:
    from parsl.config import Config
    from parsl.providers.base import ExecutionProvider


def slurm(settings: SiteSettings, purpose: Purpose) -> Config:
    """Blocks of nodes by sbatch, a worker pool on each node by srun."""
    from parsl.launchers import SrunLauncher
    from parsl.providers import SlurmProvider

    from site_configs.batch import BatchProvider, PatientCommands

    class Provider(BatchProvider, SlurmProvider, PatientCommands):
        poll_s = settings.poll_s
        ledger = ledger_of(purpose)

    srun = [
        "--no-kill --kill-on-bad-exit=0 --wait=0",  # a node that is lost takes none of the others along
        "--cpu-bind=none",  # workers choose their cores themselves, of all that the node has
    ]
    if settings.cores_per_node:
        srun.append(f"--cpus-per-task={settings.cores_per_node}")  # else a step may get one core
    lines = [
        "#SBATCH --no-requeue",  # a job that comes back is unknown to us, or held for two minutes
        "#SBATCH --no-kill",  # a block goes on without a node that crashed
        "#SBATCH --mem=0",  # all of a node's memory, as it is ours alone
        *settings.scheduler_lines,
    ]

    def provider(blocks: Blocks) -> ExecutionProvider:
        return Provider(
            **of_blocks(settings, blocks),
            account=settings.account,
            partition=settings.queue,
            qos=settings.qos,
            gpus_per_node=settings.gpus_per_node,
            exclusive=True,
            scheduler_options="\n".join(lines),
            launcher=SrunLauncher(overrides=" ".join([*srun, settings.launcher_options]).strip()),
        )

    return config_of(settings, purpose, address_of(settings.interface or ""), provider)
