"""Blocks whose workers hang, or are of no use any more: given up, and nothing else."""

import math

from parsl.jobs.states import JobState, JobStatus

from apps.blocks import AGAIN_S, IDLE_S
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
    assert site.said[0].startswith("nothing was heard for 130 s from a node")
    assert not site.executor.bad_state_is_set
    site.executor.end(block, JobState.CANCELLED)
    site.look(LOOK_S)
    assert len(site.executor.active) == 1  # another has taken its place


def test_all_nodes_of_a_block_that_is_cancelled_take_no_more_tasks(site_of):
    site = site_of(most=1, nodes=3, wanted=True)
    site.look()
    site.executor.connect("0")
    site.blocks.took(0, 50.0)
    site.executor.tell("0/1", tasks=1)
    site.look_for(50.0 + THRESHOLD_S + 4 * LOOK_S)
    assert set(site.provider.cancelled) == {"job-0"}
    assert [m["active"] for m in site.executor.connected_managers()] == [False] * 3
    assert site.blocks.workers == 0


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


def test_a_block_that_hangs_is_cancelled_again_if_the_batch_system_did_not_hear(site_of):
    site = site_of(most=1, wanted=True)
    working(site, limit_s=100.0)
    site.provider.deaf = True
    site.look_for(100.0 + THRESHOLD_S + 5 * LOOK_S)
    assert set(site.provider.cancelled) == {"job-0"}
    site.provider.deaf = False
    site.provider.cancelled.clear()
    site.look_for(1000.0)  # it still sends heartbeats, and has the tasks
    assert set(site.provider.cancelled) == {"job-0"}


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
