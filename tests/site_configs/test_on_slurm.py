"""Campaigns on a real Slurm of four nodes, which are lost in all the ways in which nodes are lost."""

import os
import shutil
import subprocess
import threading

import pytest

import apps.blocks
from data_prep.staging import file_hash
from search.evaluation import Status
from tests.clusters.host import wait_until

pytestmark = [
    pytest.mark.htex,
    pytest.mark.slurm,
    pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning"),  # Parsl's log
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
NODES = ("n1", "n2", "n3", "n4")


def site(cluster, **more):
    """Two blocks of two nodes, of two GPUs each."""
    return {
        "like": "slurm",
        "interface": "lo",
        "nodes_per_block": 2,
        "max_blocks": 2,
        "gpus_per_node": 2,
        "heartbeat_s": 1,
        "poll_s": 2,
        "node_local": f"{cluster.root}/nodes/$SLURMD_NODENAME",
        **more,
    }


def running(cluster):
    return [job for job in cluster.jobs() if job.state == "RUNNING"]


def all_done(evaluations, asked):
    """As many as asked, each once, all of them well."""
    assert [e.request.index for e in evaluations] == list(range(asked))
    assert {e.status for e in evaluations} == {Status.OK}
    return True


def test_nodes_that_crash_and_jobs_that_end_cost_what_was_running(quiet_slurm, short_campaign):
    def crash():
        quiet_slurm.crash("n2")

    def expire():
        quiet_slurm.expire(running(quiet_slurm)[-1].job_id)

    def cancel():
        quiet_slurm.cancel(running(quiet_slurm)[0].job_id)

    evaluations, took = short_campaign.run(
        site(quiet_slurm), 200, seconds=1.0, at={30: crash, 70: expire, 120: cancel}, limit_s=20
    )
    assert all_done(evaluations, 200)
    assert short_campaign.repeats() <= 2 + 4 + 4  # the workers of a node, of a block, of a block
    busy = sum(e.ended - e.started for e in evaluations)
    print(f"200 evaluations: {took:.0f} s, of which 8 workers need {busy / 8:.0f}; repeated {short_campaign.repeats()}")
    wait_until(lambda: quiet_slurm.jobs() == [], "no job left")  # one that ends is listed for a moment


def test_each_node_has_a_copy_and_each_worker_a_gpu(quiet_slurm, short_campaign):
    digest = file_hash(short_campaign.tiles)[:32]
    inodes = {}

    def note():  # and have another block come to the same nodes
        inodes.update({copy: copy.stat().st_ino for copy in quiet_slurm.root.glob(f"nodes/*/*/{digest}*")})
        quiet_slurm.cancel(running(quiet_slurm)[0].job_id)

    evaluations, _ = short_campaign.run(site(quiet_slurm), 200, seconds=0.6, at={40: note})
    assert all_done(evaluations, 200)
    assert short_campaign.jobs_noted > 2
    assert inodes
    assert all(copy.stat().st_ino == inode for copy, inode in inodes.items())  # the block that came later used it
    assert {e.host for e in evaluations} == set(NODES)
    for node in NODES:
        assert {(e.worker, e.gpu) for e in evaluations if e.host == node} == {("0", "0"), ("1", "1")}
        (copy,) = quiet_slurm.node_local(node).rglob(f"{digest}*")
        assert copy.read_bytes() == short_campaign.tiles.read_bytes()
        assert {e.device for e in evaluations if e.host == node} == {str(copy)}  # where it was read


def test_a_block_that_is_drained_before_its_walltime_loses_nothing(quiet_slurm, short_campaign, monkeypatch):
    monkeypatch.setattr("site_configs.executors.drain_s", lambda *_: 12)
    evaluations, _ = short_campaign.run(site(quiet_slurm, max_blocks=1), 120, seconds=0.5)
    assert all_done(evaluations, 120)
    assert short_campaign.repeats() == 0
    assert short_campaign.jobs_noted > 1


def test_several_executors_work_as_one(quiet_slurm, short_campaign):
    evaluations, _ = short_campaign.run(site(quiet_slurm, nodes_per_block=1, max_blocks=4, nodes_per_shard=2), 80)
    assert all_done(evaluations, 80)
    assert {e.host for e in evaluations} == set(NODES)
    assert len(list((short_campaign.folder / "parsl").rglob("interchange.log"))) == 2


def test_a_job_that_is_held_is_waited_for_and_not_replaced(quiet_slurm, short_campaign):
    most = 0

    def release():
        nonlocal most
        wait_until(lambda: [job for job in quiet_slurm.jobs() if "Held" in job.reason], "a held job", 60)
        for _ in range(8):  # several looks of the driver's at its jobs
            threading.Event().wait(1)
            most = max(most, len(quiet_slurm.jobs()))
        for job in quiet_slurm.jobs():
            quiet_slurm.release(job.job_id)

    releasing = threading.Thread(target=release)
    releasing.start()
    evaluations, _ = short_campaign.run(site(quiet_slurm, max_blocks=1, scheduler_lines=["#SBATCH --hold"]), 20)
    releasing.join()
    assert all_done(evaluations, 20)
    assert most == 1


def test_blocks_that_are_preempted_come_back(quiet_slurm, short_campaign):
    def preempt():
        asked = ["--partition=high", "--nodes=4", "--exclusive", "--output=/dev/null", "--wrap=sleep 5"]
        quiet_slurm.run("sbatch", *asked)

    evaluations, _ = short_campaign.run(site(quiet_slurm), 80, seconds=0.5, at={20: preempt})
    assert all_done(evaluations, 80)
    assert short_campaign.repeats() <= 8


def test_a_block_that_is_requeued_goes_on_under_its_number(quiet_slurm, short_campaign):
    def requeue():
        (job,) = running(quiet_slurm)
        quiet_slurm.requeue(job.job_id)
        threading.Thread(target=quiet_slurm.start_now, args=(job.job_id,)).start()

    settings = site(quiet_slurm, max_blocks=1, scheduler_lines=["#SBATCH --requeue"])
    evaluations, _ = short_campaign.run(settings, 60, seconds=0.5, at={20: requeue})
    assert all_done(evaluations, 60)
    assert short_campaign.repeats() <= 4
    assert short_campaign.jobs_noted == 1


@pytest.mark.parametrize("trouble", ["exit 1", "sleep 8"], ids=["fails", "is slow"])
def test_a_scheduler_that_does_not_answer_for_a_while_is_waited_for(
    quiet_slurm, short_campaign, tmp_path, monkeypatch, trouble
):
    monkeypatch.setattr(apps.blocks, "BACKOFF_S", 2.0)
    commands, flag = tmp_path / "commands", tmp_path / "trouble"
    commands.mkdir()
    for name in ("sbatch", "squeue", "scancel", "sacct"):
        script = commands / name
        script.write_text(f'#!/bin/sh\n[ ! -e {flag} ] || {trouble}\nexec {shutil.which(name)} "$@"\n')
        script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{commands}:{os.environ['PATH']}")

    def begin():
        block = running(quiet_slurm)[0].job_id
        flag.touch()
        subprocess.run([shutil.which("scancel", path="/usr/bin"), block], check=True)  # so that another is needed
        threading.Timer(12, flag.unlink).start()

    evaluations, _ = short_campaign.run(site(quiet_slurm), 150, seconds=0.5, at={20: begin})
    assert all_done(evaluations, 150)
    assert short_campaign.repeats() <= 4
    assert not flag.exists()
