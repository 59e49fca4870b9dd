"""Blocks: asked for where they are wanted and never too many, counted, given back when idle."""

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
from apps.blocks import BACKOFF_S, IDLE_S, LIVED_S, LONGEST_BACKOFF_S, STRIKES, TELL_S, Blocks
from tests.apps.conftest import LOOK_S, THRESHOLD_S, FakeClock, FakeExecutor, Site


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


def test_a_block_that_is_held_or_unknown_is_not_replaced(site_of):
    site = site_of(most=2, wanted=True)
    site.look()
    site.executor.status_facade["0"] = JobStatus(JobState.HELD)
    site.executor.status_facade["1"] = JobStatus(JobState.UNKNOWN)
    site.look_for(60)
    assert site.executor.asked == 2


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
    site.poll(LIVED_S)
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


def test_parsl_itself_waits_after_a_block_that_ends_early(clock):
    site = OwnSite(clock, OwnProvider(most=1))
    site.blocks.wanted = True
    site.poll()
    site.connect("0")
    site.poll()
    site.provider.states["0"] = JobState.COMPLETED
    del site.managers[0]
    site.poll()
    assert site.active() == []
    site.poll(BACKOFF_S)
    assert site.active() == ["1"]
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
    site.poll()  # its pool counts as there until it has missed its heartbeats
    assert site.active() == ["1"]
    for _ in range(20):
        site.poll()
    assert site.active() == ["1"]
    site.managers.pop()
    site.poll()
    assert site.blocks.workers == 0
    assert not site.executor.bad_state_is_set
