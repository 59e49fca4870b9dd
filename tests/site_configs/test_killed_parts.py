"""Each process behind a campaign on this machine is killed, and the campaign goes on."""

import os
import signal
import time
from contextlib import suppress

import psutil
import pytest

from search.evaluation import Status
from tests.clusters.host import wait_until

pytestmark = [
    pytest.mark.htex,
    pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning"),  # Parsl's log
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
SITE = {"workers": 2, "heartbeat_s": 1}


def command_of(process):
    with suppress(psutil.Error):
        return " ".join(process.cmdline())
    return ""


def of_run(folder):
    """All processes that have to do with a run, as a tree has them: parents first."""
    own = [p for p in psutil.process_iter() if p.pid != os.getpid() and str(folder) in command_of(p)]
    with suppress(psutil.Error):
        below = [child for p in own for child in p.children(recursive=True)]
        return sorted(set(own + below), key=lambda p: p.create_time())
    return of_run(folder)


def the(folder, *marks):
    return next(p for p in of_run(folder) if all(mark in command_of(p) for mark in marks))


def shell(folder):
    return the(folder, "/bin/bash -c")  # the job's outermost, whose end is the job's


def script(folder):
    return the(folder, "bash /")


def guard(folder):
    return the(folder, "-m site_configs.guard")


def undertaker(folder):
    return next(child for child in guard(folder).children() if command_of(child).startswith("/bin/sh"))


def pool(folder):
    return next(child for child in guard(folder).children() if "process_worker_pool" in command_of(child))


def tracker(folder):
    return next(child for child in pool(folder).children() if "resource_tracker" in command_of(child))


def server(folder):
    """Of multiprocessing, which the pool starts first."""
    return min((c for c in pool(folder).children() if "spawn_main" in command_of(c)), key=lambda c: c.create_time())


def worker(folder):
    return max((c for c in pool(folder).children() if "spawn_main" in command_of(c)), key=lambda c: c.create_time())


PARTS = [shell, script, guard, undertaker, pool, tracker, server, worker]


def none_left(folder):
    return wait_until(lambda: not of_run(folder), "no process left", 30)


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.__name__)
def test_whatever_part_is_killed_at_work_the_campaign_goes_on(short_campaign, part):
    folder = short_campaign.folder / "parsl"
    evaluations, _ = short_campaign.run(SITE, 30, at={8: lambda: part(folder).kill()})
    assert [e.request.index for e in evaluations] == list(range(30))
    assert {e.status for e in evaluations} == {Status.OK}
    assert short_campaign.repeats() <= 2
    assert none_left(folder)


@pytest.mark.parametrize("part", [worker, server], ids=lambda part: part.__name__)
def test_workers_that_wait_are_not_stuck_when_one_of_them_is_killed(short_campaign, part):
    folder = short_campaign.folder / "parsl"

    def kill():
        time.sleep(1)  # all workers wait for a task now
        part(folder).kill()

    evaluations, _ = short_campaign.run(SITE, 20, before=kill)
    assert [e.request.index for e in evaluations] == list(range(20))
    assert {e.status for e in evaluations} == {Status.OK}
    assert none_left(folder)


def test_a_pool_that_hangs_is_noticed_by_its_silence(short_campaign):
    """All of its workers stand still, while its heartbeats go on."""
    folder = short_campaign.folder / "parsl"

    def stop():
        for child in pool(folder).children():
            if "spawn_main" in command_of(child):
                child.send_signal(signal.SIGSTOP)

    evaluations, _ = short_campaign.run(SITE, 30, at={8: stop}, limit_s=2)
    assert {e.status for e in evaluations} == {Status.OK}
    assert len(evaluations) == 30
    assert any("nothing was heard" in line for line in short_campaign.said)
    assert none_left(folder)


def test_a_campaign_leaves_nothing_in_the_temporary_folder_but_the_copies(short_campaign, tmp_path, monkeypatch):
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.setattr("site_configs.guard.LONGEST_TEMPORARY", 1000)
    short_campaign.run(SITE, 4)
    assert wait_until(lambda: not [one for one in temporary.iterdir() if not one.name.startswith("evostem-0")], "tidy")
