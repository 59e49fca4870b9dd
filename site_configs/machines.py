"""Named machines: what is known of each, on top of its kind of batch system. The account is the user's.

Where a number comes from is said beside it: the sites' user guides (OLCF, NERSC, ALCF) and Parsl's own configurations.
"""

from __future__ import annotations

from typing import Any

ONE_NODE_IS_NOT_ALL = "--no-abort-on-failure"  # of PALS's mpiexec, which ends all if one node's pool ends

MACHINES: dict[str, dict[str, Any]] = {
    "summit": {  # OLCF, until 2024
        "like": "lsf",
        "interface": "ib0",  # of the login nodes, as in Parsl's summit.py
        "gpus_per_node": 6,
        "cores_per_node": 42,  # of 44; two are the system's
        "node_local": "/mnt/bb/$USER",  # the burst buffer, by alloc_flags nvme
        # gpumps: several workers can share a GPU; smt1: one hardware thread for each core.
        "scheduler_lines": ['#BSUB -alloc_flags "gpumps smt1 nvme"'],
        "bsub_redirection": False,  # "bsub < script will not work on Summit"
        "needs": ["account"],
    },
    "frontier": {  # OLCF
        "like": "slurm",
        "interface": "hsn0",
        "queue": "batch",
        "gpus_per_node": 8,  # 4 MI250X of two dies each
        "gpu_vendor": "amd",
        "cores_per_node": 56,  # of 64; the first of each L3 cache is the system's
        # The cores nearest to each die, without the reserved ones: "block" would put every worker on others.
        "cpu_affinity": "list:49-55:57-63:17-23:25-31:1-7:9-15:33-39:41-47",
        "scheduler_lines": ["#SBATCH --constraint=nvme"],  # for the node-local disk
        "node_local": "/mnt/bb/$USER",
        "needs": ["account"],
    },
    "perlmutter": {  # NERSC, the nodes with GPUs
        "like": "slurm",
        "interface": "hsn0",
        "qos": "regular",  # else jobs go to debug
        "gpus_per_node": 4,
        "cores_per_node": 128,  # as Slurm counts: hardware threads of 64 cores
        # GPUs count against the cores' order.
        "cpu_affinity": "list:48-63:32-47:16-31:0-15",
        "scheduler_lines": ["#SBATCH --constraint=gpu"],
        "launcher_options": "--gpu-bind=none",  # else a step's control group may hide GPUs
        "needs": ["account"],
    },
    "polaris": {  # ALCF
        "like": "pbs",
        "interface": "bond0",
        "queue": "prod",
        "gpus_per_node": 4,
        "cores_per_node": 64,  # hardware threads of 32 cores
        # Physical cores of each GPU's domain; "block-reverse" over 64 threads would put two workers on the same cores.
        "cpu_affinity": "list:24-31:16-23:8-15:0-7",
        "scheduler_lines": ["#PBS -l filesystems=home:eagle", "#PBS -l place=scatter"],
        "nodes_per_block": 10,  # the queue takes no fewer
        "select_options": "ngpus=4",
        "launcher_options": ONE_NODE_IS_NOT_ALL,
        "node_local": "/local/scratch",
        "needs": ["account", "queue"],
    },
    "aurora": {  # ALCF
        "like": "pbs",
        "interface": "hsn0",
        "queue": "prod",
        "gpus_per_node": 12,  # 6 GPUs of two tiles each
        "gpu_vendor": "intel",
        "cores_per_node": 208,  # hardware threads of 104 cores
        # Without cores 0 and 52, which are the system's.
        "cpu_affinity": "list:1-8:9-16:17-24:25-32:33-40:41-48:53-60:61-68:69-76:77-84:85-92:93-100",
        "scheduler_lines": ["#PBS -l filesystems=home:flare", "#PBS -l place=scatter", "#PBS -k doe"],
        "launcher_options": ONE_NODE_IS_NOT_ALL,
        # Tiles are numbered 0 to 11; the system's own way to count them is 0.0 to 5.1.
        "setup": ["export ZE_FLAT_DEVICE_HIERARCHY=FLAT"],
        "needs": ["account", "queue"],
    },
}
