"""Each process behind a campaign on this machine is killed, and the campaign goes on."""

import os
import signal
import time
from contextlib import suppress
from functools import partial

import psutil
import pytest

import apps.parsl_apps
from search.evaluation import Status
from tests.clusters.host import carrying, wait_until

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
    """The newest process of a run with these words in its command."""
    return next(p for p in reversed(of_run(folder)) if all(mark in command_of(p) for mark in marks))


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


# Those with the least to do with the others first.
def found(part, folder):
    """A part, if it is there."""
    with suppress(StopIteration, ValueError, psutil.Error):
        return part(folder)
    return None


PARTS = [worker, undertaker, tracker, server, pool, guard, script, shell]


def none_left(folder):
    """All that works for the campaign has it in its environment."""
    return wait_until(lambda: not carrying(f"PYTHONPATH={folder.parent}:"), "no process left", 30)


def test_whatever_part_is_killed_at_work_the_campaign_goes_on(short_campaign):
    folder = short_campaign.folder / "parsl"
    killed = []

    def kill(part):
        wait_until(lambda: found(worker, folder), "a whole tree of processes", 30)
        wait_until(lambda: found(part, folder), part.__name__, 30).kill()
        killed.append(part)

    at = {10 + 15 * number: partial(kill, part) for number, part in enumerate(PARTS)}
    evaluations, _ = short_campaign.run(SITE, 15 * len(PARTS) + 15, at=at)
    assert killed == PARTS
    assert [e.request.index for e in evaluations] == list(range(15 * len(PARTS) + 15))
    assert {e.status for e in evaluations} == {Status.OK}
    assert short_campaign.repeats() <= 2 * len(PARTS)
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


def test_a_pool_that_hangs_is_noticed_by_its_silence(short_campaign, monkeypatch):
    """All of its workers stand still, while its heartbeats go on."""
    monkeypatch.setattr(apps.parsl_apps, "GRACE_S", 2.0)
    monkeypatch.setattr(apps.parsl_apps, "STAGING_S", 1.0)
    folder = short_campaign.folder / "parsl"

    stopped = []

    def stop():
        for child in pool(folder).children():
            if "spawn_main" in command_of(child):
                child.send_signal(signal.SIGSTOP)
                stopped.append(child)

    evaluations, _ = short_campaign.run(SITE, 30, at={8: stop}, limit_s=10)
    # What stood still may be given up as having taken too long, on a busy machine; all others do well.
    late = [e for e in evaluations if e.status is Status.TIMED_OUT]
    assert len(late) <= len(stopped)
    assert {e.status for e in evaluations} - {Status.TIMED_OUT} == {Status.OK}
    assert len(evaluations) == 30
    assert any("nothing was heard" in line for line in short_campaign.said)
    assert none_left(folder)


def test_a_campaign_leaves_nothing_in_the_temporary_folder_but_the_copies(short_campaign, tmp_path, monkeypatch):
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    monkeypatch.setattr("tempfile.tempdir", None)
    short_campaign.run(SITE, 4)
    assert wait_until(lambda: not [one for one in temporary.iterdir() if not one.name.startswith("evostem-0")], "tidy")
