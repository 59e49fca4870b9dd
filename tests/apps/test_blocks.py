"""Blocks: asked for with patience and never too many, given back when idle, given up when they hang."""

import math
from types import SimpleNamespace
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from parsl.executors import HighThroughputExecutor
from parsl.jobs.states import JobState, JobStatus
from parsl.providers import LocalProvider

import apps.blocks
from apps.blocks import BACKOFF_S, IDLE_S, LONGEST_BACKOFF_S, REFUSALS_S, STRIKES, Blocks, BlocksError

THRESHOLD_S = 30.0  # without a heartbeat, and a node is lost
LOOK_S = 2.0  # between looks, as on a cluster


class FakeClock:
    """Stands for the module `time`."""

    def __init__(self):
        self.now = 1000.0

    def monotonic(self):
        return self.now


class FakeProvider:
    """A batch system, as far as Parsl's provider shows it."""

    def __init__(self, least, most, nodes):
        self.min_blocks, self.max_blocks, self.nodes_per_block = least, most, nodes
        self.cancelled = []  # jobs
        self.deaf = False  # whether its cancel command fails

    def cancel(self, jobs):
        self.cancelled += jobs
        return [not self.deaf for _ in jobs]


class FakeExecutor:
    """What `Blocks` uses of Parsl's executor, where a test decides what becomes of blocks."""

    workers_per_node = 2
    heartbeat_threshold = THRESHOLD_S

    def __init__(self, least=0, most=4, nodes=1):
        self.provider = FakeProvider(least, most, nodes)
        self.blocks_to_job_id = {}
        self.status_facade = {}
        self.executor_exception = None
        self.refusal = ""  # what the batch system complains of
        self.asked = 0  # blocks, ever
        self.scaled_in = []
        self._managers = {}

    @property
    def bad_state_is_set(self):
        return self.executor_exception is not None

    def set_bad_state_and_fail_all(self, exception):
        self.executor_exception = exception

    def connected_managers(self):
        return [dict(manager) for manager in self._managers.values()]

    def scale_out_facade(self, n):
        assert not self.bad_state_is_set
        blocks = [str(self.asked + number) for number in range(n)]
        self.asked += n
        for block in blocks:
            if self.refusal:
                message = f"Failed to start block {block}: {self.refusal}"
                self.status_facade[block] = JobStatus(JobState.FAILED, message)
            else:
                self.blocks_to_job_id[block] = f"job-{block}"
                self.status_facade[block] = JobStatus(JobState.PENDING)
        return [] if self.refusal else blocks

    def scale_in_facade(self, n, max_idletime=None):
        def free(block):
            own = [m for m in self._managers.values() if m["block_id"] == block]
            return max_idletime is None or all(not m["tasks"] and m["idle_duration"] > max_idletime for m in own)

        assert not self.bad_state_is_set
        given_back = [block for block in self.active if free(block)][:n]
        for block in given_back:
            self.end(block, JobState.SCALED_IN)
        self.scaled_in += given_back
        return given_back

    def _hold_manager(self, manager):
        self._managers[manager]["active"] = False

    @property
    def active(self):
        return [block for block, status in self.status_facade.items() if not status.terminal]

    def connect(self, block, workers=2):
        """The nodes of a block have come."""
        self.status_facade[block] = JobStatus(JobState.RUNNING)
        for node in range(self.provider.nodes_per_block):
            self._managers[f"{block}/{node}"] = {
                "manager": f"{block}/{node}",
                "block_id": block,
                "worker_count": workers,
                "tasks": 0,
                "idle_duration": 0.0,
                "active": True,
                "draining": False,
            }

    def tell(self, node, **facts):
        """What a node's pool of workers says from now on."""
        self._managers[node].update(facts)

    def end(self, block, state, message=None):
        self.status_facade[block] = JobStatus(state, message)
        self._managers = {name: m for name, m in self._managers.items() if m["block_id"] != block}


class Site:
    """An executor, its blocks, and Parsl's thread that looks after them."""

    def __init__(self, clock, executor, *, wanted=False):
        self.clock, self.executor, self.provider = clock, executor, executor.provider
        self.said = []
        self.blocks = Blocks(executor, self.said.append)
        self.blocks.wanted = wanted

    def look(self, after_s=0.0):
        self.clock.now += after_s
        self.executor.block_error_handler(self.executor, self.executor.status_facade)

    def look_for(self, seconds, act=lambda: None):
        """Looks as often as Parsl takes them; `act` is what happens before each."""
        end = self.clock.now + seconds
        while self.clock.now < end:
            act()
            self.look(LOOK_S)

    def wait_for_a_new_block(self, longest_s):
        """How long it takes until another block is asked for."""
        asked, since = self.executor.asked, self.clock.now
        while self.executor.asked == asked and self.clock.now - since <= longest_s:
            self.look(LOOK_S)
        return self.clock.now - since if self.executor.asked > asked else math.inf

    def lose(self, block):
        """A block ends, and no worker had come of it."""
        self.executor.end(block, JobState.MISSING, "module load is not there")


@pytest.fixture
def clock(monkeypatch):
    clock = FakeClock()
    monkeypatch.setattr(apps.blocks, "time", clock)
    return clock


@pytest.fixture
def site_of(clock):
    """Makes sites whose time is the test's."""

    def make(*, wanted=False, **limits):
        return Site(clock, FakeExecutor(**limits), wanted=wanted)

    return make


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


def test_what_waits_in_the_queue_is_told(site_of):
    site = site_of(most=3, wanted=True)
    site.look()
    assert site.blocks.waiting == 3
    site.lose("1")
    assert site.blocks.waiting == 2


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
def test_a_block_that_is_lost_or_over_is_replaced_at_once(site_of, state):
    site = site_of(most=2, wanted=True)
    site.look()
    for block in "01":
        site.executor.connect(block)
    site.look()
    for lost in "0123456":  # and however many there were
        site.executor.end(lost, state)
        site.look(LOOK_S)
        assert len(site.executor.active) == 2
        site.executor.connect(site.executor.active[-1])
        site.look(LOOK_S)
    assert not site.executor.bad_state_is_set
    assert site.said == []


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


def test_blocks_that_come_to_nothing_do_not_end_it_while_workers_work(site_of):
    site = site_of(most=2, wanted=True)
    site.look()
    site.executor.connect("0")
    site.look()
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
        site.look(LOOK_S)
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
    site.look_for(3 * REFUSALS_S)
    assert not site.executor.bad_state_is_set
    assert site.blocks.workers == 2


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


def test_the_wait_stays_bearable_however_many_blocks_are_refused(site_of):
    """500 blocks at a time, as an executor may have, and the batch system is away for half an hour."""
    site = site_of(most=500, wanted=True)
    site.executor.refusal = "Unable to contact slurm controller"
    site.look()
    waits = [site.wait_for_a_new_block(longest_s=2 * LONGEST_BACKOFF_S) for _ in range(4)]
    assert all(wait >= BACKOFF_S for wait in waits)
    assert all(wait <= LONGEST_BACKOFF_S + 2 * LOOK_S for wait in waits)


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


# The same with Parsl's own executor, where only its interchange and its batch system are ours.


class OwnProvider(LocalProvider):
    """A batch system that does what a test says."""

    status_polling_interval = 0  # asked at each poll

    def __init__(self, most, nodes=1):
        super().__init__(init_blocks=0, min_blocks=0, max_blocks=most)
        self.nodes_per_block = nodes
        self.states, self.commands, self.refusal = {}, [], ""
        self.deaf = False  # whether its cancel command fails

    def submit(self, command, *_):
        self.commands.append(("submit", command))
        if self.refusal:
            raise RuntimeError(self.refusal)
        job = str(len(self.states))
        self.states[job] = JobState.PENDING
        return job

    def status(self, job_ids):
        return [JobStatus(self.states[job]) for job in job_ids]

    def cancel(self, job_ids):
        self.commands.append(("cancel", *job_ids))
        if self.deaf:
            return [False for _ in job_ids]
        self.states.update(dict.fromkeys(job_ids, JobState.CANCELLED))
        return [True for _ in job_ids]


class OwnSite:
    """Parsl's executor, which was never started."""

    def __init__(self, clock, provider):
        self.clock, self.provider = clock, provider
        self.executor = HighThroughputExecutor(
            label="own", provider=provider, address="127.0.0.1", max_workers_per_node=2, block_error_handler=False
        )
        self.executor.launch_cmd = "start {block_id}"
        self.executor.command_client = SimpleNamespace(run=self._answer)
        self.managers, self.came = [], []
        self.blocks = Blocks(self.executor)

    def _answer(self, message):
        if message == "MANAGERS":
            return [dict(manager) for manager in self.managers]
        if message == "CONNECTED_BLOCKS":
            return list(self.came)
        (held,) = [m for m in self.managers if m["manager"] == message[1]]
        held["active"] = False
        return None

    def connect(self, block, **facts):
        self.came.append(block)
        facts = {"worker_count": 2, "tasks": 0, "idle_duration": 0.0, "active": True, "draining": False} | facts
        self.managers.append({"manager": f"{block}/{len(self.managers)}", "block_id": block, **facts})

    def look(self):
        self.executor.handle_errors(self.executor.status_facade)

    def poll(self, seconds=LOOK_S):
        """As Parsl's `JobStatusPoller` does it, if the batch system is to be asked as well."""
        self.clock.now += seconds
        self.executor.poll_facade()
        self.look()

    def active(self):
        return [block for block, status in self.executor.status_facade.items() if not status.terminal]


def test_parsl_itself_gets_blocks_loses_and_replaces_them(clock):
    site = OwnSite(clock, OwnProvider(most=2))
    site.blocks.wanted = True
    site.poll()
    assert site.provider.commands == [("submit", "start 0"), ("submit", "start 1")]
    site.connect("0")
    site.connect("1")
    site.poll()
    assert site.blocks.workers == 4
    site.provider.states["0"] = JobState.FAILED
    del site.managers[0]
    site.poll()
    assert site.active() == ["1", "2"]
    assert site.blocks.workers == 2
    site.blocks.wanted = False
    site.managers[0]["idle_duration"] = IDLE_S + 1
    site.poll()
    site.poll()
    assert site.active() == []
    assert site.provider.states["1"] is JobState.CANCELLED
    assert not site.executor.bad_state_is_set


def test_a_refusal_is_no_strike_even_where_parsl_calls_the_block_missing(clock):
    """Parsl does, if it asks for the states of jobs before it has us look again: slow commands make that so."""
    site = OwnSite(clock, OwnProvider(most=1))
    site.provider.refusal = "sbatch: error: Socket timed out"
    site.blocks.wanted = True
    for _ in range(4 * STRIKES):
        site.poll(seconds=20.0)
    assert len(site.provider.commands) >= STRIKES
    assert site.executor.executor_exception is None
    site.provider.refusal = ""
    site.poll(seconds=LONGEST_BACKOFF_S + 1)
    assert len(site.active()) == 1


def test_the_batch_system_is_not_asked_to_cancel_nothing(clock):
    """Of a block of two nodes one is idle and the other works: there is nothing to give back."""
    site = OwnSite(clock, OwnProvider(most=2, nodes=2))
    site.blocks.wanted = True
    site.poll()
    for block in ("0", "1"):
        site.connect(block, tasks=1)
        site.connect(block, idle_duration=IDLE_S + 1)
    site.blocks.wanted = False
    for task in range(2):
        site.blocks.took(task, math.inf)
    for _ in range(5):
        site.poll()
    assert len(site.active()) == 2
    assert ("cancel",) not in site.provider.commands


def test_a_block_that_could_not_be_given_back_is_replaced_when_work_comes(clock):
    """Parsl has its nodes take no more tasks before it cancels the job, and they never will again."""
    site = OwnSite(clock, OwnProvider(most=1))
    site.blocks.wanted = True
    site.poll()
    site.connect("0")
    site.blocks.wanted = False
    site.managers[0]["idle_duration"] = IDLE_S + 1
    site.provider.deaf = True
    site.poll()
    assert site.provider.commands[-1] == ("cancel", "0")
    assert site.managers[0]["active"] is False
    site.blocks.wanted = True
    site.provider.deaf = False
    for _ in range(100):
        site.poll()
    assert ("submit", "start 1") in site.provider.commands


def test_a_pool_that_hangs_is_given_up_by_parsl_too(clock):
    site = OwnSite(clock, OwnProvider(most=1))
    site.executor.heartbeat_threshold = THRESHOLD_S
    site.blocks.wanted = True
    site.poll()
    site.connect("0", tasks=2)
    site.blocks.took(0, 100.0)
    site.poll()
    site.poll(100.0 + THRESHOLD_S + 1)
    assert ("cancel", "0") in site.provider.commands
    assert site.managers.pop()["active"] is False
    site.poll()
    assert site.active() == ["1"]
