"""Faults of all kinds, by chance, in a campaign on a Slurm of four nodes.

    python -m tests.chaos.faults --seconds 120 --times 10

A driver is started again whenever it has ended without being done. In the end the journal must hold exactly the
evaluations that were asked for, each once, nothing that was ever recorded may be lost or changed, and no process or
job may be left.
"""

import argparse
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import closing, suppress
from pathlib import Path

import psutil

from tests.clusters.host import carrying, wait_until
from tests.clusters.slurm import SlurmCluster

ROOT = Path(__file__).resolve().parents[2]
SITE = """
like = "slurm"
interface = "lo"
nodes_per_block = 2
max_blocks = 2
gpus_per_node = 2
heartbeat_s = 1
poll_s = 2
node_local = "{root}/nodes/$SLURMD_NODENAME"
"""
DAEMONS = {"slurmctld", "slurmd", "slurmstepd", "munged"}
PATIENCE_S = 240  # from the last fault to the end


class Chaos:
    """A campaign, and what may happen to it."""

    def __init__(self, cluster, folder, seed, evaluations):
        self.cluster, self.folder = cluster, folder
        self.random = random.Random(seed)
        self.site = folder / "site.toml"
        self.site.write_text(SITE.format(root=cluster.root))
        self.evaluations = evaluations
        self.log = (folder / "driver.log").open("a")
        self.driver = None
        self.known = {}
        self.happened = []
        self.excused = False  # whether something has happened that may end a driver
        self.unexcused = []
        self.crashed = {}

    def start(self):
        command = [sys.executable, "-m", "tests.chaos.driver", str(self.folder), str(self.site), str(self.evaluations)]
        self.driver = subprocess.Popen(command, cwd=ROOT, stdout=self.log, stderr=self.log)
        self.excused = False

    def run(self, seconds):
        """Let faults happen for some time, then let the campaign come to its end; returns what happened."""
        until = time.monotonic() + seconds
        while self.driver is None or self.driver.poll() != 0:
            if self.driver is None or self.driver.poll() is not None:
                if self.driver is not None and not self.excused:
                    self.unexcused.append(f"status {self.driver.returncode} after {self.happened[-3:]}")
                self.start()
            now = time.monotonic()
            if now < until:
                time.sleep(self.random.uniform(1, 5))
                self.fault()
            else:
                time.sleep(0.5)
                assert now < until + PATIENCE_S, f"not done in time: {len(self.known)} evaluations"
            for node, when in list(self.crashed.items()):
                if time.monotonic() > when or now > until:
                    self.cluster.restore(node)
                    del self.crashed[node]
            self.look()
        self.log.close()
        return self.happened

    def fault(self):
        """Something goes wrong."""
        name = self.random.choices(*zip(*FAULTS.items(), strict=True))[0]
        with suppress(psutil.Error, IndexError, RuntimeError):  # there is none of it at the moment
            self.happened.append(f"{name} {getattr(self, name)() or ''}".strip())
            self.excused = self.excused or name in ENDS_A_DRIVER

    def kill_a_process(self):
        """Of a job: a shell, srun, the guard, a pool, a worker, idle or not."""
        victim = self.random.choice(self.of_jobs())
        said = f"{victim.name()} {' '.join(victim.cmdline())[-30:]}"
        victim.kill()
        return said

    def stop_a_process(self):
        """For a while."""
        victim = self.random.choice(self.of_jobs())
        victim.send_signal(signal.SIGSTOP)

        def go_on():
            with suppress(psutil.Error):
                victim.send_signal(signal.SIGCONT)

        threading.Timer(self.random.uniform(1, 8), go_on).start()

    def kill_the_driver(self):
        self.driver.kill()
        self.driver.wait()

    def interrupt_the_driver(self):
        self.driver.send_signal(self.random.choice([signal.SIGINT, signal.SIGTERM, signal.SIGHUP]))

    def kill_the_interchange(self):
        self.random.choice([p for p in self.of_driver() if "HTEX interchange" in " ".join(p.cmdline())]).kill()

    def kill_the_reaper(self):
        self.random.choice([p for p in self.of_driver() if "site_configs.reaper" in " ".join(p.cmdline())]).kill()

    def crash_a_node(self):
        node = self.random.choice([node for node in self.cluster.nodes if node not in self.crashed])
        self.cluster.crash(node)
        self.crashed[node] = time.monotonic() + self.random.uniform(2, 20)
        return node

    def cancel_a_job(self):
        self.cluster.cancel(self.random.choice(self.cluster.jobs()).job_id)

    def of_driver(self):
        return psutil.Process(self.driver.pid).children()

    def of_jobs(self):
        cluster, found = self.cluster.environment["SLURM_CONF"], []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                of_cluster = process.environ().get("SLURM_CONF") == cluster and "SLURM_JOB_ID" in process.environ()
                if of_cluster and process.name() not in DAEMONS:
                    found.append(process)
        return found

    def look(self):
        """What was recorded once stays as it was."""
        now = self.recorded()
        lost = {number for number, record in self.known.items() if now is not None and now.get(number) != record}
        assert not lost, f"evaluations {sorted(lost)} were recorded, and are not any more"
        self.known = now or self.known

    def recorded(self):
        try:
            with closing(sqlite3.connect(f"file:{self.folder}/journal.sqlite?mode=ro", uri=True)) as database:
                return dict(database.execute("SELECT evaluation, record FROM evaluations"))
        except sqlite3.OperationalError:  # not there yet, or a killed driver's transaction has to be rolled back
            return None

    def check(self):
        """In the end all is as it should be."""
        self.look()
        assert len(self.known) == self.evaluations, f"{len(self.known)} of {self.evaluations} evaluations"
        wait_until(lambda: not self.cluster.jobs(), "no job left", 30)
        wait_until(lambda: not carrying(f"PYTHONPATH={self.folder}:"), "no process left", 30)
        assert not self.unexcused, self.unexcused


ENDS_A_DRIVER = {"kill_the_driver", "interrupt_the_driver", "kill_the_interchange"}
# How often each happens, beside the others.
FAULTS = {
    "kill_a_process": 10,
    "stop_a_process": 3,
    "kill_the_driver": 2,
    "interrupt_the_driver": 1,
    "kill_the_interchange": 1,
    "kill_the_reaper": 1,
    "crash_a_node": 2,
    "cancel_a_job": 2,
}


def let_loose(cluster, folder, seed, seconds, evaluations):
    """One time of it; returns what happened."""
    chaos = Chaos(cluster, folder, seed, evaluations)
    try:
        happened = chaos.run(seconds)
        chaos.check()
    finally:
        if chaos.driver is not None and chaos.driver.poll() is None:
            chaos.driver.kill()
            chaos.driver.wait()
        chaos.log.close()
    return happened


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=120.0, help="for how long there are faults")
    parser.add_argument("--times", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0, help="of the first time")
    parser.add_argument("--evaluations", type=int, default=400)
    asked = parser.parse_args()
    cluster = SlurmCluster(Path(tempfile.mkdtemp(prefix="evo-chaos-", dir="/tmp")))
    cluster.start()
    os.environ.update(cluster.environment)
    try:
        for seed in range(asked.seed, asked.seed + asked.times):
            began = time.monotonic()
            with tempfile.TemporaryDirectory(prefix="evo-chaos-run-") as folder:
                try:
                    happened = let_loose(cluster, Path(folder), seed, asked.seconds, asked.evaluations)
                except BaseException:
                    print((Path(folder) / "driver.log").read_text()[-4000:])
                    raise
            cluster.reset()
            took = time.monotonic() - began
            print(f"seed {seed}: {len(happened)} faults, {asked.evaluations} evaluations, {took:.0f} s", flush=True)
    finally:
        cluster.stop()


if __name__ == "__main__":
    main()
