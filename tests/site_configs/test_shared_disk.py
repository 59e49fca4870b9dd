"""The disk with the run's folder is full, or cannot be written, for a while."""

import subprocess
import threading
import time
from contextlib import suppress

import pytest

from search.evaluation import Status
from search.journal import Journal
from tests.site_configs.short_campaign import ShortCampaign

pytestmark = [
    pytest.mark.htex,
    pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning"),  # Parsl's log
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
SITE = {"workers": 2, "heartbeat_s": 1}
WHILE_S = 5.0


def mount(*arguments):
    return subprocess.run(["mount", *map(str, arguments)], capture_output=True, text=True, check=False)


@pytest.fixture
def disk(tmp_path):
    """A small disk of its own."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if mounted := mount("-t", "tmpfs", "-o", "size=4m", "tmpfs", folder).stderr:
        pytest.skip(f"no disk can be mounted here: {mounted.strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def fill(disk):
    with suppress(OSError), (disk / "filling").open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    return (disk / "filling").unlink


@pytest.mark.usefixtures("short_campaign")  # which puts back what is injected
def test_a_disk_that_is_full_for_a_while_costs_nothing_but_time(disk, tmp_path):
    campaign = ShortCampaign(disk)
    (tmp_path / "seconds").write_text("0.2")
    evaluations, _ = campaign.run(SITE, 60, at={10: lambda: threading.Timer(WHILE_S, fill(disk)).start()})
    all_done(evaluations)
    assert any("full" in line and "trying again" in line for line in campaign.said)


def test_a_disk_that_is_read_only_for_a_while_costs_nothing_but_time(short_campaign, monkeypatch):
    """As SQLite tells it: a disk with open files cannot be made so."""
    journals = []
    opened = Journal._open

    def open_it(journal):
        journals.append(journal)
        opened(journal)

    def unlock(text):
        short_campaign.said.append(text)
        if "trying again" in text:
            time.sleep(WHILE_S)
            journals[0]._database.execute("PRAGMA query_only = OFF")

    monkeypatch.setattr(Journal, "_open", open_it)
    short_campaign.say = unlock
    lock = {10: lambda: journals[0]._database.execute("PRAGMA query_only = ON")}
    evaluations, _ = short_campaign.run(SITE, 60, seconds=0.2, at=lock)
    all_done(evaluations)
    assert any("readonly database; trying again" in line for line in short_campaign.said)


def all_done(evaluations):
    assert [e.request.index for e in evaluations] == list(range(60))
    assert {e.status for e in evaluations} == {Status.OK}
