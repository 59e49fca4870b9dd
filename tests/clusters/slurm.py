"""A real Slurm of several fake nodes on this host: munged, slurmctld and a slurmd a node, run as root.

All nodes share one kernel, host name and /tmp: $SLURMD_NODENAME tells them apart. No CPU or memory limit is enforced.
"""

import contextlib
import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import NamedTuple

from tests.clusters import host, slurm_files

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "squeue", "scontrol", "scancel", "sinfo")
DAEMONS = {"munged", "slurmctld", "slurmd", "slurmstepd"}


class Job(NamedTuple):
    """One line of squeue."""

    job_id: str
    name: str
    state: str
    reason: str
    nodes: str


def missing():
    """Why no Slurm can run here, "" if it can."""
    if os.geteuid() != 0:
        return "a Slurm of fake nodes needs root"
    absent = [program for program in PROGRAMS if not shutil.which(program, path=_path())]
    return f"no {', '.join(absent)}: apt-get install slurm-wlm munge" if absent else ""


class SlurmCluster:
    """Nodes n1, n2, ... of 2 CPUs and 2 GPUs each, in partition `batch`, and `high`, which preempts it by requeue.

    Everything lives under `root`, whose path must be short (sockets), and listens on 127.0.0.1 only.
    """

    def __init__(self, root: Path, nodes: int = 4):
        self.root = Path(root).resolve()
        self.nodes = [f"n{number}" for number in range(1, nodes + 1)]

    @property
    def environment(self):
        """The variables that Slurm's commands need."""
        return {"SLURM_CONF": f"{self.root}/etc/slurm.conf", "PATH": _path()}

    def start(self):
        """Returns once all nodes are idle. What an earlier, killed run left under `root` goes first."""
        self.stop()
        slurm_files.write(self.root, self.nodes)
        munge = [f"--{option}={self.root}/{file}" for option, file in slurm_files.MUNGE.items()]
        self._daemon("munged", "--force", *munge)  # it dislikes a root that is closed to other users
        self._daemon("slurmctld", "-c")
        for node in self.nodes:
            self._daemon("slurmd", "-N", node)
        try:
            host.wait_until(lambda: set(self._states()) == {"idle"}, "all Slurm nodes idle")
        except TimeoutError as error:
            error.add_note((self.root / "log" / "slurmctld.log").read_text()[-2000:])
            raise

    def stop(self):
        """Ends every job and daemon, and forgets all but the logs."""
        if host.holding(self.root, {"slurmctld"}):
            with contextlib.suppress(RuntimeError, TimeoutError, subprocess.TimeoutExpired):
                self.run("scancel", "--user=root")
                host.wait_until(lambda: not self.jobs(), "the end of all Slurm jobs", timeout=4)
        host.kill_all(lambda: host.holding(self.root, DAEMONS) + self._of_jobs("SLURM_JOB_ID="))
        for folder in ("etc", "nodes", "run", "state"):
            shutil.rmtree(self.root / folder, ignore_errors=True)

    def crash(self, node):
        """Like a power cut: every process of the node is gone at once. Slurm finds it DOWN some 10 s later."""
        log = self.root / "log" / node
        host.kill_all(lambda: host.holding(log, DAEMONS) + self._of_jobs(f"SLURMD_NODENAME={node}\0"))

    def restore(self, node):
        """Boots a crashed node, which ends its part of jobs at the latest; returns once Slurm uses it again."""
        if host.holding(self.root / "log" / node, {"slurmd"}):
            return
        # Else a job that was cancelled meanwhile holds the node until Slurm asks again for its end, a minute later.
        self.run("scontrol", "update", f"NodeName={node}", "State=DOWN", "Reason=crash")
        started = int(time.time())
        self._daemon("slurmd", "-N", node)

        def back():
            fields = self._fields(f"node={node}")
            return _time(fields["SlurmdStartTime"]) >= started and fields["State"] in {"IDLE", "MIXED", "ALLOCATED"}

        host.wait_until(back, f"Slurm node {node} back", timeout=30)

    def reset(self):
        """Cancels every job and restores every crashed node."""
        self.run("scancel", "--user=root")
        for node in self.nodes:
            self.restore(node)
        host.wait_until(lambda: not self.jobs(), "the end of all Slurm jobs", timeout=30)

    def node_local(self, node):
        """A folder that stands for the node's own disk: a site names it `<root>/nodes/$SLURMD_NODENAME`."""
        return self.root / "nodes" / node

    def run(self, *command):
        """What a Slurm command prints.

        Raises:
            RuntimeError: it failed; the message is its own.
        """
        done = subprocess.run(command, env=self._variables(), capture_output=True, text=True, timeout=60, check=False)
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)}: exit {done.returncode}: {done.stderr.strip()}")
        return done.stdout

    def jobs(self):
        """The jobs that are not finished."""
        lines = self.run("squeue", "--noheader", "--format=%i|%T|%r|%N|%j").splitlines()
        parts = (line.split("|", 4) for line in lines)
        return [Job(job_id, name, state, reason, nodes) for job_id, state, reason, nodes, name in parts]

    def hold(self, job):
        """Keeps a waiting job from starting, as its user would; a running one goes on."""
        self.run("scontrol", "uhold", str(job))

    def release(self, job):
        self.run("scontrol", "release", str(job))

    def requeue(self, job):
        """Ends a running job and queues it again, to start no sooner than 120 s later: Slurm has that built in."""
        self.run("scontrol", "requeue", str(job))

    def start_now(self, job):
        """Makes the 120 s of a job that was requeued, preempted or lost its node 2 s; returns once it runs or may run.

        No less: a job that starts again in the second in which it was stopped fails with `Job credential revoked`.
        """

        def due():
            fields = self._fields(f"job={job}")
            # Slurm sets the 120 s again when the last process is gone, so once is not enough.
            if fields["JobState"] == "PENDING" and _time(fields["EligibleTime"]) > time.time() + 3:
                with contextlib.suppress(RuntimeError):  # it started meanwhile
                    self.run("scontrol", "update", f"JobId={job}", "StartTime=now+2")
            waits = fields["JobState"] != "PENDING" or fields["Reason"] in {"BeginTime", "None"}
            return fields["JobState"] == "RUNNING" or not waits

        host.wait_until(due, f"Slurm job {job} due")

    def expire(self, job):
        """Moves the end of a job's walltime to now; Slurm, which looks every 30 s, then ends it."""
        self.run("scontrol", "update", f"JobId={job}", "EndTime=now")

    def cancel(self, job):
        self.run("scancel", str(job))

    processes = staticmethod(host.processes)

    def _variables(self):
        others = {name: value for name, value in os.environ.items() if not name.startswith(("SLURM", "SBATCH"))}
        return others | self.environment

    def _daemon(self, program, *options):
        """Starts what puts itself into the background."""
        if program != "munged":
            options = ("-f", self.environment["SLURM_CONF"], *options)
        with (self.root / "log" / "start.log").open("a") as log:
            command = [shutil.which(program, path=_path()), *options]
            subprocess.run(command, env=self._variables(), stdin=subprocess.DEVNULL, stdout=log, stderr=log, check=True)

    def _states(self):
        with contextlib.suppress(RuntimeError):  # slurmctld does not listen yet
            return self.run("sinfo", "--noheader", "--Node", "--partition=batch", "--format=%T").split()
        return []

    def _fields(self, what):
        words = self.run("scontrol", "--oneliner", "show", what).split()
        return dict(word.split("=", 1) for word in words if "=" in word)

    def _of_jobs(self, setting):
        return host.carrying(setting, f"SLURM_CONF={self.environment['SLURM_CONF']}\0")


def _time(text):
    return time.mktime(time.strptime(text, "%Y-%m-%dT%H:%M:%S"))


def _path():
    folders = os.environ.get("PATH", "").split(":")
    return ":".join([*folders, *(folder for folder in ("/usr/bin", "/usr/sbin") if folder not in folders)])
