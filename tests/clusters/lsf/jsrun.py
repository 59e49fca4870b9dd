#!/usr/bin/env python3
"""A stand-in for jsrun: the tasks of all resource sets run on this host; $FAKE_NODE says on which they would be.

Variables are passed on whether or not -E names them; cores are not bound.
"""

import math
import os
import signal
import subprocess
import sys

from lsf import Refused, options

GPUS_OF_A_HOST = 6
LONG = {"--nrs": "-n", "--rs_per_host": "-r", "--tasks_per_rs": "-a", "--cpu_per_rs": "-c", "--gpu_per_rs": "-g"}
LONG |= {"--bind": "-b", "--launch_distribution": "-d", "--latency_priority": "-l", "--env": "-E"}
VALUES = " ".join(LONG.values()) + " " + " ".join(LONG)


def jsrun(arguments):
    """The highest exit code of all tasks."""
    given, program = options(arguments, "-i --immediate", VALUES)
    given = {LONG.get(name, name): value for name, value in given.items()}
    if "FAKE_LSF_NODES" not in os.environ:
        raise Refused("Error initializing RM connection. Exiting.")
    if not program:
        raise Refused("jsrun: no program given")
    hosts = int(os.environ["FAKE_LSF_NODES"])
    sets = hosts if given.get("-n") == "ALL_HOSTS" else int(given.get("-n", "1"))
    of_a_host = int(given.get("-r", math.ceil(sets / hosts)))
    gpus = GPUS_OF_A_HOST if given.get("-g") == "ALL_GPUS" else int(given.get("-g", "0"))
    if sets > hosts * of_a_host or gpus * of_a_host > GPUS_OF_A_HOST:
        raise Refused(f"jsrun: {sets} resource sets, {of_a_host} of {gpus} GPUs a host, do not fit on {hosts} hosts")
    tasks = []

    def pass_on(number, _):
        for task in tasks:
            task.send_signal(number)

    signal.signal(signal.SIGTERM, pass_on)
    for number in range(sets):
        first = number % of_a_host * gpus
        for _ in range(int(given.get("-a", "1"))):
            mine = {"JSM_NAMESPACE_RANK": str(len(tasks)), "FAKE_NODE": f"h{number // of_a_host + 1}"}
            mine |= {"CUDA_VISIBLE_DEVICES": ",".join(map(str, range(first, first + gpus)))}
            tasks.append(subprocess.Popen(program, env=os.environ | mine))
    return max(task.wait() % 256 for task in tasks)


if __name__ == "__main__":
    try:
        sys.exit(jsrun(sys.argv[1:]))
    except Refused as refused:
        print(refused, file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
