"""The command line."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Find the neural network that best detects the defects in a STEM movie, and map them all.",
)
# Paths are readable=False: that one cannot be read is said in one line where it is opened.
PixelSize = Annotated[float | None, typer.Option(help="Pixel size in nm, if the file has none or a wrong one.")]
Dataset = Annotated[str | None, typer.Option(help="Dataset or detector to take, where the file holds several.")]
RunPath = Annotated[Path, typer.Argument(metavar="RUN", readable=False, help="The run's folder, such as runs/demo.")]
Name = Annotated[str | None, typer.Option(help="Name of the run's folder.")]
Runs = Annotated[Path, typer.Option(readable=False, help="Where run folders are.")]
ConfigFile = Annotated[Path | None, typer.Option(readable=False, help="TOML file with further settings.")]
Workers = Annotated[int | None, typer.Option(help="Workers on a node; by default one per GPU, or per core.")]
Site = Annotated[
    str | None, typer.Option(help="Where the workers are: a name of `evostem sites list`, or your own site file.")
]
RUNS = Path("runs")

# What `run` and `tune` take.
LearntMovie = Annotated[Path, typer.Argument(readable=False, help="The movie, or image, with the labelled frame.")]
Labels = Annotated[
    Path | None,
    typer.Option(readable=False, help="Labels: CSV, mask image, ImageJ ROIs; without, the Fourier method labels."),
]
Apply = Annotated[
    list[Path] | None, typer.Option(readable=False, help="Another movie to find defects in. May be repeated.")
]
Truth = Annotated[
    list[Path] | None,
    typer.Option(readable=False, help="Truth to score against, in the same forms, one for each --apply."),
]
Defects = Annotated[str | None, typer.Option(help="Classes that are defects, separated by commas.")]
Legend = Annotated[
    str | None, typer.Option(help="What a mask's colours or indices are: vacancy=#ff0000,dopant=#00ff00.")
]
FrameInterval = Annotated[
    float | None, typer.Option(help="Time between frames in s, if the file has none or a wrong one.")
]
Predictor = Annotated[
    Literal["trees", "svm", "tpe", "random"] | None,
    typer.Option(help="What chooses the sets of hyperparameters; by default trees."),
]
Seed = Annotated[int | None, typer.Option(help="Seed of all that is random.")]


@app.command()
def run(
    movie: LearntMovie,
    labels: Labels = None,
    apply: Apply = None,
    truth: Truth = None,
    defects: Defects = None,
    legend: Legend = None,
    name: Name = None,
    runs: Runs = RUNS,
    config: ConfigFile = None,
    pixel_size: PixelSize = None,
    frame_interval: FrameInterval = None,
    dataset: Dataset = None,
    predictor: Predictor = None,
    site: Site = None,
    workers: Workers = None,
    seed: Seed = None,
) -> None:
    """Learn from one labelled frame and map the defects in all others. Run it again to go on."""
    _start(None, **locals())


@app.command()
def tune(
    network: Annotated[
        Path, typer.Argument(readable=False, help="The network: a JSON file, such as examples/lenet.json.")
    ],
    movie: LearntMovie,
    labels: Labels = None,
    apply: Apply = None,
    truth: Truth = None,
    defects: Defects = None,
    legend: Legend = None,
    name: Name = None,
    runs: Runs = RUNS,
    config: ConfigFile = None,
    pixel_size: PixelSize = None,
    frame_interval: FrameInterval = None,
    dataset: Dataset = None,
    predictor: Predictor = None,
    site: Site = None,
    workers: Workers = None,
    seed: Seed = None,
) -> None:
    """Tune a network of your own instead of evolving one; all else is as in run."""
    _start(**locals())


def _start(network: Path | None, movie: Path, name: str | None, runs: Path, config: Path | None, **given: Any) -> None:
    """Run with what the command line gave, each option by its name."""
    from workflow.inputs import plain_name
    from workflow.run import start

    options = {
        "movie": str(movie),
        "network": None if network is None else str(network),
        "pixel_size_nm": given["pixel_size"],
        "frame_interval_s": given["frame_interval"],
        "dataset": given["dataset"],
        "apply": [str(path) for path in given["apply"] or []],
        "truth": [str(path) for path in given["truth"] or []],
        "seed": given["seed"],
        "labels": {
            "file": None if given["labels"] is None else str(given["labels"]),
            "defects": [part.strip() for part in (given["defects"] or "").split(",") if part.strip()],
            "legend": given["legend"],
        },
        "tuning": {"predictor": given["predictor"]},
        "site": _site(given["site"], given["workers"]),
    }
    sys.exit(start(config, options, runs / (name or plain_name(movie))))


def _site(site: str | None, workers: int | None) -> dict[str, Any]:
    """What the command line says of the site; a file's path is from here, wherever that of --config is."""
    if site is not None and ("." in site or "/" in site):
        site = os.path.abspath(os.path.expanduser(site))  # noqa: PTH100, PTH111 (pathlib refuses the home of nobody)
    return {"like": site, "workers": workers}


@app.command()
def label(
    movie: Annotated[Path, typer.Argument(readable=False, help="The movie, or image.")],
    frame: Annotated[int, typer.Option(help="Number of the frame to label, from 0.")] = 0,
    reference: Annotated[
        Literal["lattice", "lowpass"],
        typer.Option(help="What to compare with: 'lattice' (the ideal one) or 'lowpass' (the published recipe)."),
    ] = "lattice",
    out: Annotated[
        Path | None, typer.Option(readable=False, help="Folder for the figures; by default labels_MOVIE.")
    ] = None,
    pixel_size: PixelSize = None,
    dataset: Dataset = None,
) -> None:
    """Choose the thresholds of the Fourier method: draw what each of them would label."""
    from workflow.inputs import plain_name
    from workflow.label import label as draw

    sys.exit(draw(movie, out or Path(f"labels_{plain_name(movie)}"), frame, reference, pixel_size, dataset))


@app.command()
def regions(
    model: Annotated[
        Path,
        typer.Argument(metavar="MODEL", readable=False, help="A detector.safetensors, or the folder of a run."),
    ],
    movie: Annotated[Path, typer.Argument(metavar="FRAME", readable=False, help="The image, or movie.")],
    frame: Annotated[int, typer.Option(help="Number of the frame to look at, from 0.")] = 0,
    size: Annotated[float, typer.Option(help="Height and width of windows in nm.")] = 3.0,
    want: Annotated[
        str | None, typer.Option(metavar="CLASS", help="Defect to be at the centre; without, lattice without defects.")
    ] = None,
    count: Annotated[int, typer.Option(help="How many windows to list at most.")] = 10,
    out: Annotated[
        Path | None, typer.Option(readable=False, help="Folder for the result; by default regions_FRAME.")
    ] = None,
    pixel_size: PixelSize = None,
    dataset: Dataset = None,
) -> None:
    """Rank windows of a frame: where to measure or to manipulate next."""
    from workflow.inputs import plain_name
    from workflow.regions import Question
    from workflow.regions import regions as rank

    question = Question(frame, size, want, count, pixel_size, dataset)
    sys.exit(rank(model, movie, out or Path(f"regions_{plain_name(movie)}"), question))


@app.command()
def demo(
    name: Annotated[str, typer.Option(help="Name of the run's folder.")] = "demo",
    runs: Runs = RUNS,
    config: ConfigFile = None,
    site: Site = None,
    workers: Workers = None,
    seed: Annotated[int, typer.Option(help="Seed of the movie and of the run.")] = 0,
) -> None:
    """Simulate a movie of doped WS2 with a growing hole, and run on it."""
    from data_prep.errors import InputError
    from data_prep.simulate import MovieSettings, simulate_movie
    from workflow.run import start

    folder = runs / f"{name}_movie"
    movie, truth = folder / f"ws2_seed{seed}.tif", folder / f"ws2_seed{seed}_truth.csv"

    def simulate() -> None:
        if movie.exists() and truth.exists():
            return
        typer.echo(f"simulating a movie of doped WS2: {movie}")
        try:
            simulate_movie(movie, truth, MovieSettings(seed=seed))
        except OSError as error:
            raise InputError(f"{folder}: cannot hold the movie ({error.strerror}); see --runs") from None

    options = {"movie": str(movie), "truth": [str(truth)], "seed": seed, "site": _site(site, workers)}
    sys.exit(start(config, options, runs / name, simulate))


@app.command()
def status(run: RunPath) -> None:
    """Show how a run stands; in a terminal, follow it until it ends or Ctrl-C."""
    from workflow.status import status as show

    sys.exit(show(run))


@app.command()
def history(
    run: RunPath,
    out: Annotated[
        Path | None, typer.Argument(readable=False, help="File for --csv or --optuna, instead of their own place.")
    ] = None,
    csv: Annotated[bool, typer.Option("--csv", help="Every network as CSV, to the terminal or OUT.")] = False,  # noqa: FBT002
    optuna: Annotated[bool, typer.Option("--optuna", help="An Optuna study, in RUN/optuna.db or OUT.")] = False,  # noqa: FBT002
) -> None:
    """Tell which networks a run has evaluated, also while it goes on."""
    from workflow.history import history as tell

    sys.exit(tell(run, out, csv=csv, optuna=optuna))


@app.command()
def kinds(
    run: RunPath,
    name: Annotated[list[str] | None, typer.Option(help="Name a kind: 2=oxygen. May be repeated.")] = None,
    merge: Annotated[str | None, typer.Option(help="Kinds that are one: 2,3.")] = None,
    split: Annotated[int | None, typer.Option(help="A kind that is two.")] = None,
) -> None:
    """Show the kinds of defects that a run has found; name, merge and split them."""
    from workflow.kinds import kinds as show

    sys.exit(show(run, name or [], merge, split))


sites = typer.Typer(no_args_is_help=True, help="Where the workers are: this machine, clusters, your own site files.")
app.add_typer(sites, name="sites")
SiteName = Annotated[str, typer.Argument(metavar="SITE", help="A name of `evostem sites list`, or your own site file.")]


@sites.command("list")
def list_sites() -> None:
    """Name the sites that are built in."""
    from workflow.sites import listed

    sys.exit(listed())


@sites.command()
def show(site: SiteName) -> None:
    """Show all settings of a site, as TOML that can be copied."""
    from workflow.sites import shown

    sys.exit(shown(site))


@sites.command()
def check(site: SiteName, config: ConfigFile = None) -> None:
    """Print the script of a job, and what is missing or will hurt; nothing is submitted."""
    from workflow.sites import checked

    sys.exit(checked(config, {"site": _site(site, None)}))


@sites.command("test")
def try_site(
    site: SiteName,
    minutes: Annotated[float, typer.Option(help="Time to search for, once there are workers.")] = 2.0,
    runs: Runs = RUNS,
) -> None:
    """Run a small search on a site for two minutes, and tell what its nodes did."""
    from workflow.sites import tested

    sys.exit(tested(_site(site, None), minutes, runs))


def main() -> None:
    """Entry point of the console script."""
    app()
