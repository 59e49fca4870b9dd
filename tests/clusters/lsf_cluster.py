"""Control of the stand-in for LSF in `lsf/`, for tests."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

from tests.clusters import host

COMMANDS = Path(__file__).resolve().parent / "lsf"


class Job(NamedTuple):
    """One line of bjobs."""

    job_id: str
    name: str
    state: str


def missing():
    """Why the stand-in cannot run here, "" if it can."""
    if not Path("/proc/self/environ").exists():
        return "the stand-in for LSF tells a job's processes apart by /proc"
    return "" if shutil.which("bash") and shutil.which("python3") else "no bash or python3"


class LsfCluster:
    """As many nodes h1, h2, ... of 6 GPUs as a job asks for; its state lives under `root`."""

    def __init__(self, root: Path):
        self.root = Path(root).resolve()

    @property
    def environment(self):
        """The variables that LSF's commands need. `lsf/lsf.py` names more, which a test may set."""
        folders = [folder for folder in os.environ.get("PATH", "").split(":") if folder != str(COMMANDS)]
        return {"FAKE_LSF_DIR": str(self.root / "lsf"), "PATH": ":".join([str(COMMANDS), *folders])}

    def start(self):
        """LSF has no process as long as there is no job. What an earlier, killed run left under `root` goes first."""
        self.stop()
        (self.root / "lsf").mkdir(parents=True)

    def stop(self):
        """Ends every job at once, and forgets them."""
        folder = self.environment["FAKE_LSF_DIR"]
        host.kill_all(lambda: host.carrying(f"FAKE_LSF_SERVER={folder}/"))
        shutil.rmtree(folder, ignore_errors=True)

    def run(self, *command, stdin=""):
        """What a command of LSF prints.

        Raises:
            RuntimeError: it failed; the message is its own.
        """
        variables = os.environ | self.environment
        done = subprocess.run(
            command, env=variables, input=stdin, capture_output=True, text=True, timeout=60, check=False
        )
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)}: exit {done.returncode}: {done.stderr.strip()}")
        return done.stdout

    def jobs(self, *options):
        """The jobs that are not finished; with `-a` the finished ones too."""
        try:
            lines = self.run("bjobs", "-noheader", *options, "-o", "jobid stat job_name").splitlines()
        except RuntimeError as error:
            if "No unfinished job" in str(error):
                return []
            raise
        return [Job(job_id, name.strip(), state) for job_id, state, name in (line.split(None, 2) for line in lines)]

    processes = staticmethod(host.processes)
