"""Executors, their blocks and time that do what a test says."""

import math

import pytest
from parsl.jobs.states import JobState, JobStatus

import apps.blocks
from apps.blocks import Blocks

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
        self.error = None  # that it raises instead

    def cancel(self, jobs):
        self.cancelled += jobs
        if self.error is not None:
            raise self.error
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
        """As Parsl's: it holds the nodes first, and they stay so where the batch system does not hear."""

        def nodes(block, *, active):
            return [m for m in self._managers.values() if m["block_id"] == block and (m["active"] or not active)]

        def free(block):
            own = nodes(block, active=True)  # of what is held, and what has not come, it believes that it is idle
            return max_idletime is None or all(not m["tasks"] and m["idle_duration"] > max_idletime for m in own)

        assert not self.bad_state_is_set
        given_back = [block for block in self.active if free(block)][:n]
        for block in given_back:
            for manager in nodes(block, active=False):
                manager["active"] = False
        if self.provider.deaf:
            return []
        for block in given_back:
            self.end(block, JobState.SCALED_IN)
        self.scaled_in += given_back
        return given_back

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
    """The time of blocks, which is the test's."""
    clock = FakeClock()
    monkeypatch.setattr(apps.blocks, "time", clock)
    return clock


@pytest.fixture
def site_of(clock):
    """Makes sites whose time is the test's."""

    def make(*, wanted=False, **limits):
        return Site(clock, FakeExecutor(**limits), wanted=wanted)

    return make
