"""This machine as a site."""

import os
import subprocess
import sys
from pathlib import Path

from parsl.executors.high_throughput.errors import ManagerLost, WorkerLost

import site_configs.local
from site_configs.executors import RETRIES, Purpose, retry_cost
from site_configs.local import count_cores, here, local
from site_configs.settings import SiteSettings


def test_the_number_of_workers_is_as_asked_or_one_per_core():
    assert here(SiteSettings(workers=5)).workers_per_node == 5
    assert here(SiteSettings()).workers_per_node == count_cores() >= 1
    assert here(SiteSettings(threads_per_worker=10**6)).workers_per_node == 1


def test_with_gpus_there_is_a_worker_for_each_or_several(monkeypatch):
    monkeypatch.setattr(site_configs.local, "count_gpus", lambda: 4)
    monkeypatch.setattr(site_configs.local, "count_cores", lambda: 64)
    assert here(SiteSettings()).workers_per_node == 4
    assert here(SiteSettings(workers_per_gpu=3)).workers_per_node == 12
    assert here(SiteSettings(workers=3)).workers_per_node == 3
    assert here(SiteSettings(workers=9)).workers_per_node == 4  # each has its own
    assert here(SiteSettings(gpus_per_node=0)).workers_per_node == 64


def test_the_local_site_is_encrypted_and_listens_on_this_machine_only(tmp_path):
    config = local(SiteSettings(workers=1), Purpose(tmp_path))
    (executor,) = config.executors
    assert executor.encrypted
    assert executor.address == executor.loopback_address == "127.0.0.1"
    assert executor.max_workers_per_node == 1
    assert executor.cpu_affinity == "block"
    assert executor.prefetch_capacity == 0
    assert config.usage_tracking == 0
    assert Path(config.run_dir) == tmp_path


def test_more_workers_than_cores_share_them(tmp_path):
    (executor,) = local(SiteSettings(workers=count_cores() + 1), Purpose(tmp_path)).executors
    assert executor.max_workers_per_node == count_cores() + 1
    assert executor.cpu_affinity == "none"  # with any other, Parsl's workers end as they start


def test_a_folder_whose_name_a_shell_would_part_is_not_used(tmp_path):
    folder = Path(local(SiteSettings(), Purpose(tmp_path / "two words")).run_dir)
    assert " " not in str(folder)
    folder.rmdir()  # else it is removed at the end


def task(module, function):
    return {"args": [module, function, "what", "it", "is", "given"]}


def test_only_losses_are_tried_again_and_networks_are_left_to_the_campaign():
    evaluation, stage = task("apps.evaluate", "evaluate"), task("apps.detect", "detect_frames")
    worker, manager = WorkerLost(1, "host"), ManagerLost(b"m", "host")
    for lost in (evaluation, stage):  # nodes are lost often, but nothing is repeated for ever that takes its node down
        assert 3 * retry_cost(manager, lost) <= RETRIES < 6 * retry_cost(manager, lost)
    assert retry_cost(worker, stage) <= RETRIES
    assert retry_cost(worker, evaluation) > RETRIES
    assert retry_cost(ValueError("a fault of ours"), stage) > RETRIES


def test_the_interchange_gets_no_ctrl_c_of_the_terminal(tmp_path, monkeypatch):
    (executor,) = local(SiteSettings(), Purpose(tmp_path)).executors
    command = executor.interchange_launch_cmd
    assert command[-1] == "interchange.py"
    assert "setsid" not in command  # not every machine has the program
    (tmp_path / "interchange.py").write_text(f"#!{sys.executable}\nimport os\nprint(os.getpid(), os.getsid(0))\n")
    (tmp_path / "interchange.py").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.read().split() == [str(process.pid)] * 2
    assert process.returncode == 0


def test_a_replaced_folder_is_removed_at_the_end(tmp_path):
    code = (
        "import pathlib; from site_configs.executors import Purpose; from site_configs.local import local; "
        "from site_configs.settings import SiteSettings; "
        f"print(local(SiteSettings(), Purpose(pathlib.Path({str(tmp_path / 'two words')!r}))).run_dir)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert "evostem-parsl-" in done.stdout
    assert not Path(done.stdout.strip()).exists()
