"""Sites at the command line: which there are, all their settings, what would be submitted, and what is refused."""

import socket
import subprocess
import tomllib
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

import data_prep.simulate
import site_configs.advice
from search.evaluation import Evaluation, Request, Status
from search.journal import Journal
from site_configs.executors import Purpose
from site_configs.script import job_script
from site_configs.sites import BUILT_IN, settings_of, site_named
from workflow.cli import app
from workflow.sites import DESCRIPTIONS

LONGEST_S = 8 * 108.0  # of eight sets that are trained together: four times 12 s each, and a minute
MACHINES = ["summit", "frontier", "perlmutter", "polaris", "aurora"]


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """A folder to work in, on a login node with all interfaces and all commands."""
    address = SimpleNamespace(family=socket.AF_INET, address="10.1.2.3")
    there = {name: [address] for name in ("ib0", "hsn0", "bond0")}
    there["lo"] = [SimpleNamespace(family=socket.AF_INET, address="127.0.0.1")]
    monkeypatch.setattr("site_configs.address.psutil.net_if_addrs", lambda: there)
    monkeypatch.setattr(site_configs.advice.shutil, "which", lambda name, **_: f"/usr/bin/{name}")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return there


def evostem(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


def refused(done, *words):
    """It is bad input, said in one line."""
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("evostem: ")
    for word in words:
        assert word in done.stderr


def write(name, *lines):
    file = Path(name)
    file.write_text("\n".join([*lines, ""]))
    return file.absolute()


def own(site):
    """A site's settings but for its name."""
    return site.model_dump(exclude={"name"})


# ----- list


def test_all_built_in_sites_are_listed_and_described():
    done = evostem("sites", "list")
    assert (done.exit_code, done.stderr) == (0, "")
    lines = dict(line.split(maxsplit=1) for line in done.stdout.splitlines())
    assert lines == DESCRIPTIONS
    assert list(lines) == list(BUILT_IN) == ["local", "slurm", "lsf", "pbs", *MACHINES]
    assert all(lines.values())


@pytest.mark.parametrize("name", MACHINES)
def test_a_description_is_of_that_machine(name):
    site, said = site_named(name), DESCRIPTIONS[name]
    assert {"slurm": "Slurm", "lsf": "LSF", "pbs": "PBS Pro"}[site.kind] in said
    assert f" {site.gpus_per_node} " in said


def test_without_a_word_the_commands_are_told():
    done = evostem("sites")
    for word in ("list", "show", "check", "test"):
        assert word in done.output


# ----- show


@pytest.mark.parametrize("name", BUILT_IN)
def test_what_is_shown_is_a_site_file_with_the_same_settings(name):
    done = evostem("sites", "show", name)
    assert (done.exit_code, done.stderr) == (0, "")
    assert tomllib.loads(done.stdout)["site"]["name"] == name
    again = site_named(str(write("copy.toml", done.stdout)))
    assert again.name == str(Path("copy.toml").absolute())
    assert own(again) == own(site_named(name))


def test_a_site_file_is_shown_with_all_that_it_is_like():
    lines = ['like = "perlmutter"', 'account = "abc123"', "setup = ['export WHERE=\"$HOME/x y\"', 'echo \\é']"]
    file = write("mine.toml", *lines)
    done = evostem("sites", "show", "mine.toml")
    shown = tomllib.loads(done.stdout)["site"]
    assert shown["name"] == str(file)
    assert (shown["account"], shown["gpus_per_node"], shown["kind"]) == ("abc123", 4, "slurm")
    assert shown["setup"] == ['export WHERE="$HOME/x y"', "echo \\é"]
    assert own(site_named(str(write("copy.toml", done.stdout)))) == own(site_named("mine.toml"))


def test_a_copy_can_be_changed():
    text = evostem("sites", "show", "frontier").stdout
    changed = text.replace('queue = "batch"', 'queue = "extended"') + 'account = "abc123"\n'
    site = site_named(str(write("copy.toml", changed)))
    assert (site.queue, site.account, site.gpus_per_node) == ("extended", "abc123", 8)


# ----- check


def test_the_script_is_shown_with_what_will_hurt(monkeypatch):
    monkeypatch.setattr(site_configs.advice.shutil, "which", lambda _name, **_: None)
    config = write("c.toml", "[site]", 'account = "abc123"', "nodes_per_block = 4", "max_blocks = 3")
    done = evostem("sites", "check", "frontier", "--config", config)
    assert (done.exit_code, done.stderr) == (0, "")
    site = settings_of({"like": "frontier", "account": "abc123", "nodes_per_block": 4, "max_blocks": 3}, "test")
    script = job_script(site, Purpose(Path("runs/NAME/parsl").absolute(), longest_s=LONGEST_S))
    assert done.stdout.startswith(script)
    assert done.stdout[len(script) :].splitlines()[1:] == [
        "warning: there is no sbatch here: run it where jobs are submitted",
        "frontier: 0 to 3 jobs of 4 nodes, 8 workers each",
    ]
    assert list(Path().iterdir()) == [Path("c.toml")]


@pytest.mark.parametrize("name", MACHINES)
def test_a_site_with_all_that_it_needs_has_nothing_to_tell(name):
    config = write("c.toml", "[site]", 'account = "abc123"')
    done = evostem("sites", "check", name, "--config", config)
    assert done.exit_code == 0
    assert "missing:" not in done.stdout
    assert "warning:" not in done.stdout
    nodes = site_named(name).nodes_per_block
    assert done.stdout.splitlines()[-1].startswith(f"{name}: 0 to 1 jobs of {nodes} nodes, ")


@pytest.mark.parametrize("name", MACHINES)
def test_what_is_missing_is_told_below_the_script_and_by_the_exit_status(name):
    done = evostem("sites", "check", name)
    assert done.exit_code == 2
    assert done.stdout.startswith("#!/bin/bash")
    missing = [line for line in done.stdout.splitlines() if line.startswith("missing: ")]
    assert missing == [
        f"missing: site.account is missing, which {name} needs: set it in [site] of --config, or in the site's file"
    ]
    assert f"\n{name}: " not in done.stdout  # how large it is


def test_a_script_can_be_seen_where_the_machine_s_interface_is_not(here):
    del here["hsn0"]
    config = write("c.toml", "[site]", 'account = "abc123"')
    done = evostem("sites", "check", "frontier", "--config", config)
    assert done.exit_code == 2
    assert done.stdout.startswith("#!/bin/bash")
    assert "missing: site.interface: this machine has no network interface 'hsn0'" in done.stdout
    assert " -a 127.0.0.1 " in done.stdout
    here["lo0"] = here.pop("lo")  # as another system calls it
    done = evostem("sites", "check", "frontier", "--config", config)
    assert done.exit_code == 2
    assert " -a 127.0.0.1 " in done.stdout


def test_evaluations_are_as_long_as_the_config_has_them():
    site = ["[site]", 'account = "abc123"', "walltime = 00:30:00"]
    alone = ["[tuning]", "together = 1"]
    assert "warning" not in evostem("sites", "check", "frontier", "--config", write("c.toml", *site, *alone)).stdout
    done = evostem("sites", "check", "frontier", "--config", write("c.toml", *site))
    assert f"is short for evaluations that may take {LONGEST_S:.0f} s" in done.stdout
    # Given up after four times that, and a minute.
    long = write("c.toml", *site, *alone, "[search]", "seconds = 600.0")
    done = evostem("sites", "check", "frontier", "--config", long)
    assert done.exit_code == 0
    assert "warning: walltime 00:30:00 is shorter than an evaluation may take (2460 s)" in done.stdout
    assert "--drain_period=None" in done.stdout


def test_this_machine_submits_nothing(monkeypatch):
    monkeypatch.setattr("site_configs.local.count_gpus", lambda: 0)
    done = evostem("sites", "check", "local", "--config", write("c.toml", "[site]", "workers = 3"))
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout.splitlines() == ["nothing is submitted: workers start on this machine", "local: 3 workers"]


def test_a_site_file_is_checked_though_the_config_names_another_site():
    write("mine.toml", 'like = "summit"', 'account = "abc123"')
    config = write("c.toml", "[site]", 'like = "frontier"', "nodes_per_block = 4")
    done = evostem("sites", "check", "mine.toml", "--config", config)
    assert done.exit_code == 0
    assert "#BSUB -nnodes 4\n" in done.stdout


@pytest.mark.parametrize("kept", ["local", "perlmutter", "polaris"])
def test_a_site_that_is_named_is_not_mixed_with_the_one_that_a_run_has_kept(kept):
    # All settings of a site are in a run's config.toml. To refuse it would be right as well.
    config = write("config.toml", evostem("sites", "show", kept).stdout, "workers = 2" if kept == "local" else "")
    done = evostem("sites", "check", "frontier", "--config", config)
    if done.stdout:
        assert "#SBATCH --gpus-per-node=8\n" in done.stdout
        assert "--max_workers_per_node=8 " in done.stdout
        assert "missing: site.account is missing, which frontier needs" in done.stdout
    else:
        refused(done, "config.toml")


def test_a_value_with_a_dot_or_a_slash_is_a_file_and_another_is_a_name():
    write("frontier", 'like = "summit"')
    write("mine.toml", 'like = "summit"')
    for site in ("./frontier", Path("frontier").absolute(), "mine.toml"):
        assert "#BSUB" in evostem("sites", "check", site).stdout
    assert "#SBATCH" in evostem("sites", "check", "frontier").stdout
    refused(
        evostem("sites", "check", "frontier.toml"), f"{Path('frontier.toml').absolute()}: no such site, and no such"
    )


@pytest.mark.parametrize("command", ["show", "check"])
def test_a_site_file_in_the_home_folder_is_found(tmp_path, monkeypatch, command):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "mine.toml").write_text('like = "summit"\naccount = "abc123"\n')
    done = evostem("sites", command, "~/mine.toml")  # shells leave it so in --site=~/mine.toml
    assert done.exit_code == 0
    assert "gpumps" in done.stdout


def test_a_folder_that_jobs_cannot_work_in_is_told(tmp_path, monkeypatch):
    config = write("c.toml", "[site]", 'account = "abc123"')
    (tmp_path / "two words").mkdir()
    monkeypatch.chdir(tmp_path / "two words")
    done = evostem("sites", "check", "frontier", "--config", config)
    assert done.exit_code == 2
    assert f"missing: {tmp_path}/two words: jobs can work only in folders of plain names" in done.stdout


# ----- what is refused


@pytest.mark.parametrize("command", ["show", "check", "test"])
def test_a_site_that_there_is_not_is_one_line(command):
    refused(evostem("sites", command, "frontie"), "frontie: no such site, and no such file; did you mean 'frontier'?")
    assert list(Path().iterdir()) == []


@pytest.mark.parametrize("command", ["show", "check"])
def test_a_site_file_that_is_wrong_is_one_line(command):
    write("mine.toml", 'like = "slurm"', 'partition = "gpu"')
    refused(evostem("sites", command, "mine.toml"), "mine.toml: unknown key 'partition'; known are account")
    write("mine.toml", 'like = "mine.toml"')
    refused(evostem("sites", command, "mine.toml"), "mine.toml", "like itself")
    write("mine.toml", "like")
    refused(evostem("sites", command, "mine.toml"), "mine.toml: is not a site file that can be read")


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (["[site"], "is not a TOML file that can be read"),
        (["[site]", "acount = 'x'"], "unknown key 'site.acount'; did you mean 'account'?"),
        (["[site]", "name = 'slurm'"], "unknown key 'site.name'; did you mean 'like'?"),
        (["[site]", "max_blocks = 0"], "'site.max_blocks': "),
        (["[site]", "setup = ['']"], "'site.setup.0': "),
        (["[site]", "scheduler_lines = ['#PBS -x']"], "'site': scheduler_lines: '#PBS -x' does not begin with #SBATCH"),
        (["[search]", "poplation = 3"], "unknown key 'search.poplation'; did you mean 'population'?"),
        (["seed = 'one'"], "'seed': "),
        (["tiles = 3"], "'tiles': "),
    ],
)
def test_a_config_is_blamed_for_what_it_says_and_not_the_site(lines, words):
    config = write("c.toml", *lines)
    refused(evostem("sites", "check", "slurm", "--config", config), f"evostem: {config}: {words}")


def test_the_command_line_is_blamed_for_the_site_that_it_names():
    config = write("c.toml", "[site]", "like = 'lsf'")
    words = "evostem: command line: frontie: no such site, and no such file; did you mean 'frontier'?"
    refused(evostem("sites", "check", "frontie", "--config", config), words)
    config = write("c.toml", "[site]", "like = 'frontie'")
    words = f"evostem: {config}: frontie: no such site, and no such file; did you mean 'frontier'?"
    refused(evostem("run", "movie.tif", "--config", config), words)


def test_a_config_that_there_is_not_is_one_line():
    refused(evostem("sites", "check", "slurm", "--config", "none.toml"), "none.toml: no such file")


# ----- runs


@pytest.fixture
def nothing_starts(monkeypatch):
    """A movie is made at once, and no process is started."""

    def started(*words, **_):
        raise AssertionError(f"started {words}")

    def simulated(movie, truth, _settings):
        movie.parent.mkdir(parents=True)
        movie.write_bytes(b"a movie")
        truth.write_text("x,y,class\n")

    monkeypatch.setattr(subprocess, "Popen", started)
    monkeypatch.setattr(data_prep.simulate, "simulate_movie", simulated)


@pytest.mark.parametrize("command", [("run", "movie.tif"), ("demo",), ("tune", "net.json", "movie.tif")])
@pytest.mark.parametrize("name", MACHINES)
@pytest.mark.usefixtures("nothing_starts")
def test_without_an_account_a_run_is_refused_before_anything_is_done(tmp_path, command, name):
    Path("movie.tif").write_bytes(b"a movie")
    network = Path(__file__).resolve().parents[2] / "examples" / "lenet.json"
    Path("net.json").write_bytes(network.read_bytes())
    done = evostem(*command, "--site", name, "--runs", tmp_path / "runs")
    assert done.exit_code == 2
    assert done.stderr.count("\n") == 1
    assert f"site.account is missing, which {name} needs" in done.stderr
    assert not (tmp_path / "runs" / command[0]).exists()


@pytest.mark.parametrize(
    "command", [("run", "movie.tif", "--site"), ("demo", "--site"), ("sites", "test")], ids=["run", "demo", "test"]
)
@pytest.mark.usefixtures("nothing_starts")
def test_a_refused_run_leaves_nothing_behind(tmp_path, command):
    refused(evostem(*command, "frontier", "--runs", tmp_path / "runs"), "site.account is missing")
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("command", [("run", "movie.tif"), ("demo",)], ids=["run", "demo"])
@pytest.mark.usefixtures("nothing_starts")
def test_a_folder_that_jobs_cannot_work_in_is_refused_before_anything_is_done(tmp_path, command):
    file = write("mine.toml", 'like = "frontier"', 'account = "abc123"')
    done = evostem(*command, "--site", file, "--runs", tmp_path / "my runs")
    refused(done, f"{tmp_path}/my runs/", "jobs can work only in folders of plain names, without blanks")
    assert not (tmp_path / "my runs").exists()


@pytest.mark.usefixtures("nothing_starts")
def test_a_site_file_of_two_words_can_be_tested(tmp_path):
    file = write("my cluster.toml", 'like = "frontier"', 'account = "abc123"')
    done = evostem("sites", "test", file, "--runs", tmp_path / "runs")
    assert "plain names" not in done.stderr  # the run's folder is of our own naming


@pytest.mark.parametrize(("warnings", "status"), [(["", ""], 0), (["", "no copy in /nvme"], 1)])
def test_a_node_that_warns_is_told_by_the_exit_status_of_a_test(tmp_path, monkeypatch, warnings, status):
    def finished(_config, _options, path, _prepare):
        path.mkdir(parents=True)
        with closing(Journal(path / "journal.sqlite")) as journal:
            journal.append(
                Evaluation(Request(i, "evolution", 0, b"", 0), Status.OK, warning=warning, host=f"nid{i}")
                for i, warning in enumerate(warnings)
            )
        return 0

    monkeypatch.setattr("workflow.sites.start", finished)
    done = evostem("sites", "test", "local", "--runs", tmp_path / "runs")
    assert done.exit_code == status
    assert "nid0" in done.stdout
    assert "nid1" in done.stdout


@pytest.mark.parametrize("status", [1, 2, 130])
def test_a_test_that_comes_to_no_end_has_the_status_of_its_run(tmp_path, monkeypatch, status):
    monkeypatch.setattr("workflow.sites.start", lambda *_: status)
    assert evostem("sites", "test", "local", "--runs", tmp_path / "runs").exit_code == status


@pytest.mark.usefixtures("nothing_starts")
def test_without_the_interface_a_run_is_refused(tmp_path, here):
    del here["hsn0"]
    file = write("mine.toml", 'like = "frontier"', 'account = "abc123"')
    done = evostem("run", "movie.tif", "--site", file, "--runs", tmp_path / "runs")
    refused(done, "no network interface 'hsn0' with an address; there are bond0, ib0, lo")
    assert not (tmp_path / "runs").exists()


@pytest.mark.usefixtures("nothing_starts")
def test_a_folder_of_a_site_s_name_does_not_hide_the_site(tmp_path):
    Path("frontier").mkdir()
    done = evostem("run", "movie.tif", "--site", "frontier", "--runs", tmp_path / "runs")
    refused(done, "site.account is missing, which frontier needs")


@pytest.mark.usefixtures("nothing_starts")
def test_a_site_file_of_the_command_line_lies_where_one_is_and_not_beside_the_config(tmp_path):
    write("mine.toml", 'like = "frontier"')
    (tmp_path / "elsewhere").mkdir()
    config = tmp_path / "elsewhere" / "c.toml"
    config.write_text("seed = 3\n")
    done = evostem("run", "movie.tif", "--site", "mine.toml", "--config", config, "--runs", tmp_path / "runs")
    refused(done, f"site.account is missing, which {Path('mine.toml').absolute()} needs")


@pytest.mark.usefixtures("nothing_starts")
def test_fewer_workers_than_gpus_can_be_asked_for(tmp_path):
    done = evostem("run", "movie.tif", "--site", "frontier", "--workers", 4, "--runs", tmp_path / "runs")
    refused(done, "site.account is missing")
