"""What Parsl's providers of batch systems lack: patience with commands that fail, and a ledger of jobs."""

from __future__ import annotations

import logging
import os
import re
import signal
import subprocess
import time
from typing import Any

from parsl.jobs.states import JobState, JobStatus
from parsl.providers.cluster_provider import ClusterProvider

from site_configs.jobs import JobLedger

log = logging.getLogger("parsl.evostem")
YOUNG_S = 30.0  # so long a batch system may not have heard of its own job
# Jobs that a batch system has forgotten make its command fail, and Parsl would never again look at the others.
FORGOTTEN = re.compile(r"(Invalid job id specified|Job <\d+> is not found|Unknown Job Id|Job has finished)")
# Suspended jobs are not over: Parsl would start others in their place, and have too many when they come back.
SUSPENDED = re.compile(r"\b[PSU]SUSP\b")


HISTORY = "qstat -x"


class NotSubmittedError(Exception):
    """A script is written, and nothing submitted, as was asked for."""


class PatientCommands(ClusterProvider):
    """Mixed into a provider of Parsl's, behind it: runs the commands of the batch system."""

    def execute_wait(self, cmd: str, timeout: int | None = None) -> tuple[int, str, str]:
        """What a command of the batch system says: status, output, complaints.

        Jobs that it has forgotten are no failure; one that does not answer in time is ended.
        """
        try:
            status, said, complained = _ran(cmd, timeout or self.cmd_timeout)
        except (OSError, subprocess.TimeoutExpired) as error:
            return 1, "", str(error)
        lines = complained.strip().splitlines()
        if status and lines and all(FORGOTTEN.search(line) for line in lines):
            status = 0
        if cmd.startswith(HISTORY) and complained and '"Jobs"' not in said and status == 0:
            return self.execute_wait(cmd.replace(HISTORY, "qstat"), timeout)  # this PBS keeps no history
        return status, SUSPENDED.sub("PEND", said), complained


def _ran(command: str, timeout_s: float) -> tuple[int, str, str]:
    """Run one of Parsl's commands in a shell: status, output, complaints. Raises TimeoutExpired once it is ended."""
    process = subprocess.Popen(  # noqa: S602
        command,
        shell=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        errors="replace",
        start_new_session=True,  # a Ctrl-C is not meant for it
    )
    with process:
        try:
            said, complained = process.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)  # the shell, and what it runs
            raise
    return process.returncode, said, complained


class BatchProvider(ClusterProvider):
    """Mixed into a provider of Parsl's, before it: asks the batch system every `poll_s`, and notes jobs in a ledger."""

    poll_s: int = 60
    ledger: JobLedger | None = None
    dry = False  # whether scripts are only written

    def _write_submit_script(self, *script: Any) -> None:
        super()._write_submit_script(*script)
        if self.dry:
            raise NotSubmittedError

    def submit(self, command: str, tasks_per_node: int, job_name: str = "evostem") -> Any:
        """Submit a block, and note its job."""
        job = super().submit(command, tasks_per_node, job_name)  # type: ignore[safe-super]
        if job:
            self.resources[job]["submitted"] = time.monotonic()
            self._note(str(job))
        return job

    def _note(self, job: str) -> None:
        """Write a job down. That it cannot be is no reason to do without it: it can be found by its name as well."""
        if self.ledger is not None:
            try:
                self.ledger.note(self.label.lower().removesuffix("pro"), job)
            except OSError:
                log.exception("job %s could not be written down", job)

    def _status(self) -> None:
        """Ask for all jobs. Nothing is known of one that is too young, nor if the batch system gives no answer."""
        young = {
            job: facts["status"]
            for job, facts in self.resources.items()
            if time.monotonic() - facts.get("submitted", 0.0) < min(YOUNG_S, 2 * self.poll_s)
        }
        try:
            super()._status()  # type: ignore[safe-super]
        except Exception:  # what it printed was not to be understood
            log.exception("the batch system's answer cannot be read")
        for job, before in young.items():
            if self.resources[job]["status"].state is JobState.COMPLETED and not before.terminal:
                self.resources[job]["status"] = JobStatus(before.state)

    @property
    def status_polling_interval(self) -> int:
        """Seconds between looks at the jobs."""
        return self.poll_s
