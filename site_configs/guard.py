"""Keep this machine's worker pool running for as long as the driver lives, and not longer.

Started by `local` in front of Parsl's own worker pool:
`python -m site_configs.guard DRIVER_PID RESTARTS COMMAND...`. A pool that dies is started again.
When the driver is gone (killed, where nothing of ours could clean up), the whole process group
of the pool is ended; by itself a pool would work on until its heartbeats fail, and then wait.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

POLL_S = 0.5


def alive(pid: int) -> bool:
    """Whether a process of this number exists."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def guard(driver: int, restarts: int, command: list[str]) -> int:
    """Run a command, again up to `restarts` times if it fails; returns its last exit status."""
    status = 0
    for _ in range(restarts + 1):
        pool = subprocess.Popen(command)  # noqa: S603 (the command is our own)
        while pool.poll() is None:
            if not alive(driver):
                os.killpg(os.getpgrp(), signal.SIGKILL)  # the pool, its workers, and this process
            time.sleep(POLL_S)
        status = pool.returncode
        if status == 0:
            break
    return status


if __name__ == "__main__":
    sys.exit(guard(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]))
