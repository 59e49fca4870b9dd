"""Blocks of Parsl's own executor, where only its interchange and its batch system are ours."""

import math
from types import SimpleNamespace

from parsl.executors import HighThroughputExecutor
from parsl.jobs.states import JobState, JobStatus
from parsl.providers import LocalProvider

from apps.blocks import IDLE_S, LIVED_S, LONGEST_BACKOFF_S, STRIKES, Blocks
from tests.apps.conftest import LOOK_S, THRESHOLD_S


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
