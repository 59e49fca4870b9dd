"""Clusters with IBM Spectrum LSF and jsrun."""

from __future__ import annotations

from typing import TYPE_CHECKING

from site_configs.address import address_of
from site_configs.executors import Blocks, Purpose, config_of, ledger_of, of_blocks
from site_configs.settings import SiteSettings

if TYPE_CHECKING:
    from parsl.config import Config
    from parsl.providers.base import ExecutionProvider


def lsf(settings: SiteSettings, purpose: Purpose) -> Config:
    """Blocks of nodes by bsub, a worker pool on each node by jsrun."""
    from parsl.launchers import JsrunLauncher
    from parsl.providers import LSFProvider

    from site_configs.batch import BatchProvider, PatientCommands

    class Provider(BatchProvider, LSFProvider, PatientCommands):
        poll_s = settings.poll_s
        ledger = ledger_of(purpose)

    # A resource set is a whole node: one task, all its cores and GPUs, which workers part among themselves.
    jsrun = ["-a 1", f"-c {settings.cores_per_node or 'ALL_CPUS'}", f"-g {settings.gpus_per_node or 0}", "-b none"]

    def provider(blocks: Blocks) -> ExecutionProvider:
        return Provider(
            **of_blocks(settings, blocks),
            project=settings.account,
            queue=settings.queue,
            scheduler_options="\n".join(settings.scheduler_lines),
            bsub_redirection=settings.bsub_redirection,
            launcher=JsrunLauncher(overrides=" ".join([*jsrun, settings.launcher_options]).strip()),
        )

    return config_of(settings, purpose, address_of(settings.interface or ""), provider)
