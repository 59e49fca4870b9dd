"""Parsl's interchange, the process between the driver and the workers: given up when it dies or hangs."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import InvalidStateError
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from parsl.executors import HighThroughputExecutor

WATCH_S = 1.0
HUNG_S = 60.0  # an interchange that takes longer to answer never will


class InterchangeLostError(RuntimeError):
    """Parsl's interchange has died: with another one, all can go on."""


def give_up(executor: HighThroughputExecutor, error: Exception) -> None:
    """Fail all that an executor has to do. Parsl's own way stops at a task that comes back in that moment."""
    try:
        executor.set_bad_state_and_fail_all(error)
    except Exception:
        for future in list(executor.tasks.values()):
            with suppress(InvalidStateError):
                future.set_exception(error)


def give_up_dead(executors: Sequence[HighThroughputExecutor], say: Callable[[str], None] = lambda _: None) -> None:
    """Fail what executors have to do whose interchange has died: Parsl would wait for it for ever, at the end too.

    Where others go on, that is said, and the jobs of the dead one are cancelled.
    """
    for executor in executors:
        interchange = executor.interchange_proc
        if interchange is None or executor.bad_state_is_set:
            continue
        if interchange.poll() is None:
            if _answers(executor):
                continue
            interchange.kill()
            interchange.wait()
        dead = InterchangeLostError(f"Parsl's interchange ended with status {interchange.returncode}")
        give_up(executor, dead)
        executor.command_client.ok = False
        # Parsl goes on to ask it, and would stumble before it came to other executors.
        executor.connected_blocks = list  # type: ignore[method-assign]
        for pipe in (executor.command_client, executor.outgoing_q):  # lets those go who wait for it
            pipe.zmq_socket.linger = 0
            pipe.close = pipe.zmq_socket.close  # type: ignore[method-assign]  # only one may end the context
            threading.Thread(target=pipe.zmq_context.term, daemon=True).start()
        if not all(other.bad_state_is_set for other in executors):
            say(f"{dead}; the other executors go on without its nodes")
            with suppress(Exception):  # the reaper will try again
                provider: Any = executor.provider
                provider.cancel(list(executor.job_ids_to_block))


def _answers(executor: HighThroughputExecutor) -> bool:
    """Whether an interchange answers, and its answers are taken in: Parsl's thread for results may have died."""
    results = executor._result_queue_thread  # noqa: SLF001 (Parsl has no public way)
    if results is not None and not results.is_alive():
        return False
    commands = executor.command_client._lock  # noqa: SLF001 (held while an answer is waited for)
    if not commands.acquire(timeout=HUNG_S):
        return False
    commands.release()
    return True


@contextmanager
def watched(executors: Sequence[HighThroughputExecutor], say: Callable[[str], None]) -> Iterator[None]:
    """Look after executors' interchanges during the block."""
    done = threading.Event()

    def watch() -> None:
        while not done.wait(WATCH_S):
            give_up_dead(executors, say)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()
        give_up_dead(executors)
