"""The guard: workers live as long as what they work for, pools that die come back, broken ones are started anew."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

import site_configs.guard
from site_configs.guard import LEFT_S, RESTARTS, _marks, alive, guard, main, node_folder


def wait_until(condition, seconds=20):
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)
    return condition()


def running(pid):
    """Whether a process does anything: a killed orphan may be a zombie for a moment."""
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().split(")")[1][:3]
    except FileNotFoundError:
        return False


def python(code):
    return [sys.executable, "-c", code]


def counting_command(file, *, ends_with):
    return python(f"import sys; open({str(file)!r}, 'a').write('x'); sys.exit({ends_with})")


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(site_configs.guard, "POLL_S", 0.05)
    monkeypatch.setattr(site_configs.guard, "LEAVING_S", 0.3)


def test_a_pool_that_fails_is_started_again_but_not_for_ever(tmp_path):
    starts = tmp_path / "starts"
    assert guard(counting_command(starts, ends_with=7), tmp_path, []) == 7
    assert starts.read_text() == "x" * (RESTARTS + 1)


def test_a_pool_that_lived_for_a_while_has_all_its_restarts_again(tmp_path, monkeypatch):
    monkeypatch.setattr(site_configs.guard, "LIVED_S", 0.0)
    starts = tmp_path / "starts"
    often = 3 * RESTARTS
    code = (
        f"import sys; open({str(starts)!r}, 'a').write('x'); "
        f"sys.exit(len(open({str(starts)!r}).read()) < {often} and 7)"
    )
    assert guard(python(code), tmp_path, []) == 0
    assert starts.read_text() == "x" * often


def test_a_pool_that_ends_well_is_left_alone(tmp_path):
    starts = tmp_path / "starts"
    assert guard(counting_command(starts, ends_with=0), tmp_path, []) == 0
    assert starts.read_text() == "x"


# A pool of one worker, which is a process of its own; the first pool's worker dies, later pools end well.
POOL = """
import os, subprocess, sys, time
folder = sys.argv[1]
open(folder + "/pools", "a").write("x")
worker = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
if len(open(folder + "/pools").read()) > 1:
    worker.kill()
    sys.exit(0)
if sys.argv[2] == "busy":
    open(folder + f"/marks/{worker.pid}", "w").close()
time.sleep(0.5)
worker.kill()  # and it is a zombie, as nobody waits for it
time.sleep(1.5)
sys.exit(0)
"""


@pytest.mark.parametrize(("when", "pools"), [("idle", "xx"), ("busy", "x")])
def test_a_pool_is_started_anew_if_an_idle_worker_dies_and_not_if_a_busy_one_does(tmp_path, when, pools):
    marks = tmp_path / "marks"
    marks.mkdir()
    assert guard([*python(POOL), str(tmp_path), when], marks, []) == 0
    assert (tmp_path / "pools").read_text() == pools
    assert list(marks.iterdir()) == []


def started(tmp_path, *options, through_shell=False):
    """A guard in a process group of its own, or the shell that starts it, and the pid of its pool."""
    pid_file, pool = tmp_path / "pid", tmp_path / "pool.py"
    pool.write_text(
        "import os, subprocess, time\nsubprocess.Popen(['sleep', '60'])\n"
        f"open({str(pid_file)!r}, 'w').write(str(os.getpid()))\ntime.sleep(60)\n"
    )
    command = [sys.executable, "-m", "site_configs.guard", *options, "--", sys.executable, str(pool)]
    if through_shell:
        script = tmp_path / "script.sh"
        script.write_text(" ".join(command) + "\ntrue\n")
        command = ["bash", str(script)]
    process = subprocess.Popen(command, start_new_session=True)
    assert wait_until(lambda: pid_file.exists() and pid_file.read_text() != "")
    return process, int(pid_file.read_text())


def test_a_pool_goes_with_its_driver(tmp_path):
    driver = subprocess.Popen(python("import time; time.sleep(60)"))
    process, pool = started(tmp_path, f"--driver={driver.pid}")
    assert alive(pool)
    driver.kill()
    driver.wait()
    assert process.wait(20) == 1
    assert wait_until(lambda: not running(pool))


def test_a_pool_and_what_it_has_started_go_with_its_guard(tmp_path):
    process, pool = started(tmp_path)
    (child,) = wait_until(lambda: psutil.Process(pool).children())
    process.kill()
    process.wait()
    assert wait_until(lambda: not running(pool) and not running(child.pid))


def test_what_a_killed_pool_has_started_goes_before_the_next_pool_comes(tmp_path):
    process, pool = started(tmp_path)
    (child,) = wait_until(lambda: psutil.Process(pool).children())
    (tmp_path / "pid").unlink()
    time.sleep(1)  # the guard has seen it
    os.kill(pool, signal.SIGKILL)
    assert wait_until((tmp_path / "pid").exists)
    assert not running(child.pid)
    process.terminate()
    process.wait()


def test_an_undertaker_that_dies_is_replaced(tmp_path):
    process, pool = started(tmp_path)

    def undertakers():
        return [one for one in psutil.Process(process.pid).children() if one.name() == "sh" and running(one.pid)]

    (first,) = wait_until(undertakers)
    first.kill()
    assert wait_until(lambda: [one for one in undertakers() if one.pid != first.pid])
    assert running(pool)  # it did not matter
    process.kill()
    process.wait()
    assert wait_until(lambda: not running(pool))


def test_a_guard_that_is_told_to_end_ends_its_pool(tmp_path):
    process, pool = started(tmp_path)
    process.terminate()
    assert process.wait(20) == 128 + signal.SIGTERM
    assert not running(pool)


def test_a_pool_goes_with_the_shell_that_started_it(tmp_path):
    shell, pool = started(tmp_path, through_shell=True)
    shell.kill()
    shell.wait()
    assert wait_until(lambda: not running(pool))


def test_workers_are_told_what_their_node_has(tmp_path):
    out = tmp_path / "environment"
    code = f"import os, json; open({str(out)!r}, 'w').write(json.dumps(dict(os.environ)))"
    options = ["--gpus=4", "--vendor=amd", "--workers-per-gpu=2", "--threads=3"]
    subprocess.run([sys.executable, "-m", "site_configs.guard", *options, "--", *python(code)], check=True)
    told = json.loads(out.read_text())
    assert (told["EVOSTEM_GPUS"], told["EVOSTEM_GPU_VENDOR"]) == ("4", "amd")
    assert (told["EVOSTEM_WORKERS_PER_GPU"], told["EVOSTEM_THREADS"]) == ("2", "3")
    assert not Path(told["EVOSTEM_MARKS"]).exists()  # it is gone with the guard


def test_the_multi_process_service_runs_as_long_as_the_pool(tmp_path, monkeypatch):
    control = tmp_path / "nvidia-cuda-mps-control"
    control.write_text(
        f'#!/bin/sh\nif [ "$1" = "-d" ]; then echo "start $CUDA_MPS_PIPE_DIRECTORY" >> {tmp_path}/mps\n'
        f'else read word; echo "$word" >> {tmp_path}/mps; fi\n'
    )
    control.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    said = "'pool ' + os.environ['CUDA_MPS_PIPE_DIRECTORY'] + chr(10)"
    code = f"import os; open({str(tmp_path / 'mps')!r}, 'a').write({said})"
    subprocess.run([sys.executable, "-m", "site_configs.guard", "--mps", "--", *python(code)], check=True)
    start, pool, end = (tmp_path / "mps").read_text().splitlines()
    assert start.split()[1] == pool.split()[1] != ""
    assert end == "quit"


def test_without_the_service_workers_are_started_all_the_same():
    environment = {**os.environ, "PATH": str(Path(sys.executable).parent)}
    command = [sys.executable, "-m", "site_configs.guard", "--mps", "--", *python("print('works')")]
    done = subprocess.run(command, check=True, env=environment, capture_output=True, text=True)
    assert "no nvidia-cuda-mps-control" in done.stdout
    assert "works" in done.stdout


def test_a_command_line_that_makes_no_sense_is_refused():
    with pytest.raises(SystemExit):
        main(["--vendor=cray", "--", "true"])


# ----- what there is on a node


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """In place of the user's folder in /tmp."""
    path = tmp_path / "pools"
    monkeypatch.setattr(site_configs.guard, "node_folder", lambda: path)
    return path


def old(path):
    """A folder that was left more than a week ago, with something in it."""
    path.parent.mkdir(mode=0o700, exist_ok=True)
    path.mkdir()
    (path / "1234").touch()
    os.utime(path, (time.time() - LEFT_S - 60,) * 2)
    return path


def test_the_folder_of_a_node_is_the_user_s_alone(tmp_path):
    assert node_folder() == Path("/tmp") / f"evostem-{os.geteuid()}-pools"
    out = tmp_path / "mode"
    code = (
        "import os, pathlib; marks = pathlib.Path(os.environ['EVOSTEM_MARKS']); "
        f"pathlib.Path({str(out)!r}).write_text(f'{{marks.parent}} {{marks.stat().st_mode:o}}')"
    )
    subprocess.run([sys.executable, "-m", "site_configs.guard", "--", *python(code)], check=True)
    assert out.read_text() == f"{node_folder()} 40700"
    assert node_folder().stat().st_mode & 0o777 == 0o700


def test_what_killed_guards_have_left_is_removed_after_a_week(folder):
    left, young = old(folder / "left"), folder / "young"
    young.mkdir()
    with _marks() as marks:
        assert (marks.parent, marks.is_dir()) == (folder, True)
        assert not left.exists()
    assert list(folder.iterdir()) == [young]


def test_two_guards_may_remove_what_was_left_at_the_same_time(folder, monkeypatch):
    """As where the jobs of a shared node begin together."""
    for name in ("one", "two", "three"):
        old(folder / name)
    remove = shutil.rmtree

    def with_another(path, **options):
        for one in [path, *folder.iterdir()] if path.parent == folder else [path]:
            remove(one, **options)

    with monkeypatch.context() as other:
        other.setattr(site_configs.guard.shutil, "rmtree", with_another)
        with _marks() as marks:
            assert marks.is_dir()


@pytest.mark.parametrize(("length", "kept"), [(35, False), (61, True), (200, True)])
def test_a_node_s_own_temporary_folder_is_kept_where_sockets_need_a_shorter_one(length, kept, tmp_path):
    own = Path("/tmp") / f"evostem-test-{os.getpid()}-".ljust(length - 5, "x")
    own.mkdir()
    out = tmp_path / "environment"
    code = (
        "import json, os; from data_prep.staging import node_root; "
        "there = {'asked': str(node_root('$TMPDIR')), 'none': str(node_root()), **os.environ}; "
        f"open({str(out)!r}, 'w').write(json.dumps(there))"
    )
    environment = {name: value for name, value in os.environ.items() if name != "EVOSTEM_TMPDIR"} | {"TMPDIR": str(own)}
    try:
        subprocess.run([sys.executable, "-m", "site_configs.guard", "--", *python(code)], check=True, env=environment)
    finally:
        own.rmdir()
    told = json.loads(out.read_text())
    assert told["TMPDIR"] == ("/tmp" if kept else str(own))
    assert told.get("EVOSTEM_TMPDIR") == (str(own) if kept else None)
    assert told["asked"] == told["none"] == str(own / f"evostem-{os.geteuid()}")
