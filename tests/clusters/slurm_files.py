"""What a Slurm of fake nodes needs on disk before it starts."""

import os
import socket
import stat

from tests.clusters import host

CONFIG = """
ClusterName=evostem
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={root}/run/munge.socket
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
# Believe the node lines below, not this host.
SlurmdParameters=config_overrides
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
GresTypes=gpu
# Look at the queue every second.
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,sched_interval=1,bf_interval=1
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
# A node is pinged every third of SlurmdTimeout and DOWN once it has been silent for all of it.
SlurmdTimeout=6
MessageTimeout=3
TCPTimeout=1
ReturnToService=2
KillWait=3
# Without accounting squeue is all there is: keep a finished job as long as a site does.
MinJobAge=300
StateSaveLocation={root}/state
SlurmctldPidFile={root}/run/slurmctld.pid
SlurmctldLogFile={root}/log/slurmctld.log
SlurmdPidFile={root}/run/slurmd.%n.pid
SlurmdLogFile={root}/log/%n/slurmd.log
SlurmdSpoolDir={root}/run/spool.%n
{nodes}
PartitionName=batch Nodes=ALL Default=YES MaxTime=INFINITE State=UP PriorityTier=1 OverSubscribe=NO
PartitionName=high Nodes=ALL MaxTime=INFINITE State=UP PriorityTier=10 PreemptMode=OFF OverSubscribe=NO
"""
NODE = "NodeName={name} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs=2 RealMemory=2000 Gres=gpu:2"

# An own munged and key: no other cluster's, and none of the system's.
MUNGE = {
    "socket": "run/munge.socket",
    "key-file": "etc/munge.key",
    "log-file": "log/munged.log",
    "pid-file": "run/munged.pid",
    "seed-file": "run/munge.seed",
}


def write(root, nodes):
    for folder in ("etc", "log", "run", "state", "nodes", *(f"log/{node}" for node in nodes)):
        (root / folder).mkdir(parents=True, exist_ok=True)
    for node in nodes:
        (root / "run" / f"spool.{node}").mkdir()
        (root / "nodes" / node).mkdir(mode=0o700)
    # A GPU must be a character device: these are null devices.
    for gpu in range(2):
        os.mknod(root / "run" / f"gpu{gpu}", stat.S_IFCHR | 0o600, os.makedev(1, 3))
    key = root / "etc" / "munge.key"
    key.touch(mode=0o600)
    key.write_bytes(os.urandom(128))
    here, ports = socket.gethostname().split(".")[0], host.free_ports(1 + len(nodes))
    lines = [NODE.format(name=node, host=here, port=port) for node, port in zip(nodes, ports[1:], strict=True)]
    config = CONFIG.format(root=root, host=here, port=ports[0], nodes="\n".join(lines))
    (root / "etc" / "slurm.conf").write_text(config)
    (root / "etc" / "gres.conf").write_text(f"Name=gpu File={root}/run/gpu[0-1]\n")
