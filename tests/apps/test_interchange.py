"""The interchange: given up when it is dead, deaf or of no use, and only then; nobody waits for it after that."""

import subprocess
import sys
import threading
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from types import SimpleNamespace

import pytest
from parsl.executors import HighThroughputExecutor
from parsl.executors.high_throughput.zmq_pipes import CommandClient, TasksOutgoing
from parsl.jobs.job_status_poller import JobStatusPoller
from parsl.jobs.states import JobState
from parsl.providers import LocalProvider

import apps.interchange
from apps.blocks import Blocks
from apps.interchange import InterchangeLostError, give_up, give_up_dead, watched

PORTS = (40000, 50000)
SLEEPER = [sys.executable, "-c", "import time; time.sleep(60)"]


class FakeExecutor:
    """What is used of Parsl's executor, with its own pipes and a process that answers nothing."""

    def __init__(self, process):
        self.interchange_proc = process
        self.command_client = CommandClient("127.0.0.1", PORTS)
        self.outgoing_q = TasksOutgoing("127.0.0.1", PORTS)
        self._result_queue_thread = None
        self.reason = None
        self.failed = 0  # times
        self.job_ids_to_block = {"job-0": "0", "job-1": "1"}
        self.cancelled = []
        self.provider = SimpleNamespace(cancel=self.cancelled.extend)

    @property
    def bad_state_is_set(self):
        return self.reason is not None

    def set_bad_state_and_fail_all(self, exception):
        self.reason = exception
        self.failed += 1

    def shut_down(self):
        """As Parsl's executor does in the end."""
        self.outgoing_q.close()
        self.command_client.close()


def finishes(work, seconds=20):
    """Whether work is done at last; it may hang."""
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(seconds)
    return not thread.is_alive()


@pytest.fixture
def executor_of():
    """Makes executors with an interchange that lives, or has ended with a status."""
    made = []

    def make(status=None):
        command = SLEEPER if status is None else [sys.executable, "-c", f"raise SystemExit({status})"]
        process = subprocess.Popen(command)
        if status is not None:
            process.wait()
        made.append(FakeExecutor(process))
        return made[-1]

    yield make
    for executor in made:
        executor.interchange_proc.kill()
        executor.interchange_proc.wait()
        assert finishes(executor.shut_down)


def ended_thread():
    thread = threading.Thread(target=lambda: None)
    thread.start()
    thread.join()
    return thread


@contextmanager
def held(lock):
    """The lock as held by a thread that waits for an answer."""
    done, has = threading.Event(), threading.Event()

    def hold():
        with lock:
            has.set()
            done.wait(60)

    holder = threading.Thread(target=hold)
    holder.start()
    try:
        assert has.wait(20)
        yield
    finally:
        done.set()
        holder.join()


def test_one_that_lives_is_left_alone(executor_of):
    executor = executor_of()
    results = threading.Event()
    executor._result_queue_thread = threading.Thread(target=results.wait, daemon=True)
    executor._result_queue_thread.start()
    for _ in range(3):
        give_up_dead([executor])
    assert executor.reason is None
    assert executor.interchange_proc.poll() is None
    assert executor.command_client.ok
    assert not executor.command_client._lock.locked()  # it can be asked
    results.set()


def test_one_that_was_not_started_is_left_alone():
    executor = SimpleNamespace(interchange_proc=None, bad_state_is_set=False)
    give_up_dead([executor])


def test_one_that_is_dead_fails_all_that_there_is_to_do(executor_of):
    executor = executor_of(status=3)
    give_up_dead([executor])
    assert isinstance(executor.reason, InterchangeLostError)
    assert "ended with status 3" in str(executor.reason)
    assert not executor.command_client.ok  # so that nobody asks any more


def test_one_that_was_killed_is_given_up(executor_of):
    executor = executor_of()
    executor.interchange_proc.kill()
    executor.interchange_proc.wait()
    give_up_dead([executor])
    assert "status -9" in str(executor.reason)


def test_it_is_given_up_where_nobody_takes_in_its_results(executor_of):
    executor = executor_of()
    executor._result_queue_thread = ended_thread()
    give_up_dead([executor])
    assert isinstance(executor.reason, InterchangeLostError)
    assert executor.interchange_proc.poll() is not None


def test_one_that_never_answers_is_given_up(executor_of, monkeypatch):
    monkeypatch.setattr(apps.interchange, "HUNG_S", 0.1)
    executor = executor_of()
    with held(executor.command_client._lock):
        give_up_dead([executor])
    assert isinstance(executor.reason, InterchangeLostError)
    assert executor.interchange_proc.poll() is not None


def test_one_that_answers_late_is_left_alone(executor_of):
    executor = executor_of()
    with held(executor.command_client._lock):
        looker = threading.Thread(target=give_up_dead, args=[[executor]])
        looker.start()
        assert looker.is_alive()
    looker.join(20)
    assert executor.reason is None
    assert executor.interchange_proc.poll() is None


def test_it_is_given_up_once(executor_of):
    executor = executor_of(status=1)
    for _ in range(3):
        give_up_dead([executor])
    assert executor.failed == 1


def test_the_others_live_on(executor_of):
    executors = [executor_of(), executor_of(status=1), executor_of()]
    give_up_dead(executors)
    assert [executor.bad_state_is_set for executor in executors] == [False, True, False]


def test_that_others_go_on_is_said_and_the_jobs_of_the_dead_one_are_cancelled(executor_of):
    executors, said = [executor_of(), executor_of(status=3)], []
    for _ in range(3):
        give_up_dead(executors, said.append)
    assert said == ["Parsl's interchange ended with status 3; the other executors go on without its nodes"]
    assert [executor.cancelled for executor in executors] == [[], ["job-0", "job-1"]]


def test_of_the_last_one_nothing_is_said_but_by_its_error(executor_of):
    executors, said = [executor_of(status=1), executor_of()], []
    give_up_dead(executors, said.append)
    executors[1].interchange_proc.kill()
    executors[1].interchange_proc.wait()
    give_up_dead(executors, said.append)
    assert [executor.bad_state_is_set for executor in executors] == [True, True]
    assert len(said) == 1


def test_a_batch_system_that_does_not_cancel_keeps_no_other_from_being_given_up(executor_of):
    def fail(_jobs):
        raise OSError("qdel: no answer")

    executors = [executor_of(status=1), executor_of(), executor_of(status=2)]
    executors[0].provider.cancel = fail
    give_up_dead(executors)
    assert [executor.bad_state_is_set for executor in executors] == [True, False, True]
    assert executors[2].cancelled == ["job-0", "job-1"]


def test_whoever_waits_for_its_answer_waits_no_longer(executor_of, monkeypatch):
    monkeypatch.setattr(apps.interchange, "HUNG_S", 0.1)
    executor = executor_of()
    ended = threading.Event()

    def ask():
        with suppress(Exception):
            executor.command_client.run("MANAGERS")
        ended.set()

    asker = threading.Thread(target=ask, daemon=True)
    asker.start()
    while not executor.command_client._lock.locked():
        asker.join(0.01)
    give_up_dead([executor])
    assert ended.wait(20)
    assert isinstance(executor.reason, InterchangeLostError)


def test_it_is_looked_after_during_the_block(executor_of, monkeypatch):
    monkeypatch.setattr(apps.interchange, "WATCH_S", 0.02)
    executor, given_up, said = executor_of(), threading.Event(), []
    fail = executor.set_bad_state_and_fail_all
    executor.set_bad_state_and_fail_all = lambda error: (fail(error), given_up.set())
    with watched([executor], said.append):
        executor.interchange_proc.kill()
        assert given_up.wait(20)
    assert (executor.failed, said) == (1, [])  # nobody goes on


def test_one_that_dies_in_the_last_moment_is_given_up_too(executor_of):
    executor = executor_of()
    with suppress(KeyboardInterrupt), watched([executor], print):
        executor.interchange_proc.kill()
        executor.interchange_proc.wait()
        raise KeyboardInterrupt
    assert isinstance(executor.reason, InterchangeLostError)


class OwnProvider(LocalProvider):
    """A batch system with jobs that wait."""

    status_polling_interval = 1

    def __init__(self):
        super().__init__(init_blocks=0, min_blocks=1, max_blocks=1)
        self.jobs = []

    def submit(self, command, *_):
        self.jobs.append(command)
        return str(len(self.jobs))

    def status(self, job_ids):
        return [SimpleNamespace(state=JobState.PENDING, terminal=False) for _ in job_ids]


def own_executor(label, workers):
    """Parsl's, not started, with a node that is connected."""
    executor = HighThroughputExecutor(label=label, provider=OwnProvider(), address="127.0.0.1")
    executor.launch_cmd = "start {block_id}"
    node = {"manager": label, "block_id": "0", "worker_count": workers, "tasks": 0, "idle_duration": 0.0}
    answers = {"MANAGERS": [{**node, "active": True, "draining": False}], "CONNECTED_BLOCKS": ["0"]}
    executor.command_client = SimpleNamespace(run=answers.get)
    return executor, Blocks(executor)


def test_parsl_looks_after_the_blocks_of_all_executors_though_one_has_lost_its_interchange():
    """Its one thread asks an executor after the other, and begins anew where one of them raises."""
    (first, first_blocks), (second, second_blocks) = own_executor("first", 3), own_executor("second", 5)
    poller = SimpleNamespace(_executors=[first, second], _strategy=SimpleNamespace(strategize=lambda _executors: None))
    JobStatusPoller.poll(poller)
    assert (first_blocks.workers, second_blocks.workers) == (3, 5)
    first.interchange_proc = subprocess.Popen([sys.executable, "-c", ""])
    first.interchange_proc.wait()
    first.command_client, first.outgoing_q = CommandClient("127.0.0.1", PORTS), TasksOutgoing("127.0.0.1", PORTS)
    give_up_dead([first, second])
    assert isinstance(first.executor_exception, InterchangeLostError)
    first._last_poll_time = second._last_poll_time = 0.0  # the batch system's turn
    second.command_client = SimpleNamespace(run={"MANAGERS": [], "CONNECTED_BLOCKS": ["0"]}.get)
    with suppress(Exception):  # as Parsl's timer does
        JobStatusPoller.poll(poller)
    for pipe in (first.command_client, first.outgoing_q):
        pipe.close()
    assert (first_blocks.workers, second_blocks.workers) == (0, 0)  # the second has lost its node


def test_a_task_that_comes_back_in_that_moment_does_not_keep_the_others():
    back, out = Future(), Future()
    back.set_result("done")

    def one_by_one(error):
        for future in (back, out):
            future.set_exception(error)  # as Parsl does it

    executor = SimpleNamespace(tasks={1: back, 2: out}, set_bad_state_and_fail_all=one_by_one)
    give_up(executor, RuntimeError("no more"))
    assert back.result() == "done"
    with pytest.raises(RuntimeError, match="no more"):
        out.result(1)
