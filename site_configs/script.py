"""The very script that a site would submit, without submitting it."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from site_configs.executors import Purpose
from site_configs.settings import SiteSettings
from site_configs.sites import KINDS

PORT = 54321  # stands for that of the interchange, which only a driver that runs knows


def job_script(settings: SiteSettings, purpose: Purpose) -> str:
    """The script of a job, as `settings` make it; "" for this machine, which has no jobs.

    But for the interchange's port and the time in the job's name it is what is submitted. Raises InputError where
    this machine does not have the interface.
    """
    if not settings.on_cluster:
        return ""
    from site_configs.batch import NotSubmittedError

    name = f"parsl.{purpose.name}-0.block-0"
    with TemporaryDirectory() as folder:
        config = KINDS[settings.kind](settings, replace(purpose, log_folder=Path(folder), ledger=None))
        executor: Any = config.executors[0]
        provider = executor.provider
        executor.worker_port, executor.cert_dir, executor.logconf_path = PORT, f"{folder}/certificates", f"{folder}/log"
        executor.initialize_scaling()
        provider.script_dir, provider.dry = folder, True
        with suppress(NotSubmittedError):
            provider.submit(executor._get_launch_command("0"), 1, name)  # noqa: SLF001 (Parsl has no public way)
        (script,) = Path(folder).iterdir()
        text = script.read_text().replace(folder, str(purpose.log_folder))
    return re.sub(re.escape(name) + r"\.\d+\.\d+", name, text)
