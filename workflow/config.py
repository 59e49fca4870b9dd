"""The configuration of a run: a TOML file, command-line options, defaults; unknown keys are refused."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from data_prep.errors import InputError, did_you_mean
from data_prep.fourier.filters import Reference
from data_prep.fourier.labeller import AUTO_BRIGHTER, AUTO_DARKER
from data_prep.label_files.legend import parse_legend
from data_prep.tiles import TILE_SIZES
from site_configs.local import here
from site_configs.settings import SiteSettings
from site_configs.sites import on_top, refuse_name, resolved, site_keys, site_named


def _listed(frame: object) -> object:
    """One frame is a list of one."""
    return [frame] if isinstance(frame, int) else frame


def _different(frames: tuple[int, ...]) -> tuple[int, ...]:
    if not frames or len(set(frames)) < len(frames):
        raise ValueError("is one frame, or a list of different ones")
    return tuple(sorted(frames))


# Absolute, so that the same command means the same run from any folder.
File = Annotated[Path, AfterValidator(Path.absolute)]
Count = Annotated[int, Field(ge=1)]
Frames = Annotated[tuple[Annotated[int, Field(ge=0)], ...], BeforeValidator(_listed), AfterValidator(_different)]
Seconds = Annotated[float, Field(gt=0)]


GENERATIONS = 5


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class LabelsConfig(_Section):
    """Where labels come from: a file that people made, or the Fourier method with these thresholds.

    `frame` is the number of the labelled frame, or a list of several. `legend` says which colours or
    indices of a mask are which classes.
    """

    file: File | None = None
    defects: tuple[str, ...] = ()
    legend: Annotated[dict[str, int | str], BeforeValidator(parse_legend)] = {}
    frame: Frames = (0,)
    darker: Annotated[float, Field(gt=0)] = AUTO_DARKER
    brighter: Annotated[float, Field(gt=0)] = AUTO_BRIGHTER
    reference: Reference = "lattice"


class TilesConfig(_Section):
    """Side and stride of the tiles, each in px or in lattice periods, see `data_prep.tiles.TileSizes`."""

    size_px: Annotated[int, Field(ge=TILE_SIZES[-1])] | None = None
    size_periods: Annotated[float, Field(gt=0)] | None = None
    stride_px: Count | None = None
    stride_periods: Annotated[float, Field(gt=0)] | None = None

    @model_validator(mode="after")
    def _one_unit_each(self) -> TilesConfig:
        for name in ("size", "stride"):
            if getattr(self, f"{name}_px") is not None and getattr(self, f"{name}_periods") is not None:
                raise ValueError(f"give {name}_px or {name}_periods, not both")
        return self


class SearchConfig(_Section):
    """The evolution: how many networks, how each is trained, and what it may do beyond the published method.

    It ends after `generations` (5) times `population` networks, or `evaluations` if that is given, and before that when
    `minutes` have passed, the best network's error is `target_error` or less, or `plateau` networks in a row were no
    better. `lifetime` is after how many networks one leaves the population, however good it is.

    `inherit`: children begin with a parent's weights. `screening`: the predictor that chooses among children.
    `halving`: networks that lag behind are stopped early.
    """

    population: Annotated[int, Field(ge=2)] = 12
    generations: Count | None = None
    evaluations: Count | None = None
    minutes: Annotated[float, Field(gt=0)] | None = None
    target_error: Annotated[float, Field(ge=0, lt=1)] | None = None
    plateau: Count | None = None
    lifetime: Count | None = None
    iterations: Count = 80
    seconds: Seconds = 12.0
    fitness: Literal["f1", "iou", "accuracy", "balanced_accuracy"] = "f1"
    inherit: bool = True
    screening: Literal["trees", "svm", "off"] = "trees"
    halving: bool = False

    @model_validator(mode="after")
    def _can_be_met(self) -> SearchConfig:
        if self.evaluations is not None and self.generations is not None:
            raise ValueError("give generations or evaluations, not both")
        if self.lifetime is not None and self.lifetime < self.population:
            raise ValueError(f"a lifetime of {self.lifetime} networks leaves no population of {self.population}")
        return self

    @property
    def most_evaluations(self) -> int:
        """Networks evaluated in all, if nothing ends the search before."""
        return self.evaluations or self.population * (self.generations or GENERATIONS)


class TuningConfig(_Section):
    """The tuning of the best topology: sets of hyperparameters drawn at random, then sets that a predictor chooses.

    `random_sets` random ones are evaluated, or those of the first `random_minutes`, then others up to `random_sets` +
    `chosen_sets`. The predictor learns that the best `good_share` of the sets so far did well. `together` sets that
    differ in rates and dropout alone are trained as one model on a GPU: 8 by default, and 1 where there is none.
    """

    random_sets: Annotated[int, Field(ge=0)] = 14
    chosen_sets: Annotated[int, Field(ge=0)] = 14
    random_minutes: Annotated[float, Field(gt=0)] | None = None
    predictor: Literal["trees", "svm", "tpe", "random"] = "trees"
    good_share: Annotated[float, Field(gt=0, lt=1)] = 0.25
    together: Count | None = None

    @property
    def most_evaluations(self) -> int:
        """Sets evaluated in all."""
        return self.random_sets + self.chosen_sets


class TrainingConfig(_Section):
    """The full training of the best networks; the better one on validation data is kept."""

    finalists: Count = 2
    iterations: Count = 1800
    seconds: Seconds = 100.0


class RunConfig(_Section):
    """All settings of a run, as they are written into its folder.

    With a `network`, see docs/network_file.md, that is tuned and none is evolved.
    """

    movie: File
    network: File | None = None
    pixel_size_nm: Annotated[float, Field(gt=0)] | None = None
    frame_interval_s: Annotated[float, Field(gt=0)] | None = None
    dataset: str | None = None
    apply: tuple[File, ...] = ()
    truth: tuple[File, ...] = ()
    seed: Annotated[int, Field(ge=0)] = 0
    labels: LabelsConfig = LabelsConfig()
    tiles: TilesConfig = TilesConfig()
    search: SearchConfig = SearchConfig()
    tuning: TuningConfig = TuningConfig()
    training: TrainingConfig = TrainingConfig()
    site: Annotated[SiteSettings, Field(default_factory=lambda: site_named("local"))]

    @model_validator(mode="after")
    def _something_to_evaluate(self) -> RunConfig:
        if self.network is not None and not self.tuning.most_evaluations:
            raise ValueError("tuning.random_sets and tuning.chosen_sets are both 0: there is nothing to do")
        return self

    @model_validator(mode="after")
    def _truth_for_each(self) -> RunConfig:
        movies = len(self.apply) or 1
        if len(self.truth) not in (0, movies):
            raise ValueError(f"{len(self.truth)} truth files for {movies} movies; give one for each, in their order")
        return self


def load_config(file: Path | None, options: dict[str, Any]) -> RunConfig:
    """The resolved configuration: defaults, then the TOML file, then the options of the command line.

    `options` is nested as the TOML file is; None means not given. Relative paths in the file are
    taken from the file's folder. Raises InputError naming the key.
    """
    values = read_config(file)
    merged = _merge(values, options)
    merged["site"] = _site(values.get("site", {}), _merge({}, options.get("site", {})), file)
    try:
        config = RunConfig.model_validate(merged)
    except ValidationError as error:
        raise InputError(_explain(error, file, options)) from None
    return config if config.site.on_cluster else config.model_copy(update={"site": here(config.site)})


def _site(kept: Any, asked: dict[str, Any], file: Path | None) -> Any:
    """The site: what the configuration file says, on top of the site that the command line asks for or its own."""
    if not isinstance(kept, dict):
        return kept  # the file will be blamed
    if file is not None:
        refuse_name(kept, str(file))
    if "like" not in asked:
        source, folder = ("command line", Path()) if file is None else (str(file), file.parent)
        return {**resolved(kept, source, folder), **asked}
    own = {key: value for key, value in kept.items() if key not in ("like", "kind") and "name" not in kept}
    return {**on_top(resolved({"like": asked.pop("like")}, "command line"), own), **asked}


def read_config(file: Path | None) -> dict[str, Any]:
    """What a TOML file says, its paths as seen from here; nothing without one. Raises InputError."""
    if file is None:
        return {}
    try:
        values = tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{file}: no such file (--config takes a TOML file)") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputError(f"{file}: is not a TOML file that can be read ({error})") from None
    _anchor(values, file.parent)
    return values


def _anchor(values: dict[str, Any], folder: Path) -> None:
    """Make the paths of a configuration file relative to its folder."""
    of_run = [(values, key) for key in ("movie", "network", "apply", "truth")]
    for section, key in (*of_run, (values.get("labels"), "file")):
        if isinstance(section, dict) and key in section:
            given = section[key]
            if isinstance(given, str):
                section[key] = str(folder / given)
            elif isinstance(given, list):
                section[key] = [str(folder / item) if isinstance(item, str) else item for item in given]


def _merge(low: dict[str, Any], high: dict[str, Any]) -> dict[str, Any]:
    merged = dict(low)
    for key, value in high.items():
        if isinstance(value, dict):
            below = merged.get(key, {})
            merged[key] = _merge(below, value) if isinstance(below, dict) else below
        elif value not in (None, (), []):
            merged[key] = value
    return merged


def _explain(error: ValidationError, file: Path | None, options: dict[str, Any]) -> str:
    """The first thing that is wrong, as one line that says whether file or command line are to blame."""
    first = error.errors()[0]
    given: Any = options
    for part in first["loc"]:
        given = given.get(part) if isinstance(given, dict) else given
    by_command = given not in (None, [], ()) and not isinstance(given, dict)  # sections are written in files
    source = "command line" if file is None or by_command else str(file)
    key = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        section: Any = RunConfig
        for part in first["loc"][:-1]:
            section = section.model_fields[str(part)].annotation
        known = site_keys() if section is SiteSettings else sorted(section.model_fields)
        return f"{source}: unknown key '{key}'; {did_you_mean(str(first['loc'][-1]), known)}"
    if first["type"] == "missing":
        return f"{source}: '{key}' is missing"
    message = first["msg"].removeprefix("Value error, ")
    return f"{source}: '{key}': {message}" if key else f"{source}: {message}"
