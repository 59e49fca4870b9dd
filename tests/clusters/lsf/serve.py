"""What LSF's daemons do for one job of the stand-in, from its submission to its end: `serve.py JOB_ID`."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from lsf import HERE, all_jobs, tell


def serve(job_id):
    pend = float(os.environ.get("FAKE_LSF_PEND", "0"))
    script, ran, last, cut = None, 0.0, time.time(), False
    while script is None or script.poll() is None:
        time.sleep(0.1)
        with all_jobs() as jobs:
            job, now = jobs[job_id], time.time()
            if job["stat"] == "EXIT":
                return
            if job["stat"] == "PEND" and now - job["since"] >= pend:
                script, last = launch(job_id, job), now
                job["stat"] = "RUN"
        # Time in suspension does not count.
        ran += now - last if job["stat"] == "RUN" else 0
        last = now
        killed = job.get("killed", False)
        if script and (killed or ran > job["limit"]):
            cut = True
            end(job_id, [] if killed else [signal.SIGUSR2])
            script.wait()
    while tell(job_id, signal.SIGKILL):
        time.sleep(0.05)
    with all_jobs() as jobs:
        stat = "EXIT" if cut or script.returncode else "DONE"
        jobs[job_id] |= {"stat": stat, "exit_code": script.returncode % 256, "ended": time.time()}


def launch(job_id, job):
    mine = {"LSB_JOBID": job_id, "LSB_JOBNAME": job["name"], "LSB_QUEUE": job["queue"], "LS_SUBCWD": job["cwd"]}
    mine |= {"FAKE_LSF_NODES": str(job["nodes"])}
    with contextlib.ExitStack() as files:
        output, errors = (
            files.enter_context(Path(job["cwd"], job[kind].replace("%J", job_id)).open("a"))
            for kind in ("output", "errors")
        )
        return subprocess.Popen(
            ["bash", str(HERE / f"{job_id}.sh")],
            cwd=job["cwd"],
            env=os.environ | mine,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=errors,
            start_new_session=True,
        )


def end(job_id, first):
    """Signal after signal until no process is left. Only at the run limit LSF begins with SIGUSR2."""
    grace = float(os.environ.get("FAKE_LSF_GRACE", "1"))
    for number in [*first, signal.SIGINT, signal.SIGTERM, signal.SIGKILL]:
        tell(job_id, number)
        tell(job_id, signal.SIGCONT)
        deadline = time.monotonic() + grace
        while time.monotonic() < deadline:
            if not tell(job_id, 0):
                return
            time.sleep(0.05)


if __name__ == "__main__":
    serve(sys.argv[1])
