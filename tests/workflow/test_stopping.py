"""Ctrl-C in a campaign, and SIGTERM anywhere."""

import os
import signal
from concurrent.futures import Future
from contextlib import closing

import pytest

from search.budget import Budget
from search.campaign import Crew, run_campaign
from search.evaluation import Evaluation, Status
from search.evolution import Evolution
from search.journal import Journal
from workflow.stopping import first_ctrl_c, terminated_as_interrupted


def test_the_first_ctrl_c_finishes_what_runs_and_a_later_life_goes_on(tmp_path):
    waiting, said = [], []
    before = signal.getsignal(signal.SIGINT)

    def evaluator(request):
        waiting.append((Future(), request))
        if len(waiting) == 12:
            os.kill(os.getpid(), signal.SIGINT)
        return waiting[-1][0]

    def finish(stopping):
        def stop():
            # A round after the wish to stop, and all along without one, networks come back.
            asked = stopping()
            for future, request in waiting if asked else waiting[:-2]:
                if not future.done():
                    future.set_result(Evaluation(request, Status.OK, fitness=0.5))
            return asked

        return stop

    with closing(Journal(tmp_path / "journal.sqlite")) as journal:
        crew = Crew(lambda: 3)
        with first_ctrl_c(said.append) as stopping:
            args = (Evolution(4, 1), stopping.watching(evaluator), journal, Budget(100), crew, lambda _: None)
            assert run_campaign(*args, finish(stopping)) == ""
            assert stopping.asked
        assert journal.count() == len(waiting) < 16
    assert signal.getsignal(signal.SIGINT) == before
    (line,) = said
    assert "being finished; Ctrl-C again stops at once" in line


def test_the_second_ctrl_c_interrupts():
    with pytest.raises(KeyboardInterrupt), first_ctrl_c(lambda _: None) as stopping:  # noqa: PT012
        os.kill(os.getpid(), signal.SIGINT)
        assert stopping()
        os.kill(os.getpid(), signal.SIGINT)


def test_what_still_runs_is_counted():
    said = []
    futures = [Future(), Future()]
    with first_ctrl_c(said.append) as stopping:
        submit = stopping.watching(lambda _: futures.pop())
        first = submit(None)
        submit(None)
        assert not stopping()
        first.set_result(None)
        os.kill(os.getpid(), signal.SIGINT)
        assert stopping()
        assert stopping()
    assert said == ["stopping: 1 network that is running is being finished; Ctrl-C again stops at once"]


def test_sigterm_is_an_interrupt():
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt), terminated_as_interrupted():
        os.kill(os.getpid(), signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) == before
