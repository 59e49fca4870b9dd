"""What there is to say of a site: a typed section of the TOML."""

from __future__ import annotations

import math
import re
from datetime import time
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

Count = Annotated[int, Field(ge=1)]
AFFINITY = re.compile(r"none|block|block-reverse|alternating|list(:[0-9]+(-[0-9]+)?(,[0-9]+(-[0-9]+)?)*)+")
WALLTIME = re.compile(r"([0-9]{1,4}):([0-5][0-9]):00")  # batch systems count minutes
MARKS = {"slurm": "#SBATCH ", "lsf": "#BSUB ", "pbs": "#PBS "}
HEARTBEATS_MISSED = 5  # in a row, and a node counts as lost


def _walltime(text: str) -> str:
    if not WALLTIME.fullmatch(text) or not seconds_of(text):
        raise ValueError(f"'{text}' is not HH:MM:00, of a minute at least")
    return text


def _text(walltime: object) -> object:
    """TOML takes 02:00:00 without quotes for a time of day."""
    return walltime.isoformat() if isinstance(walltime, time) else walltime


def _listed(lines: object) -> object:
    """One line is a list of one."""
    return [lines] if isinstance(lines, str) else lines


def _one_line(line: str) -> str:
    if not line.isprintable() or line.isspace():
        raise ValueError("is a line of text")
    return line


def _affinity(text: str) -> str:
    if not AFFINITY.fullmatch(text):
        raise ValueError(f"'{text}' is none, block, block-reverse, alternating, or as list:0-7:8-15")
    for part in re.split("[:,]", text):
        first, _, last = part.partition("-")
        if last.isdecimal() and int(first) > int(last):
            raise ValueError(f"'{part}' has no core")
    return text


Line = Annotated[str, Field(min_length=1), AfterValidator(_one_line)]
Lines = Annotated[tuple[Line, ...], BeforeValidator(_listed)]
Options = Annotated[str, AfterValidator(_one_line)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.,@:/+-]+$")]


class SiteSettings(BaseModel):
    """Where the workers are, and how they are started there.

    In TOML, a site is `like` another: "local", "slurm", "lsf", "pbs", a named machine, or a site file of the user's;
    what is given beside goes before what that says. `name` is that of the site, or its file.

    The batch system: `account` (or project), `queue` (or partition), Slurm's `qos`, `walltime` HH:MM:00 of a job,
    `scheduler_lines` (such as "#SBATCH --reservation=june"), `launcher_options` (of srun, jsrun, mpiexec),
    `select_options` (of PBS, such as "ngpus=4");
    `bsub_redirection` is off where `bsub FILE` takes the place of `bsub < FILE`. A job is a block of `nodes_per_block`
    nodes; there are `min_blocks` to `max_blocks`. More than `nodes_per_shard` nodes are parted into executors of at
    most so many, as one alone gets slow with many nodes.

    The workers: on a node `workers`, or `workers_per_gpu` on each of `gpus_per_node` GPUs of `gpu_vendor`, else one for
    `threads_per_worker` of `cores_per_node` cores, as the batch system counts them. `mps`: NVIDIA's multi-process
    service is started on each node, which lets several workers use a GPU at the same time. `cpu_affinity` is
    Parsl's: "block", "block-reverse", "alternating", "none", or the cores for each GPU, as "list:0-7:8-15".

    The nodes: `interface` is the network interface of this machine that nodes reach, `setup` are lines of shell that
    make our Python work there. `node_local` is a folder on each node's own disk, where copies of the tiles are kept
    while a run works: `/mnt/bb/$USER`, `$TMPDIR`, `/dev/shm`. Variables and `~` are those of the node. Not given, it is
    the node's temporary folder; where no copy can be made, workers read the run folder's file.

    Every `heartbeat_s` a node tells that it is alive, every `poll_s` the batch system is asked for its jobs. `needs`
    are settings without which nothing is submitted.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    name: str = "local"
    kind: Literal["local", "slurm", "lsf", "pbs"] = "local"
    account: Name | None = None
    queue: Name | None = None
    qos: Name | None = None
    walltime: Annotated[str, BeforeValidator(_text), AfterValidator(_walltime)] = "01:00:00"
    scheduler_lines: Lines = ()
    select_options: Options = ""
    launcher_options: Options = ""
    bsub_redirection: bool = True
    nodes_per_block: Count = 1
    min_blocks: Annotated[int, Field(ge=0)] = 1
    max_blocks: Count = 1
    nodes_per_shard: Count = 500
    workers: Count | None = None
    gpus_per_node: Annotated[int, Field(ge=0)] | None = None
    gpu_vendor: Literal["nvidia", "amd", "intel"] = "nvidia"
    workers_per_gpu: Count = 1
    threads_per_worker: Count = 1
    cores_per_node: Count | None = None
    cpu_affinity: Annotated[str, AfterValidator(_affinity)] = "block"
    mps: bool = False
    interface: str | None = None
    setup: Lines = ()
    node_local: str | None = None
    heartbeat_s: Count = 5
    poll_s: Count = 2
    needs: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _of_this_batch_system(self) -> SiteSettings:
        mark = MARKS.get(self.kind, "")
        for line in self.scheduler_lines:
            if not line.startswith(mark):
                raise ValueError(f"scheduler_lines: '{line}' does not begin with {mark.strip()}")
        return self

    @model_validator(mode="after")
    def _consistent(self) -> SiteSettings:
        if self.min_blocks > self.max_blocks:
            raise ValueError(f"min_blocks {self.min_blocks} is more than max_blocks {self.max_blocks}")
        listed = len(self.cpu_affinity.split(":")) - 1
        if listed and listed * self.workers_per_gpu < (self.workers_per_node or math.inf):
            raise ValueError(
                f"cpu_affinity lists cores for {listed} GPUs, and there are {self.gpus_per_node or 'more'}"
            )
        unknown = set(self.needs) - set(type(self).model_fields)
        if unknown:
            raise ValueError(f"needs: there is no setting '{min(unknown)}'")
        return self

    @property
    def on_cluster(self) -> bool:
        """Whether workers are on other machines, which a batch system gives."""
        return self.kind != "local"

    @property
    def workers_per_node(self) -> int | None:
        """As asked, else by GPUs, else by cores; None where only the node knows how many cores it has."""
        if self.gpus_per_node:
            most = self.gpus_per_node * self.workers_per_gpu
            return min(self.workers or most, most)
        if self.workers or not self.cores_per_node:
            return self.workers
        return max(1, self.cores_per_node // self.threads_per_worker)

    @property
    def heartbeat_threshold_s(self) -> int:
        """After so long without a heartbeat a node is lost."""
        return HEARTBEATS_MISSED * self.heartbeat_s

    @property
    def walltime_s(self) -> int:
        """Walltime of a job in s."""
        return seconds_of(self.walltime)


def seconds_of(walltime: str) -> int:
    """HH:MM:SS in s."""
    hours, minutes, seconds = map(int, walltime.split(":"))
    return 3600 * hours + 60 * minutes + seconds
