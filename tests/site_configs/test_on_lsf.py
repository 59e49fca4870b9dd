"""Campaigns on a stand-in for LSF: its commands are ours, the scripts that it runs are those of the site."""

import pytest

from search.evaluation import Status
from tests.clusters.host import wait_until

pytestmark = [
    pytest.mark.htex,
    pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning"),  # Parsl's log
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
SITE = {
    "like": "lsf",
    "interface": "lo",
    "account": "abc123",
    "nodes_per_block": 2,
    "max_blocks": 2,
    "gpus_per_node": 2,
    "cores_per_node": 2,
    "heartbeat_s": 1,
    "poll_s": 2,
}


@pytest.fixture
def quiet_lsf(lsf):
    assert lsf.jobs() == []
    yield lsf
    for job in lsf.jobs():
        lsf.run("bkill", job.job_id)
    wait_until(lambda: lsf.jobs() == [], "no job left")


def test_jobs_that_are_killed_or_suspended_cost_what_was_running(quiet_lsf, short_campaign):
    def running():
        return [job.job_id for job in quiet_lsf.jobs() if job.state == "RUN"]

    def kill():
        quiet_lsf.run("bkill", running()[0])

    def suspend():
        (suspended.append(running()[0]))
        quiet_lsf.run("bstop", suspended[0])

    suspended = []
    evaluations, _ = short_campaign.run(SITE, 120, seconds=0.5, at={20: kill, 80: suspend})
    assert [e.request.index for e in evaluations] == list(range(120))
    assert {e.status for e in evaluations} == {Status.OK}
    assert {e.gpu for e in evaluations} == {"0", "1"}
    assert short_campaign.repeats() <= 4 + 4
    assert short_campaign.jobs_noted <= 3  # none came in the place of the suspended one
    wait_until(lambda: quiet_lsf.jobs() == [], "no job left")


@pytest.mark.parametrize("redirected", [True, False], ids=["bsub < FILE", "bsub FILE"])
@pytest.mark.usefixtures("quiet_lsf")
def test_both_ways_to_submit_work(short_campaign, redirected):
    evaluations, _ = short_campaign.run({**SITE, "max_blocks": 1, "bsub_redirection": redirected}, 8)
    assert {e.status for e in evaluations} == {Status.OK}
    assert len(evaluations) == 8
