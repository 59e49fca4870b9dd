"""Blocks: asked for with patience and never too many, given back when idle."""

import math
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from parsl.jobs.states import JobState, JobStatus

import apps.blocks
from apps.blocks import (
    BACKOFF_S,
    IDLE_S,
    LIVED_S,
    LONGEST_BACKOFF_S,
    REFUSALS_S,
    SHORT_BACKOFF_S,
    STRIKES,
    TELL_S,
    BlocksError,
)
from tests.apps.conftest import LOOK_S, FakeClock, FakeExecutor, Site


def test_all_blocks_are_asked_for_without_any_task_when_they_are_wanted(site_of):
    site = site_of(most=4, wanted=True)
    site.look()
    assert site.executor.active == ["0", "1", "2", "3"]
    site.look_for(60)
    assert site.executor.asked == 4


def test_without_tasks_there_are_as_many_blocks_as_the_site_always_keeps(site_of):
    site = site_of(least=2, most=4)
    site.look_for(20)
    assert len(site.executor.active) == 2
    nothing = site_of(least=0, most=4)
    nothing.look_for(20)
    assert nothing.executor.asked == 0


@pytest.mark.parametrize(("tasks", "blocks"), [(1, 1), (6, 1), (7, 2), (18, 3), (19, 4), (1000, 4)])
def test_there_are_as_many_blocks_as_tasks_need(site_of, tasks, blocks):
    site = site_of(most=4, nodes=3)  # 6 workers each
    for task in range(tasks):
        site.blocks.took(task, 60.0)
    site.look_for(10)
    assert len(site.executor.active) == blocks


def test_workers_are_counted_where_they_take_tasks(site_of):
    site = site_of(most=4, nodes=2, wanted=True)
    site.look()
    assert not site.blocks.connected.is_set()
    site.executor.connect("0")
    site.executor.connect("1", workers=3)
    site.look()
    assert site.blocks.workers == 2 * 2 + 2 * 3
    assert site.blocks.connected.is_set()
    site.executor.tell("1/0", draining=True)
    site.look()
    assert site.blocks.workers == 2 * 2 + 3
    site.executor.tell("1/1", active=False)
    site.look()
    assert site.blocks.workers == 2 * 2
    site.executor.end("0", JobState.COMPLETED)
    site.look()
    assert site.blocks.workers == 0
    assert site.blocks.connected.is_set()  # there was one


def test_a_task_is_out_until_it_is_given_back(site_of):
    site = site_of()
    site.blocks.took(1, 60.0)
    site.blocks.took(2, 60.0)
    assert site.blocks.outstanding == 2
    site.blocks.gave(1, "0/0")
    site.blocks.gave(1, "0/0")
    assert site.blocks.outstanding == 1
    site.blocks.gave(2, "")
    assert site.blocks.outstanding == 0


@pytest.mark.parametrize(("most", "jobs"), [(3, "3 jobs have"), (1, "1 job has")])
def test_that_no_worker_comes_is_told_once_while_tasks_are_out(site_of, most, jobs):
    site = site_of(most=most, wanted=True)
    site.blocks.took(0, 60.0)
    site.look()
    site.look_for(TELL_S)
    assert site.said == []
    site.look_for(2 * LOOK_S)
    assert site.said == [f"waiting for workers: {jobs} been asked for"]
    site.look_for(20_000)
    assert len(site.said) == 1


def test_only_jobs_that_are_there_are_told_of(site_of):
    site = site_of(most=3, wanted=True)
    site.blocks.took(0, 60.0)
    site.look()
    site.executor.refusal = "QOSMaxSubmitJobPerUserLimit"
    site.executor.end("1", JobState.SCALED_IN)
    site.look_for(TELL_S + 2 * LOOK_S)
    assert [said for said in site.said if said.startswith("waiting")] == [
        "waiting for workers: 2 jobs have been asked for"
    ]


def test_that_no_worker_comes_is_not_told_without_a_task_nor_in_the_first_moments(site_of):
    site = site_of(most=2, wanted=True)
    site.look_for(10 * TELL_S)
    site.blocks.took(0, 60.0)
    site.look_for(TELL_S - LOOK_S)
    site.blocks.gave(0, "")
    site.look(LOOK_S)
    site.blocks.took(1, 60.0)
    site.look_for(TELL_S - LOOK_S)
    site.executor.connect("0")
    site.look_for(10 * TELL_S)
    assert site.said == []


def test_that_all_workers_have_gone_is_told_too(site_of):
    site = site_of(most=1, wanted=True)
    site.blocks.took(0, math.inf)
    site.look_for(TELL_S + 2 * LOOK_S)
    site.executor.connect("0")
    site.look_for(LIVED_S + 2 * LOOK_S)
    site.executor.end("0", JobState.TIMEOUT)
    site.look_for(TELL_S)
    assert len(site.said) == 1
    site.look_for(2 * LOOK_S)
    assert site.said == ["waiting for workers: 1 job has been asked for"] * 2


def test_blocks_are_given_back_only_once_they_are_idle_for_a_while(site_of):
    site = site_of(least=1, most=3, wanted=True)
    site.look()
    for block in "012":
        site.executor.connect(block)
    site.blocks.wanted = False
    for node in ("0/0", "1/0", "2/0"):
        site.executor.tell(node, idle_duration=IDLE_S - 1)
    site.look_for(10)
    assert site.executor.scaled_in == []
    for node in ("0/0", "1/0", "2/0"):
        site.executor.tell(node, idle_duration=IDLE_S + 1)
    site.look_for(20)
    assert len(site.executor.scaled_in) == 2
    assert len(site.executor.active) == 1


def test_a_block_with_a_task_is_not_given_back_nor_any_that_is_wanted(site_of):
    site = site_of(most=2, wanted=True)
    site.look()
    for block in "01":
        site.executor.connect(block)
        site.executor.tell(f"{block}/0", idle_duration=10 * IDLE_S)
    site.look_for(20)
    assert site.executor.scaled_in == []
    site.blocks.wanted = False
    site.blocks.took(0, math.inf)
    site.executor.tell("0/0", tasks=1, idle_duration=0.0)
    site.look_for(20)
    assert site.executor.scaled_in == ["1"]


@pytest.mark.parametrize("state", [JobState.COMPLETED, JobState.FAILED, JobState.TIMEOUT, JobState.CANCELLED])
def test_a_block_that_has_lived_is_replaced_at_once(site_of, state):
    site = site_of(most=2, wanted=True)
    site.look()
    for block in "01":
        site.executor.connect(block)
    site.look()
    for lost in "0123456":  # and however many there were
        site.look_for(LIVED_S)
        site.executor.end(lost, state)
        site.look(LOOK_S)
        assert len(site.executor.active) == 2
        site.executor.connect(site.executor.active[-1])
        site.look(LOOK_S)
    assert not site.executor.bad_state_is_set
    assert site.said == []


def end_early(site, state=JobState.COMPLETED):
    """Workers of the only block come, and the block ends."""
    (block,) = site.executor.active
    site.executor.connect(block)
    site.look(LOOK_S)
    site.look_for(LIVED_S / 3)
    site.executor.end(block, state, "the node is broken")
    site.look(LOOK_S)


@pytest.mark.parametrize("state", [JobState.COMPLETED, JobState.FAILED, JobState.TIMEOUT, JobState.CANCELLED])
def test_after_a_block_that_ends_early_one_waits_and_not_for_long(site_of, state):
    """Else a guard that ends at once, or a node that is broken, would have jobs without number submitted."""
    site = site_of(most=1, wanted=True)
    site.look()
    waits = []
    for _ in range(4 * STRIKES):
        end_early(site, state)
        assert site.executor.active == []
        waits.append(site.wait_for_a_new_block(longest_s=2 * LONGEST_BACKOFF_S))
    assert not site.executor.bad_state_is_set  # workers came, so it is no strike
    assert BACKOFF_S <= waits[0] <= BACKOFF_S + LOOK_S
    assert 2 * BACKOFF_S <= waits[1] <= 2 * BACKOFF_S + LOOK_S
    assert waits == sorted(waits)
    assert SHORT_BACKOFF_S <= waits[-1] <= SHORT_BACKOFF_S + LOOK_S
    assert site.said[0] == "a block ended early: the node is broken; another is asked for in 5 s"
    assert len(site.said) == 4 * STRIKES


def test_after_a_block_that_has_lived_waits_begin_anew(site_of):
    site = site_of(most=1, wanted=True)
    site.look()
    for _ in range(4):
        end_early(site)
        site.wait_for_a_new_block(longest_s=2 * SHORT_BACKOFF_S)
    (good,) = site.executor.active
    site.executor.connect(good)
    site.look_for(LIVED_S + 2 * LOOK_S)
    site.executor.end(good, JobState.TIMEOUT)
    site.look(LOOK_S)
    end_early(site)
    assert site.wait_for_a_new_block(longest_s=2 * SHORT_BACKOFF_S) <= BACKOFF_S + LOOK_S


def test_blocks_that_end_early_make_none_a_strike_in_a_row(site_of):
    site = site_of(most=1, wanted=True)
    site.look()
    for _ in range(2 * STRIKES):
        site.lose(site.executor.active[0])
        site.look(LOOK_S)
        site.wait_for_a_new_block(longest_s=2 * LONGEST_BACKOFF_S)
        end_early(site)
        site.wait_for_a_new_block(longest_s=2 * LONGEST_BACKOFF_S)
    assert not site.executor.bad_state_is_set


def test_a_block_that_is_held_or_unknown_is_not_replaced(site_of):
    site = site_of(most=2, wanted=True)
    site.look()
    site.executor.status_facade["0"] = JobStatus(JobState.HELD)
    site.executor.status_facade["1"] = JobStatus(JobState.UNKNOWN)
    site.look_for(60)
    assert site.executor.asked == 2


def test_three_blocks_in_a_row_of_which_no_worker_came_end_it(site_of):
    site = site_of(most=1, wanted=True)
    site.look()
    waits = []
    for strike in range(STRIKES):
        assert not site.executor.bad_state_is_set
        site.lose(str(strike))
        site.look(LOOK_S)
        if strike < STRIKES - 1:
            waits.append(site.wait_for_a_new_block(longest_s=10 * LONGEST_BACKOFF_S))
    assert isinstance(site.executor.executor_exception, BlocksError)
    message = str(site.executor.executor_exception)
    assert message == "no worker came of 3 blocks in a row: module load is not there"
    assert BACKOFF_S <= waits[0] <= BACKOFF_S + LOOK_S
    assert 2 * BACKOFF_S <= waits[1] <= 2 * BACKOFF_S + LOOK_S
    assert len(site.said) == STRIKES
    assert all("module load is not there" in said for said in site.said)
    site.look_for(2 * LONGEST_BACKOFF_S)
    assert site.executor.asked == STRIKES  # none after that
    assert site.blocks.workers == 0


def test_blocks_that_are_lost_together_are_one_strike_and_one_message(site_of):
    site = site_of(most=4, wanted=True)
    site.look()
    for strike in range(1, STRIKES):
        for block in list(site.executor.active):
            site.lose(block)
        site.look(LOOK_S)
        assert len(site.said) == strike
        site.look_for(4 * BACKOFF_S)
        assert len(site.executor.active) == 4
    assert not site.executor.bad_state_is_set
    for block in list(site.executor.active):
        site.lose(block)
    site.look(LOOK_S)
    assert isinstance(site.executor.executor_exception, BlocksError)


def lose_all(site):
    for block in list(site.executor.active):
        site.lose(block)


def end_all_early(site):
    for block in list(site.executor.active):
        site.executor.connect(block)
    site.look(LOOK_S)
    for block in list(site.executor.active):
        site.executor.end(block, JobState.COMPLETED)


def refuse_one(site):
    """A block is over that has lived, and the next is refused."""
    for block in list(site.executor.active):
        site.executor.connect(block)
    site.look_for(LIVED_S + 2 * LOOK_S)
    for block in list(site.executor.active):
        site.executor.end(block, JobState.COMPLETED)
    site.executor.refusal = "no"
    site.look(LOOK_S)
    site.executor.refusal = ""


@pytest.mark.parametrize("fail", [lose_all, end_all_early, refuse_one])
def test_after_a_wait_one_block_is_asked_for_to_see_whether_it_is_any_good(site_of, fail):
    site = site_of(most=100, wanted=True)
    site.look()
    fail(site)
    site.look(LOOK_S)
    assert site.executor.active == []
    site.wait_for_a_new_block(longest_s=2 * BACKOFF_S)
    assert len(site.executor.active) == 1
    site.executor.connect(site.executor.active[0])
    site.look_for(LIVED_S + 2 * LOOK_S)
    assert len(site.executor.active) == 100


def test_blocks_that_come_to_nothing_do_not_end_it_while_workers_work(site_of):
    site = site_of(most=2, wanted=True)
    site.look()
    site.executor.connect("0")
    site.look_for(LIVED_S + 2 * LOOK_S)
    waits = []
    for _ in range(4 * STRIKES):
        site.lose(site.executor.active[-1])
        site.look(LOOK_S)
        waits.append(site.wait_for_a_new_block(longest_s=2 * LONGEST_BACKOFF_S))
    assert not site.executor.bad_state_is_set
    assert waits == sorted(waits)
    assert waits[-1] <= LONGEST_BACKOFF_S + 2 * LOOK_S
    assert waits[-1] >= LONGEST_BACKOFF_S
    assert site.blocks.workers == 2


def test_a_block_that_works_for_long_does_not_have_others_asked_for_in_masses(site_of):
    """It has lived, which is to its own credit only: of the others none is any good."""
    site = site_of(most=100, wanted=True)
    site.executor.provider.max_blocks = 1
    site.look()
    site.executor.connect("0")
    site.look_for(LIVED_S + 2 * LOOK_S)
    site.executor.provider.max_blocks = 100

    def lose_the_others():
        for block in site.executor.active[1:]:
            site.lose(block)

    site.look_for(3600.0, lose_the_others)
    assert len(site.said) <= 20  # 5 min after the other, at last
    assert site.executor.asked <= 100 + 40


def test_strikes_of_before_do_not_end_it_when_the_workers_have_gone(site_of):
    site = site_of(most=2, wanted=True)
    site.look()
    site.executor.connect("0")
    site.look(LOOK_S)
    for _ in range(2 * STRIKES):
        site.lose(site.executor.active[-1])
        site.look(LOOK_S)
        site.wait_for_a_new_block(longest_s=2 * LONGEST_BACKOFF_S)
    site.executor.end("0", JobState.TIMEOUT)
    site.look_for(2 * LONGEST_BACKOFF_S)
    assert not site.executor.bad_state_is_set
    assert len(site.executor.active) == 2
    for block in site.executor.active:
        site.executor.connect(block)
    site.look(LOOK_S)
    assert site.blocks.workers == 4


def test_a_good_block_makes_up_for_bad_ones(site_of):
    site = site_of(most=1, wanted=True)
    site.look()
    for _ in range(3):
        for _ in range(STRIKES - 1):
            site.lose(site.executor.active[0])
            site.look(LOOK_S)
            assert site.wait_for_a_new_block(longest_s=5 * BACKOFF_S) <= 4 * BACKOFF_S  # it does not grow on and on
        (good,) = site.executor.active
        site.executor.connect(good)
        site.look_for(LIVED_S + 2 * LOOK_S)
        site.executor.end(good, JobState.TIMEOUT)
        site.look(LOOK_S)
        assert len(site.executor.active) == 1
    assert not site.executor.bad_state_is_set


def test_blocks_that_were_given_back_before_they_came_are_no_strikes(site_of):
    site = site_of(most=4, wanted=True)
    site.look()
    for block in list(site.executor.active):
        site.executor.end(block, JobState.SCALED_IN)
    site.look(LOOK_S)
    assert not site.executor.bad_state_is_set
    assert len(site.executor.active) == 4
    assert site.said == []


def test_what_a_block_said_at_last_is_told(site_of, tmp_path):
    site = site_of(most=1, wanted=True)
    site.look()
    stderr = tmp_path / "stderr"
    stderr.write_text("a warning\n\n  bash:   python: \t not found  \n\n")
    site.executor.status_facade["0"] = JobStatus(JobState.MISSING, "marked as MISSING", stderr_path=str(stderr))
    site.look()
    assert site.said == ["no worker came of a block: bash: python: not found; another is asked for in 5 s"]


def test_a_batch_system_that_refuses_is_asked_again_and_later_each_time(site_of):
    site = site_of(most=1, wanted=True)
    site.executor.refusal = "QOSMaxSubmitJobPerUserLimit"
    site.look()
    waits = [site.wait_for_a_new_block(longest_s=2 * LONGEST_BACKOFF_S) for _ in range(8)]
    assert waits[0] >= BACKOFF_S
    assert waits == sorted(waits)
    assert LONGEST_BACKOFF_S <= waits[-1] <= LONGEST_BACKOFF_S + 2 * LOOK_S
    assert not site.executor.bad_state_is_set
    assert "QOSMaxSubmitJobPerUserLimit" in site.said[0]
    site.executor.refusal = ""
    site.wait_for_a_new_block(longest_s=2 * LONGEST_BACKOFF_S)
    assert len(site.executor.active) == 1
    site.look_for(2 * REFUSALS_S)  # in the queue
    assert not site.executor.bad_state_is_set


def test_a_batch_system_that_refuses_for_too_long_ends_it(site_of):
    site = site_of(most=1, wanted=True)
    site.executor.refusal = "invalid account"
    site.look()
    site.look(LOOK_S)
    site.look_for(REFUSALS_S - 2 * LOOK_S)
    assert not site.executor.bad_state_is_set
    site.look_for(LONGEST_BACKOFF_S)
    assert isinstance(site.executor.executor_exception, BlocksError)
    assert "the batch system has taken no job for 30 min" in str(site.executor.executor_exception)
    asked = site.executor.asked
    site.look_for(2 * LONGEST_BACKOFF_S)
    assert site.executor.asked == asked


def test_in_the_look_that_ends_it_nothing_is_asked_for(site_of):
    site = site_of(most=1, wanted=True)
    site.executor.refusal = "invalid account"
    site.look()
    site.look(LOOK_S)
    site.look(2 * REFUSALS_S)
    assert site.executor.bad_state_is_set
    assert site.executor.asked == 1


def test_refusals_do_not_end_it_while_workers_work(site_of):
    site = site_of(most=2, wanted=True)
    site.executor.provider.max_blocks = 1
    site.look()
    site.executor.connect("0")
    site.executor.provider.max_blocks = 2
    site.executor.refusal = "QOSMaxSubmitJobPerUserLimit"
    asked = site.executor.asked
    site.look_for(3 * REFUSALS_S)
    assert not site.executor.bad_state_is_set
    assert site.blocks.workers == 2
    assert site.executor.asked - asked <= 10 + 3 * REFUSALS_S / LONGEST_BACKOFF_S  # and later each time


def test_a_site_that_takes_one_job_at_a_time_goes_on_when_that_job_is_over(site_of):
    """The refusals of all the hours that it worked were right: now there is room for another."""
    site = site_of(most=2, wanted=True)
    site.executor.provider.max_blocks = 1
    site.look()
    site.executor.connect("0")
    site.executor.provider.max_blocks = 2
    site.executor.refusal = "QOSMaxSubmitJobPerUserLimit"
    site.look_for(2 * REFUSALS_S)
    site.executor.end("0", JobState.TIMEOUT)
    site.executor.refusal = ""
    site.look_for(2 * LONGEST_BACKOFF_S)
    assert site.executor.executor_exception is None
    assert site.executor.active != []


def test_refusals_of_long_ago_do_not_end_what_has_asked_for_nothing_since(site_of):
    site = site_of(most=2, wanted=True)
    site.executor.refusal = "the controller is away"
    site.look_for(60)
    site.blocks.wanted = False  # the campaign is over, or was stopped
    site.look_for(2 * REFUSALS_S)
    assert not site.executor.bad_state_is_set
    site.executor.refusal = ""
    site.blocks.took(0, 60.0)
    site.look_for(2 * LONGEST_BACKOFF_S)
    assert len(site.executor.active) == 1


def test_a_job_that_was_taken_makes_up_for_refusals(site_of):
    site = site_of(most=1, wanted=True)
    for _ in range(3):
        site.executor.refusal = "the controller is away"
        site.look_for(REFUSALS_S - 2 * LONGEST_BACKOFF_S)
        assert not site.executor.bad_state_is_set
        site.executor.refusal = ""
        site.look_for(2 * LONGEST_BACKOFF_S)
        (block,) = site.executor.active
        site.executor.end(block, JobState.SCALED_IN)
    assert not site.executor.bad_state_is_set


def test_a_site_that_takes_one_job_at_a_time_may_have_it_wait_for_long(site_of):
    """The second is refused as long as the first is in the queue, and workers will come of that."""
    site = site_of(most=2, wanted=True)
    site.executor.provider.max_blocks = 1
    site.look()
    site.executor.provider.max_blocks = 2
    site.executor.refusal = "QOSMaxSubmitJobPerUserLimit"
    site.look_for(2 * REFUSALS_S)
    assert site.executor.executor_exception is None
    site.executor.connect("0")
    site.look(LOOK_S)
    assert site.blocks.workers == 2


def test_the_wait_stays_bearable_however_many_blocks_are_refused(site_of):
    """500 blocks at a time, as an executor may have, and the batch system is away for half an hour."""
    site = site_of(most=500, wanted=True)
    site.executor.refusal = "Unable to contact slurm controller"
    site.look()
    waits = [site.wait_for_a_new_block(longest_s=2 * LONGEST_BACKOFF_S) for _ in range(4)]
    assert all(wait >= BACKOFF_S for wait in waits)
    assert all(wait <= LONGEST_BACKOFF_S + 2 * LOOK_S for wait in waits)
    assert site.executor.asked == 500 + 4
    assert len(site.said) == 4


def test_nothing_is_done_any_more_once_it_is_over(site_of):
    site = site_of(most=2, wanted=True)
    site.look()
    site.executor.connect("0")
    site.look()
    site.executor.set_bad_state_and_fail_all(RuntimeError("the interchange died"))
    site.executor.connected_managers = None  # asking would wait for ever
    site.executor.end("0", JobState.FAILED)
    site.look_for(600)
    assert site.executor.asked == 2
    assert site.blocks.workers == 0


ACTS = ["connect", "end", "tasks", "idle", "drain", "hold", "refuse", "accept", "want", "do not want", "take", "give"]
STATES = [JobState.MISSING, JobState.FAILED, JobState.COMPLETED, JobState.TIMEOUT, JobState.CANCELLED, JobState.HELD]


class Fate:
    """What a batch system, nodes and a campaign do at random."""

    def __init__(self, site):
        self.site, self.executor, self.tasks = site, site.executor, []

    def happen(self, act, number):
        executor, blocks, active = self.executor, self.site.blocks, self.executor.active
        nodes = [m["manager"] for m in executor.connected_managers()]
        block = active[number % len(active)] if active else None
        node = nodes[number % len(nodes)] if nodes else None
        if act == "connect" and block is not None:
            executor.connect(block, workers=number % 3)
        elif act == "end" and block is not None:
            executor.end(block, STATES[number % len(STATES)])
        elif act == "tasks" and node is not None:
            executor.tell(node, tasks=number % 3)
        elif act == "idle" and node is not None:
            executor.tell(node, tasks=0, idle_duration=40.0 * number)
        elif act in {"drain", "hold"} and node is not None:
            executor.tell(node, **({"draining": True} if act == "drain" else {"active": False}))
        elif act in {"refuse", "accept"}:
            executor.refusal = "no" if act == "refuse" else ""
            executor.provider.deaf = bool(number % 2)
        elif act in {"want", "do not want"}:
            blocks.wanted = act == "want"
        elif act == "take":
            self.tasks.append(object())
            blocks.took(self.tasks[-1], math.inf if number == 0 else 30.0 * number)
        elif act == "give" and self.tasks:
            blocks.gave(self.tasks.pop(number % len(self.tasks)), node or "")


@settings(max_examples=150, deadline=None)
@given(
    limits=st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(1, 2)),
    events=st.lists(
        st.tuples(st.sampled_from(ACTS), st.integers(0, 11), st.sampled_from([0.0, 2.0, 60.0, 400.0])), max_size=60
    ),
)
def test_whatever_happens_there_are_never_too_many_blocks_nor_too_few_by_our_own_doing(limits, events):
    least, more, nodes = limits
    most = max(1, least + more)
    with patch.object(apps.blocks, "time", FakeClock()) as clock:
        site = Site(clock, FakeExecutor(least, most, nodes))
        fate = Fate(site)
        for act, number, seconds in events:
            fate.happen(act, number)
            over, before = site.executor.bad_state_is_set, len(site.executor.active)
            asked, given_back = site.executor.asked, len(site.executor.scaled_in)
            managers = site.executor.connected_managers()
            site.look(seconds)
            assert len(site.executor.active) <= most
            if len(site.executor.scaled_in) > given_back:
                assert least <= len(site.executor.active) < before
            if over:
                assert (site.executor.asked, len(site.executor.scaled_in)) == (asked, given_back)
            takers = [m["worker_count"] for m in managers if m["active"] and not m["draining"]]
            assert site.blocks.workers == (0 if over else sum(takers))
