"""Blocks whose workers hang, or are of no use any more: given up, and nothing else."""

import math

from parsl.jobs.states import JobState, JobStatus

from apps.blocks import AGAIN_S, IDLE_S, LIVED_S
from tests.apps.conftest import LOOK_S, THRESHOLD_S


def working(site, limit_s, tasks=2):
    """A site with a block that works: how to have its pool give results."""
    site.look()
    (block,) = site.executor.active
    site.executor.connect(block)
    for task in range(tasks):
        site.blocks.took(task, limit_s)
    site.executor.tell(f"{block}/0", tasks=tasks)
    site.look(LOOK_S)
    return block


def test_a_pool_that_is_silent_for_longer_than_any_task_may_take_has_its_block_cancelled(site_of):
    site = site_of(most=1, wanted=True)
    block = working(site, limit_s=100.0)
    site.look_for(100.0 + THRESHOLD_S - 2 * LOOK_S)
    assert site.provider.cancelled == []
    assert site.blocks.workers == 2
    site.look_for(5 * LOOK_S)
    assert set(site.provider.cancelled) == {f"job-{block}"}
    assert site.said == ["nothing was heard for 130 s from a node that has work; its job is cancelled"]
    assert not site.executor.bad_state_is_set
    site.executor.end(block, JobState.CANCELLED)
    site.look(LOOK_S)
    assert len(site.executor.active) == 1  # another has taken its place


def test_a_job_that_is_cancelled_is_so_once_and_that_is_told_once(site_of):
    """Its pools count as there until they have missed their heartbeats: five minutes, on a cluster."""
    site = site_of(most=1, wanted=True)
    block = working(site, limit_s=100.0)
    site.look_for(100.0 + THRESHOLD_S + 2 * LOOK_S)
    assert site.provider.cancelled == [f"job-{block}"]
    site.executor.status_facade[block] = JobStatus(JobState.CANCELLED)
    site.look_for(5 * THRESHOLD_S)
    assert site.provider.cancelled == [f"job-{block}"]
    assert len(site.said) == 1


def test_the_job_of_a_block_is_cancelled_though_its_other_nodes_work(site_of):
    site = site_of(most=1, nodes=3, wanted=True)
    site.look()
    site.executor.connect("0")
    for node, task in (("0/0", "short"), ("0/1", "hangs")):
        site.blocks.took(task, 50.0)
        site.executor.tell(node, tasks=1)

    def finish_one():
        site.blocks.gave("short", "0/0")
        site.blocks.took("short", 50.0)

    site.look_for(50.0 + THRESHOLD_S + 4 * LOOK_S, finish_one)
    assert set(site.provider.cancelled) == {"job-0"}
    site.executor.end("0", JobState.CANCELLED)
    site.look(LOOK_S)
    assert site.blocks.workers == 0
    assert site.executor.active == ["1"]


def test_a_task_without_limit_may_take_for_ever(site_of):
    site = site_of(most=1, wanted=True)
    working(site, limit_s=100.0)
    site.blocks.took("unlimited", math.inf)
    site.look_for(20_000)
    assert site.provider.cancelled == []
    site.blocks.gave("unlimited", "")
    site.look_for(100.0 + THRESHOLD_S + 4 * LOOK_S)
    assert set(site.provider.cancelled) == {"job-0"}


def test_the_longest_task_that_is_out_says_how_long_silence_may_last(site_of):
    site = site_of(most=1, wanted=True)
    working(site, limit_s=100.0)
    site.blocks.took("long", 1000.0)
    site.look_for(1000.0)
    assert site.provider.cancelled == []


def test_a_pool_that_gives_results_is_left_alone(site_of):
    site = site_of(most=1, wanted=True)
    block = working(site, limit_s=100.0)
    tasks = iter(range(2, 10_000))
    out = [1]

    def finish_one():
        if int(site.clock.now) % 90 < LOOK_S:
            site.blocks.gave(out.pop(), f"{block}/0")
            out.append(next(tasks))
            site.blocks.took(out[-1], 100.0)

    site.look_for(3000, finish_one)
    assert site.provider.cancelled == []


def test_results_of_other_pools_do_not_speak_for_one_that_hangs(site_of):
    site = site_of(most=2, wanted=True)
    site.look()
    for block in "01":
        site.executor.connect(block)
        site.blocks.took(block, 100.0)
        site.executor.tell(f"{block}/0", tasks=1)

    def finish_one():
        site.blocks.gave("1", "1/0")
        site.blocks.took("1", 100.0)

    site.look_for(100.0 + THRESHOLD_S + 4 * LOOK_S, finish_one)
    assert set(site.provider.cancelled) == {"job-0"}


def test_an_idle_pool_may_be_silent_and_its_time_begins_with_its_next_task(site_of):
    site = site_of(most=1, wanted=True)
    site.look()
    site.executor.connect("0")
    site.look_for(5000)
    site.blocks.took(0, 100.0)
    site.executor.tell("0/0", tasks=1)
    site.look_for(100.0)
    site.blocks.gave(0, "0/0")
    site.executor.tell("0/0", tasks=0)
    site.look_for(5000)
    site.blocks.took(1, 100.0)
    site.executor.tell("0/0", tasks=1)
    site.look_for(100.0)
    assert site.provider.cancelled == []


def test_a_pool_whose_worker_was_lost_has_the_whole_time_for_its_next_task(site_of):
    """Nobody has been out for longer than it may be, so nothing hangs."""
    site = site_of(most=1, wanted=True)
    working(site, limit_s=600.0, tasks=1)
    site.look_for(600.0)  # it hung, and was ended by its time limit
    site.blocks.gave(0, "")  # WorkerLost, which names no pool
    site.blocks.took(1, 600.0)  # and the pool has the next one at once
    site.look_for(400.0)
    assert site.provider.cancelled == []


def test_a_worker_that_is_lost_somewhere_gives_all_pools_the_whole_time(site_of):
    """It may have been any pool's. None is given up too early, and those that hang are in the end."""
    site = site_of(most=2, wanted=True)
    site.look()
    for block in "01":
        site.executor.connect(block)
        site.blocks.took(block, 600.0)
        site.executor.tell(f"{block}/0", tasks=1)
    site.look_for(600.0)
    site.blocks.gave("0", "")
    site.blocks.took("2", 600.0)
    site.look_for(600.0)
    assert site.provider.cancelled == []
    site.look_for(THRESHOLD_S + 4 * LOOK_S)
    assert set(site.provider.cancelled) == {"job-0", "job-1"}


def test_a_block_that_hangs_is_cancelled_again_if_the_batch_system_did_not_hear(site_of):
    site = site_of(most=1, wanted=True)
    block = working(site, limit_s=100.0)
    site.provider.deaf = True
    site.look_for(100.0 + THRESHOLD_S + 5 * LOOK_S)
    assert set(site.provider.cancelled) == {"job-0"}
    site.provider.cancelled.clear()
    site.look_for(10 * AGAIN_S)
    assert 8 <= len(site.provider.cancelled) <= 10  # and not with every look
    assert site.said == []  # it is not cancelled yet
    site.provider.deaf = False
    site.provider.cancelled.clear()
    site.look_for(2 * AGAIN_S)  # it still sends heartbeats, and has the tasks
    assert set(site.provider.cancelled) == {f"job-{block}"}
    assert site.said[0].startswith("nothing was heard for 130 s from a node")


def test_a_cancellation_that_breaks_down_does_not_keep_from_looking_on(site_of):
    site = site_of(most=1, wanted=True)
    working(site, limit_s=100.0)
    site.provider.error = KeyError("a job that the provider does not know")
    site.look_for(100.0 + THRESHOLD_S + 10 * AGAIN_S)
    assert len(site.provider.cancelled) > 1
    site.provider.error = None
    site.provider.cancelled.clear()
    site.look_for(2 * AGAIN_S)
    assert set(site.provider.cancelled) == {"job-0"}


def test_a_block_that_is_held_is_cancelled_until_the_batch_system_hears(site_of):
    """Parsl has its nodes take no more tasks before it gives a block back, and they never will again."""
    site = site_of(most=2, wanted=True)
    site.look()
    for block in "01":
        site.executor.connect(block)
        site.executor.tell(f"{block}/0", idle_duration=IDLE_S + 1)
    site.blocks.wanted = False
    site.blocks.took(0, math.inf)
    site.executor.tell("1/0", tasks=1, idle_duration=0.0)
    site.provider.deaf = True
    site.look(LOOK_S)
    assert [m["active"] for m in site.executor.connected_managers()] == [False, True]
    site.look_for(10 * AGAIN_S)
    assert set(site.provider.cancelled) == {"job-0"}
    assert len(site.provider.cancelled) <= 11
    site.executor.end("0", JobState.CANCELLED)
    site.provider.cancelled.clear()
    site.look_for(10 * AGAIN_S)
    assert site.provider.cancelled == []
    assert site.executor.active == ["1"]


def test_a_held_pool_that_hangs_is_cancelled_too(site_of):
    site = site_of(most=1, wanted=True)
    block = working(site, limit_s=100.0)
    site.executor.tell(f"{block}/0", active=False)
    site.provider.deaf = True
    site.look_for(100.0 + THRESHOLD_S + 4 * LOOK_S)
    site.provider.deaf = False
    site.provider.cancelled.clear()
    site.look_for(2 * AGAIN_S)
    assert set(site.provider.cancelled) == {f"job-{block}"}


def test_a_block_that_is_given_up_early_has_no_strike_follow(site_of):
    """It has had workers; what comes in its place is asked for as after any block that ended early."""
    site = site_of(most=1, wanted=True)
    block = working(site, limit_s=1.0)
    site.look_for(1.0 + THRESHOLD_S + 2 * LOOK_S)
    assert set(site.provider.cancelled) == {f"job-{block}"}
    assert 1.0 + THRESHOLD_S + 2 * LOOK_S < LIVED_S
    site.executor.end(block, JobState.CANCELLED)
    site.look(LOOK_S)
    assert site.wait_for_a_new_block(longest_s=100.0) <= 5.0 + LOOK_S


def test_a_node_that_hangs_in_a_job_which_the_batch_system_did_not_own_up_to_stops_nothing(site_of):
    """A submission whose command timed out is a refusal to us, and yet the job may start."""
    site = site_of(most=1, wanted=True)
    site.executor.refusal = "sbatch timed out"
    site.look()
    site.executor.refusal = ""
    site.executor.connect("0")  # but its state is as Parsl has it
    site.executor.status_facade["0"] = JobStatus(JobState.FAILED, "Failed to start block 0")
    site.blocks.took(0, 100.0)
    site.executor.tell("0/0", tasks=1)
    site.look_for(100.0 + THRESHOLD_S + 10 * LOOK_S)
    assert site.executor.active == ["1"]
