"""The guard: workers live as long as the driver, and pools that die come back."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from parsl.executors.high_throughput.errors import ManagerLost, WorkerLost

from site_configs.guard import alive, guard
from site_configs.local import RETRIES, count_cores, count_workers, local, retry_cost


def wait_until(condition, seconds=20):
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)
    return condition()


def counting_command(file, *, ends_with):
    code = f"import sys; open({str(file)!r}, 'a').write('x'); sys.exit({ends_with})"
    return [sys.executable, "-c", code]


def test_a_pool_that_fails_is_started_again(tmp_path):
    starts = tmp_path / "starts"
    assert guard(os.getpid(), 3, counting_command(starts, ends_with=7)) == 7
    assert starts.read_text() == "xxxx"


def test_a_pool_that_ends_well_is_left_alone(tmp_path):
    starts = tmp_path / "starts"
    assert guard(os.getpid(), 3, counting_command(starts, ends_with=0)) == 0
    assert starts.read_text() == "x"


def test_a_pool_goes_with_its_driver(tmp_path):
    pid_file = tmp_path / "pid"
    driver = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    code = f"import os, time; open({str(pid_file)!r}, 'w').write(str(os.getpid())); time.sleep(60)"
    guarded = subprocess.Popen(
        [sys.executable, "-m", "site_configs.guard", str(driver.pid), "5", sys.executable, "-c", code],
        start_new_session=True,
    )
    assert wait_until(lambda: pid_file.exists() and pid_file.read_text() != "")
    pool = int(pid_file.read_text())
    assert alive(pool)
    driver.kill()
    driver.wait()
    assert guarded.wait(20) == -signal.SIGKILL
    # A killed orphan may be a zombie for a moment: it is gone or no longer running.
    assert wait_until(lambda: not alive(pool) or "Z" in Path(f"/proc/{pool}/stat").read_text().split(")")[1][:3])


def test_the_number_of_workers_is_as_asked_or_one_per_core():
    assert count_workers(5) == 5
    assert count_workers(None) >= 1


def test_the_local_site_is_encrypted_and_listens_on_this_machine_only(tmp_path):
    config = local(tmp_path, 1)
    (executor,) = config.executors
    assert executor.encrypted
    assert executor.address == "127.0.0.1"
    assert executor.max_workers_per_node == 1
    assert executor.cpu_affinity == "block"
    assert executor.prefetch_capacity == 0
    assert config.usage_tracking == 0
    assert Path(config.run_dir) == tmp_path


def test_more_workers_than_cores_share_them(tmp_path):
    (executor,) = local(tmp_path, count_cores() + 1).executors
    assert executor.max_workers_per_node == count_cores() + 1
    assert executor.cpu_affinity == "none"  # with any other, Parsl's workers end as they start


def task(module, function):
    return {"args": [module, function, "what", "it", "is", "given"]}


def test_only_losses_are_tried_again_and_networks_are_left_to_the_campaign():
    evaluation, stage = task("apps.evaluate", "evaluate"), task("apps.detect", "detect_frames")
    worker, manager = WorkerLost(1, "host"), ManagerLost(b"m", "host")
    assert retry_cost(manager, evaluation) * RETRIES < RETRIES
    assert retry_cost(manager, stage) * RETRIES < RETRIES
    assert retry_cost(worker, stage) <= RETRIES
    assert retry_cost(worker, evaluation) > RETRIES
    assert retry_cost(ValueError("a fault of ours"), stage) > RETRIES
