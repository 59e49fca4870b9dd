"""The blocks of nodes behind an executor: asked for, counted, given up where they hang."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from parsl.executors import HighThroughputExecutor
    from parsl.jobs.states import JobStatus

STRIKES = 3  # blocks in a row of which no worker came: there is no sense in more
REFUSALS_S = 1800.0  # for so long the batch system may refuse blocks
BACKOFF_S, LONGEST_BACKOFF_S = 5.0, 300.0  # after a refusal, or a block of which no worker came; doubled each time
IDLE_S = 120.0  # a block without a task is given back, if all blocks are not wanted
SAID = 500  # characters of what a batch system or a block complains of


class BlocksError(RuntimeError):
    """No worker will come any more; the message says why."""


class Blocks:
    """What Parsl's strategies do not do for us: blocks also for executors that have no task yet, and with patience.

    Parsl calls `look` again and again, in the one thread in which it asks for the state of jobs.
    """

    def __init__(self, executor: HighThroughputExecutor, say: Callable[[str], None] = lambda _: None) -> None:
        self.executor, self._say = executor, say
        self._provider: Any = executor.provider
        self.wanted = False  # whether all blocks are of use, as in a campaign
        self.workers = 0  # that are connected, as of the last look
        self.connected = threading.Event()  # once any worker is
        self._limits: dict[int, float] = {}  # of tasks that are out: seconds that each may take
        self._heard: dict[str, float] = {}  # when a node's pool last gave a result, or was first seen busy
        self._ended: set[str] = set()  # blocks
        self._came: set[str] = set()  # blocks of which workers came
        self._strikes = self._tries = 0
        self._not_before = 0.0
        self._refused_since: float | None = None
        executor.block_error_handler = self.look

    @property
    def outstanding(self) -> int:
        """Tasks that are out."""
        return len(self._limits)

    @property
    def waiting(self) -> int:
        """Blocks that are asked for and not connected."""
        return sum(not status.terminal for status in self.executor.status_facade.values())

    def took(self, task: int, limit_s: float) -> None:
        """A task goes out that takes so many seconds at the most."""
        self._limits[task] = limit_s

    def gave(self, task: int, pool: str) -> None:
        """A task is back, from a pool of workers whose name may be known."""
        self._limits.pop(task, None)
        if pool:
            self._heard[pool] = time.monotonic()

    def look(self, _executor: object, status: dict[str, JobStatus]) -> None:
        """Count workers, ask for blocks or give them back, give up those that hang."""
        if self.executor.bad_state_is_set:
            self.workers = 0
            return
        managers = self.executor.connected_managers()
        self.workers = sum(m["worker_count"] for m in managers if m["active"] and not m["draining"])
        if self.workers:
            self.connected.set()
        if not {m["block_id"] for m in managers} <= self._came:
            self._came.update(m["block_id"] for m in managers)
            self._strikes = self._tries = 0
        self._learn(status)
        if not self.executor.bad_state_is_set:
            self._scale(sum(not one.terminal for one in status.values()), managers)
            self._give_up_hanging(managers)

    def _learn(self, status: dict[str, JobStatus]) -> None:
        """Take in blocks that have ended since the last look: were they of any use?"""
        from parsl.jobs.states import JobState

        ended = [block for block in sorted(status, key=int) if status[block].terminal and block not in self._ended]
        self._ended.update(ended)
        for block in ended:
            one = status[block]
            if one.state is JobState.MISSING:
                self._strikes += 1
                self._wait(f"no worker came of a block{_complaint(one)}")
            elif block not in self.executor.blocks_to_job_id and one.state is JobState.FAILED:
                self._refused_since = self._refused_since or time.monotonic()
                self._wait(f"the batch system takes no job{_complaint(one)}")
        if self.workers:
            return
        if ended and self._strikes >= STRIKES:
            self._fail(f"no worker came of {STRIKES} blocks in a row{_complaint(status[ended[-1]])}")
        elif self._refused_since and time.monotonic() - self._refused_since > REFUSALS_S:
            self._fail(f"the batch system has taken no job for {REFUSALS_S / 60:.0f} min")

    def _wait(self, why: str) -> None:
        """Ask for no block for a while, longer each time."""
        seconds = min(BACKOFF_S * 2**self._tries, LONGEST_BACKOFF_S)
        self._tries += 1
        self._not_before = time.monotonic() + seconds
        self._say(f"{why}; another is asked for in {seconds:.0f} s")

    def _fail(self, why: str) -> None:
        self.executor.set_bad_state_and_fail_all(BlocksError(why))

    def _scale(self, active: int, managers: list[dict[str, Any]]) -> None:
        """Have as many blocks as are wanted, and no more than can work."""
        provider, out = self._provider, self.outstanding
        slots = max(1, int(self.executor.workers_per_node) * provider.nodes_per_block)
        needed = provider.max_blocks if self.wanted else math.ceil(out / slots)
        target = min(max(needed, provider.min_blocks), provider.max_blocks)
        if active < target and time.monotonic() >= self._not_before:
            if self.executor.scale_out_facade(target - active):
                self._refused_since = None
        elif active > target and any(not m["tasks"] and m["idle_duration"] > IDLE_S for m in managers):
            self.executor.scale_in_facade(active - target, max_idletime=IDLE_S)

    def _give_up_hanging(self, managers: list[dict[str, Any]]) -> None:
        """Cancel blocks of a pool that has tasks, sends heartbeats, and no result for longer than any task takes.

        Parsl itself would wait for it for ever. What it had is tried again elsewhere.
        """
        now = time.monotonic()
        patience = max(self._limits.copy().values(), default=math.inf) + self.executor.heartbeat_threshold
        busy = {m["manager"]: m["block_id"] for m in managers if m["tasks"] and m["active"]}
        self._heard = {pool: since for pool, since in self._heard.copy().items() if pool in busy}
        for pool, block in busy.items():
            if now - self._heard.setdefault(pool, now) > patience:
                self._say(f"nothing was heard for {patience:.0f} s from a node that has work; its block is cancelled")
                for other in (m["manager"] for m in managers if m["block_id"] == block):
                    self.executor._hold_manager(other)  # noqa: SLF001 (Parsl has no public way)
                self._provider.cancel([self.executor.blocks_to_job_id[block]])
                return


def _complaint(status: JobStatus) -> str:
    """What a block said before it ended, as ": ..."."""
    text = status.stderr_summary or status.stdout_summary or status.message or ""
    lines = [" ".join(line.split()) for line in text.splitlines() if line.strip()]
    return f": {lines[-1][-SAID:]}" if lines else ""
