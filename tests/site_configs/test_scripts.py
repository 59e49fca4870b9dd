"""The scripts that are submitted, beside ones that were reviewed against the manuals of batch systems and launchers.

In `scripts/` is what a job of two nodes is for each machine, of ten at Polaris, whose queue takes no fewer. A change
there is to be reviewed in the same way. Who submits a script is not in them: the number of the user is UID.
"""

import os
import re
import shlex
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from data_prep.errors import InputError
from site_configs.executors import Purpose
from site_configs.guard import _from_now_on, node_folder
from site_configs.script import job_script
from site_configs.sites import config_for, settings_of

SCRIPTS = Path(__file__).parent / "scripts"
FOLDER = Path("/runs/demo/parsl")
PURPOSE = Purpose(FOLDER, longest_s=160.0)
JOB = {"account": "abc123", "nodes_per_block": 2, "walltime": "02:00:00"}
SITES = {name: {"like": name, **JOB} for name in ("summit", "frontier", "perlmutter", "polaris", "aurora")}
SITES["polaris"]["nodes_per_block"] = 10
SITES["slurm"] = {"like": "slurm", "interface": "ib0", "gpus_per_node": 2, "workers_per_gpu": 3, "mps": True, **JOB}
PLAIN = {kind: {"like": kind, "interface": "ib0", "cores_per_node": 64} for kind in ("slurm", "lsf", "pbs")}
COMMAND = re.compile(r"^cat << (\w+_EOF) > .*\n(.*)\n\1$", re.MULTILINE)  # of each node, which the job writes down


@pytest.fixture(autouse=True)
def login_node(monkeypatch, tmp_path_factory):
    """A machine with all interfaces, a Python that is the same everywhere, and no command of any batch system."""
    found = [SimpleNamespace(family=socket.AF_INET, address="10.1.2.3")]
    monkeypatch.setattr(
        "site_configs.address.psutil.net_if_addrs", lambda: dict.fromkeys(("ib0", "hsn0", "bond0"), found)
    )
    monkeypatch.setattr(sys, "executable", "/PYTHON/bin/python")
    monkeypatch.setenv("PATH", str(tmp_path_factory.mktemp("bin")))


def script(values, purpose=PURPOSE, **changed):
    text = job_script(settings_of({**values, **changed}, "test"), purpose)
    return text.replace(str(node_folder()), "/tmp/evostem-UID-pools")


def command(text):
    """What starts the workers of a node, of which there is one in a script."""
    (found,) = COMMAND.findall(text)
    return found[1]


@pytest.mark.parametrize("name", SITES)
def test_the_script_is_the_one_that_was_reviewed(name):
    assert script(SITES[name]) == (SCRIPTS / f"{name}.sh").read_text()


def test_no_script_is_kept_that_nobody_compares():
    assert {file.stem for file in SCRIPTS.iterdir()} == set(SITES)


@pytest.mark.parametrize("values", [*SITES.values(), *PLAIN.values()], ids=[*SITES, *(f"plain-{k}" for k in PLAIN)])
def test_the_shell_understands_the_script(values):
    done = subprocess.run(["/bin/bash", "-n"], input=script(values), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("values", [*SITES.values(), *PLAIN.values()], ids=[*SITES, *(f"plain-{k}" for k in PLAIN)])
def test_there_is_nothing_in_the_command_that_the_job_s_shell_would_change(values):
    text = command(script(values))
    assert not set("${}`\\\n") & set(text)
    assert shlex.split(text)[:3] == ["/PYTHON/bin/python", "-m", "site_configs.guard"]


@pytest.mark.parametrize("values", SITES.values(), ids=SITES)
def test_the_guard_is_told_what_the_pool_is_started_for(values):
    site = settings_of(values, "test")
    words = shlex.split(command(script(values)))
    guard, pool = words[: words.index("--")], words[words.index("--") + 1 :]
    assert pool[0] == "process_worker_pool.py"
    assert f"--gpus={site.gpus_per_node}" in guard
    assert f"--max_workers_per_node={site.workers_per_node}" in pool
    assert pool[pool.index("-a") + 1] == "10.1.2.3"
    assert pool[pool.index("-p") + 1] == "0"
    assert pool[pool.index("--cert_dir") + 1] == f"{FOLDER}/certificates"
    assert {"--hb_period=60", "--hb_threshold=300", "--drain_period=6980"} <= set(pool)
    assert "--logdir=/tmp/evostem-UID-pools/evostem-0" in pool  # on the node


@pytest.mark.parametrize("values", SITES.values(), ids=SITES)
def test_a_pool_that_is_started_again_takes_tasks_no_longer_than_the_first_would_have(values):
    words = shlex.split(command(script(values)))
    where = words.index("--drain_period=6980")
    for passed_s, left_s in ((0.0, 6980), (0.9, 6980), (1000.0, 5980), (6979.0, 1), (6980.0, 1), (1e6, 1)):
        again = _from_now_on(words, passed_s)
        assert again == [*words[:where], f"--drain_period={left_s}", *words[where + 1 :]]
    without = shlex.split(command(script(values, Purpose(FOLDER, longest_s=7000.0))))
    assert "--drain_period=None" in without
    assert _from_now_on(without, 1000.0) == without


@pytest.mark.parametrize("values", SITES.values(), ids=SITES)
def test_what_the_batch_system_is_asked_for_stands_before_the_first_command(values):
    lines = script(values).splitlines()
    assert lines[0] == "#!/bin/bash"
    first = next(number for number, line in enumerate(lines) if line.strip() and not line.startswith("#"))
    assert not [line for line in lines[first:] if line.startswith(("#SBATCH", "#BSUB", "#PBS"))]


@pytest.mark.parametrize("name", ["slurm", "lsf", "pbs"])
def test_lines_of_one_s_own_stand_where_they_work(name):
    mark = {"slurm": "#SBATCH --mem=64G", "lsf": "#BSUB -x", "pbs": "#PBS -r n"}[name]
    setup = ["module load python", 'export HERE="$HOME/{x}"']
    lines = script(PLAIN[name], scheduler_lines=[mark], setup=setup).splitlines()
    where = [lines.index(line) for line in (mark, *setup, "export PATH=/PYTHON/bin:$PATH", "set -e")]
    assert where == sorted(where)
    if name == "slurm":
        assert lines.index("#SBATCH --mem=0") < lines.index(mark)  # what is said later holds


@pytest.mark.parametrize("name", SITES)
def test_a_script_is_of_the_job_that_was_asked_for(name):
    text = script(SITES[name], nodes_per_block=46, walltime="11:30:00")
    one, other = {
        "slurm": ("#SBATCH --nodes=46", "#SBATCH --time=690"),
        "lsf": ("#BSUB -nnodes 46", "#BSUB -W 690"),
        "pbs": ("#PBS -l select=46:ncpus=", "#PBS -l walltime=11:30:00"),
    }[settings_of(SITES[name], "test").kind]
    assert one in text
    assert f"{other}\n" in text
    assert "WORKERCOUNT=46\n" in text  # one pool on each node


@pytest.mark.parametrize(("name", "word"), [("slurm", "#SBATCH --time="), ("lsf", "#BSUB -W ")])
@pytest.mark.parametrize(("walltime", "minutes"), [("00:01:00", 1), ("1:00:00", 60), ("100:59:00", 6059)])
def test_a_job_is_given_its_walltime_to_the_minute(name, word, walltime, minutes):
    assert f"{word}{minutes}\n" in script(PLAIN[name], walltime=walltime)
    for other in ("00:00:30", "00:01:59"):  # of which Parsl would make 0, no limit at all, and 1
        with pytest.raises(InputError, match="is not HH:MM:00"):
            script(PLAIN[name], walltime=other)


def test_a_python_in_a_folder_of_two_words_is_found(monkeypatch):
    monkeypatch.setattr(sys, "executable", "/my python/bin/python")
    text = script(PLAIN["slurm"])
    assert "export PATH='/my python/bin':$PATH\n" in text
    assert shlex.split(command(text))[0] == "/my python/bin/python"


@pytest.mark.parametrize("kind", PLAIN)
def test_nothing_is_submitted_and_nothing_left_behind(kind, tmp_path, monkeypatch):
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    monkeypatch.chdir(tmp_path)
    for name in ("sbatch", "bsub", "qsub"):
        program = Path(os.environ["PATH"].split(":")[0]) / name
        program.write_text(f"#!/bin/sh\n/usr/bin/touch {tmp_path}/submitted\n")
        program.chmod(0o755)
    purpose = Purpose(tmp_path / "parsl", ledger=tmp_path / "jobs.txt")
    assert f"{tmp_path}/parsl/" in script(PLAIN[kind], purpose)
    assert list(tmp_path.rglob("*")) == [scratch]


def test_the_script_is_the_same_each_time_and_of_any_purpose_s_name():
    text = script(PLAIN["slurm"])
    assert script(PLAIN["slurm"]) == text
    named = script(PLAIN["slurm"], Purpose(FOLDER, "evostem1a2b3c4d", 160.0))
    assert named == text.replace("evostem-0", "evostem1a2b3c4d-0")


def test_this_machine_has_no_script():
    assert script({"like": "local"}) == ""


def test_without_the_interface_there_is_no_script():
    with pytest.raises(InputError, match="no network interface 'eth7'"):
        script(PLAIN["slurm"], interface="eth7")


@pytest.mark.parametrize("kind", PLAIN)
def test_keys_and_scripts_are_not_put_where_nodes_cannot_see_them(kind, tmp_path, monkeypatch):
    # A folder whose name a shell would part is not replaced by one on the login node's own disk.
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with pytest.raises(InputError, match="folders of plain names"):
        config_for(settings_of(PLAIN[kind], "test"), Purpose(Path("/gpfs/two words/parsl")))
    assert list(tmp_path.iterdir()) == []
