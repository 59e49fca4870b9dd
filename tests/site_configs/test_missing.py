"""What a site lacks, so that nothing can be submitted: said before anything is done."""

import re
import socket
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest

from data_prep.errors import InputError
from site_configs.executors import Purpose
from site_configs.sites import config_for, missing, settings_of, site_named

INTERFACES = ["lo", "ib0", "hsn0", "bond0", "eth0"]
MACHINES = ["summit", "frontier", "perlmutter", "polaris", "aurora"]
CLUSTERS = ["slurm", "lsf", "pbs"]


@pytest.fixture(autouse=True)
def login_node(monkeypatch, tmp_path_factory):
    """The interfaces of all machines, and no command of any batch system."""
    addresses = [
        SimpleNamespace(family=socket.AF_INET6, address="fe80::1"),
        SimpleNamespace(family=socket.AF_INET, address="10.1.2.3"),
    ]
    there = {**dict.fromkeys(INTERFACES, addresses), "ib1": addresses[:1]}  # the last without an IPv4 address
    monkeypatch.setattr("site_configs.address.psutil.net_if_addrs", lambda: there)
    monkeypatch.setenv("PATH", str(tmp_path_factory.mktemp("bin")))
    monkeypatch.chdir("/")
    return there


def write(path, *lines):
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n".join([*lines, ""]))
    return path


@pytest.fixture
def no_process(monkeypatch):
    """Nothing is started, nor asked for."""

    def started(*words, **_):
        raise AssertionError(f"started {words}")

    monkeypatch.setattr(subprocess, "Popen", started)


def told(settings, tmp_path):
    """What is missing, which is also why there is no configuration."""
    lines = missing(settings)
    with pytest.raises(InputError, match=f"^{re.escape(lines[0])}$"):
        config_for(settings, Purpose(tmp_path / "parsl"))
    assert list(tmp_path.iterdir()) == []
    return lines


@pytest.mark.parametrize("name", MACHINES)
@pytest.mark.usefixtures("no_process")
def test_without_an_account_nothing_is_submitted(tmp_path, name):
    (line,) = told(site_named(name), tmp_path)
    assert line == f"site.account is missing, which {name} needs: set it in [site] of --config, or in the site's file"
    assert missing(settings_of({"like": name, "account": "abc123"}, "test")) == []


@pytest.mark.parametrize("kind", CLUSTERS)
@pytest.mark.parametrize("needs", [{}, {"needs": []}, {"needs": ["interface", "interface"]}, {"interface": ""}])
@pytest.mark.usefixtures("no_process")
def test_no_cluster_does_without_an_interface_whatever_it_says_to_need(tmp_path, kind, needs):
    site = settings_of({"like": kind, "cores_per_node": 64, **needs}, "test")
    (line,) = told(site, tmp_path)
    assert line.startswith(f"site.interface is missing, which {kind} needs")
    assert missing(site.model_copy(update={"interface": "ib0"})) == []


@pytest.mark.usefixtures("no_process")
def test_pbs_is_to_know_a_node_s_cores_as_it_would_give_one(tmp_path):
    lines = told(site_named("pbs"), tmp_path)
    assert [line.split()[0] for line in lines] == ["site.cores_per_node", "site.interface"]


@pytest.mark.usefixtures("no_process")
def test_an_interface_that_is_not_here_is_told_with_those_that_are(tmp_path, login_node):
    del login_node["hsn0"]
    (line,) = told(settings_of({"like": "frontier", "account": "abc123"}, "test"), tmp_path)
    assert line == (
        "site.interface: this machine has no network interface 'hsn0' with an address; there are bond0, eth0, ib0, lo"
    )
    assert [said.split()[0] for said in missing(site_named("frontier"))] == ["site.account", "site.interface:"]
    assert "'ib1'" in missing(settings_of({"like": "slurm", "interface": "ib1"}, "test"))[0]


def test_what_a_site_of_one_s_own_needs_is_asked_for(tmp_path):
    file = write(tmp_path / "cluster.toml", 'like = "slurm"', 'interface = "ib0"', 'needs = ["qos", "setup"]')
    lines = missing(site_named(str(file)))
    assert [line.split()[0] for line in lines] == ["site.qos", "site.setup"]
    assert f"which {file} needs" in lines[0]


FOLDERS = ["/runs/two words", "/runs/a\tb", "/runs/a\nb", " ", *(f"/runs/a{c}b" for c in "%$'\"\\`*?~#!;&|<>(){}[]^é")]


@pytest.mark.parametrize("kind", CLUSTERS)
@pytest.mark.parametrize("folder", FOLDERS)
def test_jobs_do_not_work_in_a_folder_whose_name_is_changed_on_the_way(tmp_path, kind, folder):
    site = settings_of({"like": kind, "interface": "ib0", "cores_per_node": 64}, "test")
    (line,) = missing(site, tmp_path / folder)
    assert line.startswith(f"{tmp_path / folder}: jobs can work only in folders of plain names, without blanks")
    with pytest.raises(InputError, match="folders of plain names"):
        config_for(site, Purpose(tmp_path / folder))
    assert missing(site, tmp_path / "runs" / "Demo-1_a.b+c@d=e,f") == []


def test_pbs_would_take_the_part_before_a_colon_for_a_machine():
    # qsub(1): "-o path_name: ... [hostname:]path_name"
    site = settings_of({"like": "polaris", "account": "abc123"}, "test")
    (line,) = missing(site, Path("/runs/12:30"))
    assert "/runs/12:30" in line


def test_a_run_in_a_folder_relative_to_a_bad_one_is_refused_too(tmp_path, monkeypatch):
    (tmp_path / "two words").mkdir()
    monkeypatch.chdir(tmp_path / "two words")
    site = settings_of({"like": "slurm", "interface": "ib0"}, "test")
    assert "two words" in missing(site)[0]
    assert "two words/runs/demo" in missing(site, Path("runs/demo"))[0]


def test_this_machine_lacks_nothing():
    assert missing(settings_of({"interface": "eth7", "needs": ["account"]}, "test"), Path("/two words/run")) == []
