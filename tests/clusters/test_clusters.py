"""The test clusters themselves: jobs start and end, nodes crash and come back, nothing is left."""

import subprocess
import time

import pytest

from tests.clusters.host import processes, wait_until

# Outlives the signals that come before SIGKILL, as does what it moves out of its process group.
STUBBORN = "trap '' INT TERM USR2; setsid {sleep} & {sleep}"


def submit(slurm, *options, script):
    return slurm.run("sbatch", "--parsable", "--output=/dev/null", *options, f"--wrap={script}").strip()


def state(cluster, job):
    return next((known.state for known in cluster.jobs() if known.job_id == job), None)


def wait_for(cluster, job, wanted):
    wait_until(lambda: state(cluster, job) == wanted, f"job {job} {wanted}", timeout=40)


@pytest.mark.slurm
def test_a_job_of_four_nodes_has_two_gpus_on_each(quiet_slurm, tmp_path):
    task = f"echo $SLURMD_NODENAME $CUDA_VISIBLE_DEVICES > {quiet_slurm.root}/nodes/$SLURMD_NODENAME/said"
    job = submit(quiet_slurm, "--nodes=4", "--gpus-per-node=2", script=f"srun bash -c '{task}'; touch {tmp_path}/done")
    wait_for(quiet_slurm, job, None)
    assert (tmp_path / "done").exists()
    for node in ("n1", "n2", "n3", "n4"):
        assert (quiet_slurm.node_local(node) / "said").read_text() == f"{node} 0,1\n"
        assert quiet_slurm.node_local(node).stat().st_mode & 0o777 == 0o700


@pytest.mark.slurm
def test_a_crash_ends_a_job_without_requeue_and_the_node_comes_back(quiet_slurm, tmp_path):
    sleep = "sleep 4001.5"
    script = f"srun --no-kill bash -c 'touch {tmp_path}/$SLURMD_NODENAME; {sleep}; true'"
    job = submit(quiet_slurm, "--nodes=2", "--no-requeue", script=script)
    wait_until(lambda: len(list(tmp_path.iterdir())) == 2, "the job's tasks")
    node = quiet_slurm.jobs()[0].nodes.removeprefix("n[").split("-")[0]
    quiet_slurm.crash(f"n{node}")
    assert len(processes(f"{sleep}; true")) <= 1  # the other node's, until Slurm ends the job
    wait_for(quiet_slurm, job, None)
    assert "JobState=NODE_FAIL" in quiet_slurm.run("scontrol", "show", "job", job)
    assert processes(sleep) == []
    quiet_slurm.restore(f"n{node}")
    again = submit(quiet_slurm, "--nodes=4", script="true")
    wait_for(quiet_slurm, again, None)
    assert "JobState=COMPLETED" in quiet_slurm.run("scontrol", "show", "job", again)


@pytest.mark.slurm
def test_a_held_job_starts_once_released(quiet_slurm):
    first = submit(quiet_slurm, "--nodes=4", "--exclusive", script="sleep 600")
    second = submit(quiet_slurm, "--job-name=second|one", "--nodes=4", "--exclusive", script="sleep 600")
    wait_for(quiet_slurm, first, "RUNNING")
    quiet_slurm.hold(second)
    quiet_slurm.cancel(first)
    wait_for(quiet_slurm, first, None)
    time.sleep(2.5)  # longer than a job waits for an empty cluster
    assert quiet_slurm.jobs() == [(second, "second|one", "PENDING", "JobHeldUser", "")]
    quiet_slurm.release(second)
    wait_for(quiet_slurm, second, "RUNNING")


@pytest.mark.slurm
def test_requeued_and_preempted_jobs_start_again(quiet_slurm):
    job = submit(quiet_slurm, "--nodes=4", script="sleep 600")
    wait_for(quiet_slurm, job, "RUNNING")
    quiet_slurm.requeue(job)
    quiet_slurm.start_now(job)
    wait_for(quiet_slurm, job, "RUNNING")
    urgent = submit(quiet_slurm, "--nodes=4", "--exclusive", "--partition=high", script="sleep 600")
    wait_for(quiet_slurm, urgent, "RUNNING")
    wait_for(quiet_slurm, job, "PENDING")
    quiet_slurm.cancel(urgent)
    quiet_slurm.start_now(job)
    wait_for(quiet_slurm, job, "RUNNING")
    assert "Restarts=2" in quiet_slurm.run("scontrol", "show", "job", job)


@pytest.fixture
def quick_lsf(lsf, monkeypatch):
    monkeypatch.setenv("FAKE_LSF_MINUTE", "1")
    monkeypatch.setenv("FAKE_LSF_GRACE", "0.3")
    yield lsf
    lsf.stop()
    lsf.start()


def bsub(lsf, script, *options):
    said = lsf.run("bsub", *options, stdin=f"#!/bin/bash\n#BSUB -W 0:60\n#BSUB -J 'a block'\n{script}\n")
    assert said == f"Job <{said.split('<')[1].split('>')[0]}> is submitted to queue <batch>.\n"
    return said.split("<")[1].split(">")[0]


def ended(lsf, job):
    wait_until(lambda: state(lsf, job) is None, f"the end of job {job}")
    return next(known.state for known in lsf.jobs("-a") if known.job_id == job)


def test_lsf_runs_a_script_with_resource_sets_on_each_node(quick_lsf, tmp_path):
    script = tmp_path / "block.sh"
    task = "echo $FAKE_NODE $JSM_NAMESPACE_RANK $CUDA_VISIBLE_DEVICES"
    script.write_text(
        f"#!/bin/bash\n#BSUB -P ABC123 -nnodes 2  # comment\n#BSUB -W 1:00\n#BSUB -o {tmp_path}/%J.out\n"
        f"#BSUB -alloc_flags 'gpumps smt1 nvme'\njsrun -n 4 -a1 -c 21 -g 3 -r 2 -b none bash -c '{task}'\n"
    )
    job = quick_lsf.run("bsub", "-J", "given", str(script)).split("<")[1].split(">")[0]
    assert ended(quick_lsf, job) == "DONE"
    said = sorted((tmp_path / f"{job}.out").read_text().splitlines())
    assert said == ["h1 0 0,1,2", "h1 1 3,4,5", "h2 2 0,1,2", "h2 3 3,4,5"]
    assert quick_lsf.jobs("-a") == [(job, "given", "DONE")]


def test_lsf_ends_a_killed_job_with_all_its_processes(quick_lsf):
    jobs = [bsub(quick_lsf, STUBBORN.format(sleep="sleep 4002.5")) for _ in range(2)]
    other = bsub(quick_lsf, "sleep 4002.5", "-J", "other")
    wait_until(lambda: len(processes("sleep 4002.5")) == 5, "the jobs' processes")
    quick_lsf.run("bkill", "-J", "a block", "0")
    assert [ended(quick_lsf, job) for job in jobs] == ["EXIT", "EXIT"]
    assert len(processes("sleep 4002.5")) == 1
    assert quick_lsf.jobs() == [(other, "other", "RUN")]
    quick_lsf.run("bkill", other)
    assert ended(quick_lsf, other) == "EXIT"
    with pytest.raises(RuntimeError, match=f"Job <{other}>: Job has already finished"):
        quick_lsf.run("bkill", other)


def test_lsf_ends_a_job_at_its_walltime(quick_lsf):
    job = bsub(quick_lsf, STUBBORN.format(sleep="sleep 4003.5"), "-W", "1")
    polite = bsub(quick_lsf, "sleep 4003.5", "-W", "0:01")
    wait_for(quick_lsf, job, "RUN")
    assert [ended(quick_lsf, each) for each in (job, polite)] == ["EXIT", "EXIT"]
    assert processes("sleep 4003.5") == []
    with pytest.raises(RuntimeError, match="Job not submitted"):
        quick_lsf.run("bsub", stdin="sleep 1")


def test_lsf_does_not_find_unknown_and_forgotten_jobs(quick_lsf, monkeypatch):
    job = bsub(quick_lsf, "true")
    assert ended(quick_lsf, job) == "DONE"
    command = ["bjobs", "-noheader", "-o", "jobid stat", job, "77"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.stdout.split(), done.stderr, done.returncode) == ([job, "DONE"], "Job <77> is not found\n", 255)
    monkeypatch.setenv("FAKE_LSF_CLEAN", "0")
    with pytest.raises(RuntimeError, match=f"Job <{job}> is not found"):
        quick_lsf.run("bjobs", job)


def test_lsf_holds_waiting_and_running_jobs(quick_lsf, monkeypatch, tmp_path):
    count = f"while true; do echo >> {tmp_path}/count; sleep 0.05; done"
    monkeypatch.setenv("FAKE_LSF_PEND", "1")
    job = bsub(quick_lsf, count)
    quick_lsf.run("bstop", job)
    time.sleep(1.5)
    assert state(quick_lsf, job) == "PSUSP"
    assert not (tmp_path / "count").exists()
    quick_lsf.run("bresume", job)
    assert state(quick_lsf, job) == "PEND"
    wait_until((tmp_path / "count").exists, "the job's start")
    quick_lsf.run("bstop", job)
    assert state(quick_lsf, job) == "USUSP"
    size = (tmp_path / "count").stat().st_size
    time.sleep(0.3)
    assert (tmp_path / "count").stat().st_size == size
    quick_lsf.run("bresume", job)
    wait_until(lambda: (tmp_path / "count").stat().st_size > size, "the job going on")
    quick_lsf.run("bstop", job)
    quick_lsf.run("bkill", job)
    assert ended(quick_lsf, job) == "EXIT"
