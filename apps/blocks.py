"""The blocks of nodes behind an executor: asked for, counted, given up where they hang."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from apps.interchange import give_up

if TYPE_CHECKING:
    from parsl.executors import HighThroughputExecutor
    from parsl.jobs.states import JobStatus

log = logging.getLogger("parsl.evostem")
STRIKES = 3  # blocks in a row of which no worker came: there is no sense in more
FRUITLESS = 6  # blocks in a row that ended early, without a single result from any worker
REFUSALS_S = 1800.0  # for so long the batch system may refuse blocks, while there is no worker
BACKOFF_S, LONGEST_BACKOFF_S = 5.0, 300.0  # before the next block after one that was no good; doubled each time
LIVED_S, SHORT_BACKOFF_S = 60.0, 30.0  # a block that lives shorter than that is no good; then one waits so long at most
IDLE_S = 120.0  # a block without a task is given back, if all blocks are not wanted
AGAIN_S = 10.0  # a block that could not be cancelled is cancelled again
TELL_S = 30.0  # without a worker, and then that is told
SAID = 500  # characters of what a batch system or a block complains of
Managers = list[dict[str, Any]]


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
        self._came: dict[str, float] = {}  # blocks of which workers came, and when
        self._good: set[str] = set()  # blocks that have lived
        self._strikes = self._tries = self._fruitless = 0
        self._not_before = 0.0
        self._refused_since: float | None = None
        self._alone_since: float | None = None  # without a worker
        self._cancelled: dict[str, float] = {}  # blocks, and when that was last tried
        executor.block_error_handler = self.look

    @property
    def outstanding(self) -> int:
        """Tasks that are out."""
        return len(self._limits)

    def took(self, task: int, limit_s: float) -> None:
        """A task goes out that takes so many seconds at the most."""
        self._limits[task] = limit_s

    def gave(self, task: int, pool: str) -> None:
        """A task is back, from a pool of workers whose name is not known if it was lost."""
        self._limits.pop(task, None)
        now = time.monotonic()
        if pool:
            self._fruitless = 0
        self._heard = {**self._heard, pool: now} if pool else dict.fromkeys(self._heard.copy(), now)

    def look(self, _executor: object, status: dict[str, JobStatus]) -> None:
        """Count workers, ask for blocks or give them back, give up those that hang."""
        if self.executor.bad_state_is_set:
            self.workers = 0
            return
        managers = self.executor.connected_managers()
        self.workers = sum(m["worker_count"] for m in managers if m["active"] and not m["draining"])
        now = time.monotonic()
        for block in {m["block_id"] for m in managers} - self._came.keys():
            self._came[block] = now
            self._strikes = 0
        there = {block for block, one in status.items() if not one.terminal}
        lived = {m["block_id"] for m in managers if now - self._came[m["block_id"]] > LIVED_S} - self._good
        if lived:
            self._good |= lived
            self._tries = self._fruitless = 0
        if self.workers:
            self.connected.set()
        if self.workers or there:
            self._refused_since = None
        self._learn(status, there, now)
        if self.executor.bad_state_is_set:
            return
        self._tell(len(there), now)
        self._scale(there, managers, now)
        self._give_up_hanging(managers, now)

    def _learn(self, status: dict[str, JobStatus], there: set[str], now: float) -> None:
        """Take in blocks that have ended since the last look: were they of any use?"""
        from parsl.jobs.states import JobState

        ended = {block: status[block] for block in status if status[block].terminal and block not in self._ended}
        self._ended.update(ended)
        of_use = {block: one for block, one in ended.items() if one.state is not JobState.SCALED_IN}
        refused = [one for block, one in of_use.items() if block not in self.executor.blocks_to_job_id]
        missed = [one for block, one in of_use.items() if block not in self._came and one not in refused]
        short = [block for block in of_use if now - self._came.get(block, -math.inf) < LIVED_S]
        if missed:
            self._strikes += 1
            self._wait(f"no worker came of a block{_complaint(missed[-1])}", LONGEST_BACKOFF_S)
            if self._strikes >= STRIKES and not self.workers and not there:
                self._fail(f"no worker came of {STRIKES} blocks in a row{_complaint(missed[-1])}")
        elif refused:
            self._refused_since = self._refused_since or now
            self._wait(f"the batch system takes no job{_complaint(refused[-1])}", LONGEST_BACKOFF_S)
        elif short:
            self._fruitless += 1
            self._wait(f"a block ended early{_complaint(ended[short[-1]])}", SHORT_BACKOFF_S)
            if self._fruitless >= FRUITLESS and not self.workers and not there:
                self._fail(f"{FRUITLESS} blocks in a row ended without a result{_complaint(ended[short[-1]])}")
        if self._refused_since is not None and now - self._refused_since > REFUSALS_S:
            self._fail(f"the batch system has taken no job for {REFUSALS_S / 60:.0f} min")

    def _wait(self, why: str, longest_s: float) -> None:
        """Ask for no block for a while, longer each time."""
        seconds = min(BACKOFF_S * 2 ** min(self._tries, 10), longest_s)
        self._tries += 1
        self._not_before = time.monotonic() + seconds
        self._say(f"{why}; another is asked for in {seconds:.0f} s")

    def _fail(self, why: str) -> None:
        give_up(self.executor, BlocksError(why))

    def _tell(self, blocks: int, now: float) -> None:
        """Say once that there is no worker, if that goes on."""
        if self.workers or not self.outstanding:
            self._alone_since = None
        elif self._alone_since is None:
            self._alone_since = now
        elif 0 < now - self._alone_since > TELL_S:
            self._alone_since = math.inf  # said
            self._say(f"waiting for workers: {blocks} {'job has' if blocks == 1 else 'jobs have'} been asked for")

    def _scale(self, there: set[str], managers: Managers, now: float) -> None:
        """Have as many blocks as are wanted, and no more than can work."""
        provider = self._provider
        slots = max(1, int(self.executor.workers_per_node) * provider.nodes_per_block)
        needed = provider.max_blocks if self.wanted else math.ceil(self.outstanding / slots)
        target = min(max(needed, provider.min_blocks), provider.max_blocks)
        for block in {m["block_id"] for m in managers if not m["active"]} & there:
            self._cancel(block, now)  # again: it is held, and of no use
        if len(there) < target:
            more = 1 if self._tries else target - len(there)  # after one that was no good, the next is an attempt
            if now >= self._not_before and self.executor.scale_out_facade(more):
                self._refused_since = None
            return
        self._refused_since = None
        used = {m["block_id"] for m in managers if m["tasks"] or m["idle_duration"] <= IDLE_S}
        idle = there & {m["block_id"] for m in managers} - used
        if idle and len(there) > target:
            self.executor.scale_in_facade(min(len(idle), len(there) - target), max_idletime=IDLE_S)

    def _give_up_hanging(self, managers: Managers, now: float) -> None:
        """Cancel blocks of a pool that has tasks, sends heartbeats, and no result for longer than any task takes.

        Parsl itself would wait for it for ever. What it had is tried again elsewhere.
        """
        patience = max(self._limits.copy().values(), default=math.inf) + self.executor.heartbeat_threshold
        busy = {m["manager"]: m["block_id"] for m in managers if m["tasks"]}
        heard = self._heard
        self._heard = {pool: heard.get(pool, now) for pool in busy}
        for pool, block in busy.items():
            if now - self._heard[pool] > patience and self._cancel(block, now):
                self._say(f"nothing was heard for {patience:.0f} s from a node that has work; its job is cancelled")

    def _cancel(self, block: str, now: float) -> bool:
        """Cancel a block's job, unless that was tried a moment ago; returns whether it was cancelled."""
        job = self.executor.blocks_to_job_id.get(block)
        if job is None or now - self._cancelled.get(block, -math.inf) < AGAIN_S:
            return False
        self._cancelled[block] = now
        try:
            heard = bool(self._provider.cancel([job])[0])
        except Exception:  # the batch system's fault, which will pass
            log.exception("a block could not be cancelled")
            return False
        if heard:
            self._cancelled[block] = math.inf
        return heard


def _complaint(status: JobStatus) -> str:
    """What a block said before it ended, as ": ..."."""
    text = status.stderr_summary or status.stdout_summary or status.message or ""
    lines = [" ".join(line.split()) for line in text.splitlines() if line.strip()]
    return f": {lines[-1][-SAID:]}" if lines else ""
