"""Blocks of which no worker comes, that end early or are refused: others are asked for with patience."""

import pytest
from parsl.jobs.states import JobState, JobStatus

from apps.blocks import (
    BACKOFF_S,
    FRUITLESS,
    LIVED_S,
    LONGEST_BACKOFF_S,
    REFUSALS_S,
    SHORT_BACKOFF_S,
    STRIKES,
    BlocksError,
)
from tests.apps.conftest import LOOK_S


def end_early(site, state=JobState.COMPLETED, *, fruitful=True):
    """Workers of the last block come, give a result or none, and the block ends."""
    block = site.executor.active[-1]
    site.executor.connect(block)
    site.look(LOOK_S)
    site.look_for(LIVED_S / 3)
    site.blocks.took("task", 60.0)
    site.blocks.gave("task", f"{block}/0" if fruitful else "")
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


def test_blocks_in_a_row_that_end_early_and_without_a_result_end_it(site_of):
    site = site_of(most=1, wanted=True)
    site.look()
    for fruitless in range(FRUITLESS):
        assert not site.executor.bad_state_is_set
        assert site.executor.asked == fruitless + 1
        end_early(site, fruitful=False)
        if fruitless < FRUITLESS - 1:
            site.wait_for_a_new_block(longest_s=2 * SHORT_BACKOFF_S)
    assert isinstance(site.executor.executor_exception, BlocksError)
    message = str(site.executor.executor_exception)
    assert message == f"{FRUITLESS} blocks in a row ended without a result: the node is broken"
    site.look_for(2 * LONGEST_BACKOFF_S)
    assert site.executor.asked == FRUITLESS


def test_a_result_now_and_then_is_enough_to_go_on(site_of):
    site = site_of(most=1, wanted=True)
    site.look()
    for number in range(3 * FRUITLESS):
        end_early(site, fruitful=number % (FRUITLESS - 1) == 0)
        site.wait_for_a_new_block(longest_s=2 * SHORT_BACKOFF_S)
    assert not site.executor.bad_state_is_set


def test_blocks_that_end_early_do_not_end_it_while_workers_work(site_of):
    site = site_of(most=2, wanted=True)
    site.look()
    site.executor.connect("0")
    for _ in range(2 * FRUITLESS):
        end_early(site, fruitful=False)
        site.wait_for_a_new_block(longest_s=2 * SHORT_BACKOFF_S)
    assert not site.executor.bad_state_is_set
    assert site.blocks.workers == 2


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
    site = site_of(most=20, wanted=True)
    site.executor.provider.max_blocks = 1
    site.look()
    site.executor.connect("0")
    site.look_for(LIVED_S + 2 * LOOK_S)
    site.executor.provider.max_blocks = 20

    def lose_the_others():
        for block in site.executor.active[1:]:
            site.lose(block)

    site.look_for(1800.0, lose_the_others)
    assert len(site.said) <= 20  # 5 min after the other, at last
    assert site.executor.asked <= 20 + 20


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


def test_strikes_do_not_end_it_while_another_block_waits(site_of):
    """It may be a good one: of two queues or nodes, one may be broken."""
    site = site_of(most=2, wanted=True)
    site.look()
    (waiting, _) = site.executor.active
    for _ in range(2 * STRIKES):
        site.lose(site.executor.active[-1])
        site.look(LOOK_S)
        assert not site.executor.bad_state_is_set
        assert waiting in site.executor.active
        site.wait_for_a_new_block(longest_s=2 * LONGEST_BACKOFF_S)
    for block in site.executor.active:  # none is left, and none was any good
        site.lose(block)
    site.look(LOOK_S)
    assert isinstance(site.executor.executor_exception, BlocksError)


def test_blocks_that_end_early_do_not_end_it_while_another_waits(site_of):
    site = site_of(most=2, wanted=True)
    site.look()
    waiting = site.executor.active[0]
    for _ in range(2 * FRUITLESS):
        end_early(site, fruitful=False)
        assert not site.executor.bad_state_is_set
        site.wait_for_a_new_block(longest_s=2 * SHORT_BACKOFF_S)
    assert waiting in site.executor.active


def test_strikes_do_not_end_it_while_another_block_s_workers_are_on_their_way(site_of):
    site = site_of(most=2, wanted=True)
    site.look()
    site.executor.status_facade["0"] = JobStatus(JobState.RUNNING)
    for _ in range(STRIKES):
        site.lose(site.executor.active[-1])
        site.look(LOOK_S)
        site.wait_for_a_new_block(longest_s=2 * LONGEST_BACKOFF_S)
    assert not site.executor.bad_state_is_set
    site.executor.connect("0")
    site.look_for(LIVED_S + 2 * LOOK_S)
    assert site.blocks.workers == 2


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
