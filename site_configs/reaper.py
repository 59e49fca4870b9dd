"""Cancel a run's jobs when its driver is gone: killed, where nothing of ours could clean up.

`python -m site_configs.reaper LEDGER` waits until its standard input ends, which is when the driver does, however
that came about; see `reaping`. A ledger that is gone by then says that all is cleaned up.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from site_configs.jobs import cancel_jobs, one_at_a_time


@contextmanager
def reaping(ledger: Path, *, jobs: bool = True) -> Iterator[None]:
    """Have a ledger's jobs cancelled when the block ends, and also if this process is killed in it.

    What an earlier life left behind is cancelled first. That is all where there will be no `jobs`, on this machine.
    """
    if jobs or ledger.exists():
        with one_at_a_time(ledger):  # an earlier life's reaper may be at work still
            cancel_jobs(ledger)
    if not jobs:
        yield
        return
    command = [sys.executable, "-m", "site_configs.reaper", str(ledger)]
    # In a session of its own, so that neither Ctrl-C nor the terminal's end reach it.
    reaper = subprocess.Popen(  # noqa: S603
        command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        yield
    finally:
        cancel_jobs(ledger)
        if reaper.stdin is not None:
            reaper.stdin.close()
        reaper.wait()


if __name__ == "__main__":
    with one_at_a_time(Path(sys.argv[1])):  # from its start on: a next life waits for its end
        sys.stdin.buffer.read()
        cancel_jobs(Path(sys.argv[1]))
