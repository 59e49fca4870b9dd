"""What others on the machine or the network can see of a campaign: nothing."""

import os
import shutil
import socket
import stat
import subprocess

import psutil
import pytest

from search.evaluation import Status
from tests.clusters.host import wait_until

pytestmark = [
    pytest.mark.htex,
    pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning"),  # Parsl's log
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
LOCAL = {"workers": 2, "heartbeat_s": 1}
SECRET = "correct-horse-battery-staple"


def interface():
    """A network interface of this machine that others reach, if it has one."""
    for name, addresses in psutil.net_if_addrs().items():
        for address in addresses:
            if address.family is socket.AF_INET and address.address != "127.0.0.1":
                return name, address.address
    return "lo", "127.0.0.1"


def listeners():
    """Addresses at which this process and all that it has started listen, as `ss` tells them."""
    if shutil.which("ss") is None:
        pytest.skip("no ss: apt-get install iproute2")
    table = subprocess.run(["ss", "-Hltnp"], capture_output=True, text=True, check=True).stdout
    own = {os.getpid(), *(child.pid for child in psutil.Process().children(recursive=True))}
    rows = [line.split(maxsplit=5) for line in table.splitlines()]
    found = {row[3].rpartition(":")[0] for row in rows if any(f"pid={pid}," in row[-1] for pid in own)}
    return {address.strip("[]").removeprefix("::ffff:") for address in found}


def test_on_this_machine_nothing_listens_to_others(short_campaign):
    found = set()
    short_campaign.run(LOCAL, 12, at={5: lambda: found.update(listeners())})
    assert found == {"127.0.0.1"}


def test_on_a_cluster_only_the_interface_of_the_nodes_is_listened_to(lsf, short_campaign):
    name, address = interface()
    site = {"like": "lsf", "interface": name, "workers": 2, "heartbeat_s": 1, "poll_s": 2}
    found = set()
    evaluations, _ = short_campaign.run(site, 12, at={5: lambda: found.update(listeners())})
    assert {e.status for e in evaluations} == {Status.OK}
    assert found == {"127.0.0.1", address}
    wait_until(lambda: lsf.jobs() == [], "no job left")


def test_keys_are_the_user_s_alone_and_logs_are_small_and_tell_no_secret(short_campaign, monkeypatch):
    monkeypatch.setenv("ACCESS_TOKEN", SECRET)
    folder = short_campaign.folder / "parsl"
    modes = {}

    def look():
        for file in folder.rglob("*.key_secret"):
            modes[file.name] = [stat.S_IMODE(path.stat().st_mode) for path in (file, file.parent)]

    evaluations, _ = short_campaign.run(LOCAL, 300, seconds=0.0, at={5: look})
    assert len(evaluations) == 300
    assert modes
    assert {mode & 0o077 for (_, mode) in modes.values()} == {0}  # the folder that they are in
    written = [file for file in folder.rglob("*") if file.is_file()]
    assert sum(file.stat().st_size for file in written if file.suffix == ".log") / 300 <= 1000
    assert not [file for file in written if SECRET.encode() in file.read_bytes()]
