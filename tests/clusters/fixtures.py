"""Fixtures that give a test a cluster: `slurm` and `lsf` for the session, `quiet_slurm` for one test.

Commands of the cluster, and all that the test starts, find it through os.environ.
"""

import contextlib
import fcntl
import os
import shutil
import tempfile
from pathlib import Path

import pytest

from tests.clusters import lsf_cluster
from tests.clusters import slurm as slurm_cluster


@contextlib.contextmanager
def short_root(prefix, cluster):
    """A new folder in /tmp: paths of sockets must be short. Ends what sessions that were killed left there."""
    for old in Path("/tmp").glob(f"{prefix}*"):
        # The kernel lets go of the lock of a session that is no more.
        with contextlib.suppress(OSError), (old / "session").open("r+") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            cluster(old).stop()
            shutil.rmtree(old)
    root = Path(tempfile.mkdtemp(prefix=prefix, dir="/tmp"))
    with (root / "session").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield root
    shutil.rmtree(root)


@contextlib.contextmanager
def running(prefix, cluster):
    with short_root(prefix, cluster) as root, pytest.MonkeyPatch.context() as patch:
        started = cluster(root)
        try:
            started.start()
            for name, value in started.environment.items():
                patch.setenv(name, value)
            yield started
        finally:
            started.stop()


@pytest.fixture(scope="session")
def slurm():
    """A real Slurm of four nodes."""
    if reason := slurm_cluster.missing():
        (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)
    with running("evo-slurm-", slurm_cluster.SlurmCluster) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def lsf():
    """A stand-in for LSF."""
    if reason := lsf_cluster.missing():
        pytest.skip(reason)
    with running("evo-lsf-", lsf_cluster.LsfCluster) as cluster:
        yield cluster


@pytest.fixture
def quiet_slurm(slurm):
    """The Slurm without a job; what the test leaves is cancelled, and nodes that it crashed come back."""
    assert slurm.jobs() == []
    yield slurm
    slurm.reset()
