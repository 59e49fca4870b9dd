"""Sites at the command line: which there are, what they would submit, and whether they work."""

from __future__ import annotations

import time
from collections import defaultdict
from contextlib import closing
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from data_prep.errors import InputError
from search.evaluation import Evaluation, Status
from search.reading import JournalReader
from site_configs.address import loopback
from site_configs.advice import warnings_of
from site_configs.executors import Purpose
from site_configs.script import job_script
from site_configs.settings import SiteSettings
from site_configs.sites import BUILT_IN, missing, site_named
from workflow.config import RunConfig, load_config
from workflow.inputs import plain_name
from workflow.run import BAD_INPUT, FAILED, answer, start
from workflow.run_folder import RunFolder, to_toml
from workflow.search_stage import longest_of

DESCRIPTIONS = {
    "local": "this machine: a worker per GPU, or per core",
    "slurm": "a cluster with Slurm; begin your own site file with it",
    "lsf": "a cluster with IBM Spectrum LSF and jsrun",
    "pbs": "a cluster with PBS Pro and mpiexec",
    "summit": "OLCF, LSF, 6 V100 a node (retired in 2024)",
    "frontier": "OLCF, Slurm, 8 MI250X dies a node",
    "perlmutter": "NERSC, Slurm, 4 A100 a node",
    "polaris": "ALCF, PBS Pro, 4 A100 a node",
    "aurora": "ALCF, PBS Pro, 12 tiles of Intel Max a node",
}


def listed() -> int:
    """Name the sites that are built in; returns the exit status."""
    width = max(map(len, BUILT_IN))
    return answer(lambda: print(*(f"{name:{width}}  {DESCRIPTIONS[name]}" for name in BUILT_IN), sep="\n"))


def shown(site: str) -> int:
    """Print all settings of a site as TOML; returns the exit status."""
    return answer(lambda: print(to_toml(site_named(site).model_dump(mode="json"), "site"), end=""))


def checked(config_file: Path | None, options: dict[str, Any]) -> int:
    """Print a site's script and what is wrong with its settings; returns 0, or 2 if nothing could be submitted."""
    found: list[str] = []
    status = answer(lambda: found.extend(_check(load_config(config_file, {"movie": "any", **options}))))
    return status or (BAD_INPUT if found else 0)


def _check(config: RunConfig) -> list[str]:
    """Check a run's site; returns what is missing."""
    settings, longest_s = config.site, longest_of(config)
    trouble = missing(settings)
    print(_script(settings, longest_s))
    for line in trouble:
        print(f"missing: {line}")
    for line in warnings_of(settings, longest_s):
        print(f"warning: {line}")
    if not trouble:
        print(f"{settings.name}: {_size(settings)}")
    return trouble


def _script(settings: SiteSettings, longest_s: float) -> str:
    """What would be submitted. With an interface that is not here, it is shown with this machine's own address."""
    if not settings.on_cluster:
        return "nothing is submitted: workers start on this machine"
    purpose = Purpose(Path("runs/NAME/parsl").absolute(), longest_s=longest_s)
    try:
        return job_script(settings, purpose)
    except InputError:
        return job_script(settings.model_copy(update={"interface": loopback()}), purpose)


def _size(settings: SiteSettings) -> str:
    """How large a site is."""
    workers = settings.workers_per_node
    each = f"{workers} workers each" if workers else "a worker for each core"
    if not settings.on_cluster:
        return f"{workers} workers"
    return f"{settings.min_blocks} to {settings.max_blocks} jobs of {settings.nodes_per_block} nodes, {each}"


def tested(site: dict[str, Any], minutes: float, runs: Path) -> int:
    """Search for a while on a site with a small simulated movie, and tell of its nodes.

    Returns the exit status: that of the run, or 1 if a node has warned of something.
    """
    from data_prep.simulate import MovieSettings, simulate_movie

    name = f"site_test_{plain_name(Path(site['like']))}_{time.strftime('%Y%m%d_%H%M%S')}"
    folder = RunFolder(runs / name)
    movie = runs / f"{name}_movie" / "tiny.tif"
    options = {
        "movie": str(movie),
        "site": site,
        "search": {"evaluations": 1_000_000, "minutes": minutes, "iterations": 20},
        "tuning": {"random_sets": 0, "chosen_sets": 0},
        "training": {"finalists": 1, "iterations": 20},
    }

    def simulate() -> None:
        settings = MovieSettings(frames=2, size_px=(192, 208), field_nm=6.1, dopant_share=0.06, hole_from_frame=2)
        try:
            simulate_movie(movie, movie.with_suffix(".csv"), settings)
        except OSError as error:
            raise InputError(f"{runs}: cannot hold the movie ({error.strerror}); see --runs") from None

    status = start(None, options, folder.path, simulate)
    if status:
        return status
    evaluations: list[Evaluation] = []

    def tell() -> None:
        with closing(JournalReader(folder.journal)) as journal:
            evaluations.extend(journal.evaluations())
        Console().print(nodes_table(evaluations))

    return answer(tell) or (FAILED if any(evaluation.warning for evaluation in evaluations) else 0)


def nodes_table(evaluations: list[Evaluation]) -> Table:
    """A line for each node: its workers, their GPUs, what they did and what they warned of."""
    table = Table(box=box.SIMPLE_HEAD, title="nodes")
    for column in ("node", "workers", "GPUs", "devices", "networks", "failed", "warnings"):
        table.add_column(column, justify="right" if column in ("workers", "networks", "failed") else "left")
    nodes: dict[str, list[Evaluation]] = defaultdict(list)
    for evaluation in evaluations:
        if evaluation.host:
            nodes[evaluation.host].append(evaluation)
    for node, done in sorted(nodes.items()):
        table.add_row(
            node,
            str(len({e.worker for e in done})),
            ", ".join(sorted({e.gpu for e in done if e.gpu})) or "none",
            ", ".join(sorted({e.device for e in done if e.device})),
            str(len(done)),
            str(sum(e.status is not Status.OK for e in done)),
            "; ".join(sorted({e.warning for e in done if e.warning})) or "none",
        )
    return table
