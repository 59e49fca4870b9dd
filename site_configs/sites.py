"""Sites by name or file: what `like` means, and what must be known before anything is submitted."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from data_prep.errors import InputError, did_you_mean
from site_configs.address import address_of
from site_configs.executors import Purpose
from site_configs.local import local
from site_configs.lsf import lsf
from site_configs.machines import MACHINES
from site_configs.pbs import pbs
from site_configs.settings import SiteSettings
from site_configs.slurm import slurm

if TYPE_CHECKING:
    from parsl.config import Config

PLAIN = re.compile(r"[A-Za-z0-9_@+=.,/-]+")  # paths that shells and batch systems leave as they are
KINDS: dict[str, Callable[[SiteSettings, Purpose], Config]] = {"local": local, "slurm": slurm, "lsf": lsf, "pbs": pbs}
CLUSTER: dict[str, Any] = {
    "min_blocks": 0,
    "heartbeat_s": 60,  # thousands of nodes tell
    "poll_s": 60,  # a batch system does not like to be asked more often
}
BUILT_IN: dict[str, dict[str, Any]] = {
    "local": {"kind": "local"},
    "slurm": {"kind": "slurm", **CLUSTER},
    "lsf": {"kind": "lsf", **CLUSTER},
    "pbs": {"kind": "pbs", **CLUSTER},
    **MACHINES,
}
ALWAYS_NEEDED = {
    "slurm": ("interface",),
    "lsf": ("interface",),
    "pbs": ("cores_per_node", "interface"),  # else it gives one core
}
LINES, OPTIONS = {"setup", "scheduler_lines"}, {"launcher_options"}
DEEPEST = 8  # site files that are like site files


def config_for(settings: SiteSettings, purpose: Purpose) -> Config:
    """The Parsl configuration of a site. Raises InputError for what it needs and does not have."""
    trouble = missing(settings, purpose.log_folder)
    if trouble:
        raise InputError(trouble[0])
    return KINDS[settings.kind](settings, purpose)


def missing(settings: SiteSettings, folder: Path = Path()) -> list[str]:
    """What is wrong with settings, so that nothing can be submitted for a run in `folder`: a line each."""
    if not settings.on_cluster:
        return []
    said = [
        f"site.{name} is missing, which {settings.name} needs: set it in [site] of --config, or in the site's file"
        for name in dict.fromkeys((*settings.needs, *ALWAYS_NEEDED[settings.kind]))
        if getattr(settings, name) in (None, "", ())
    ]
    if settings.interface:
        try:
            address_of(settings.interface)
        except InputError as error:
            said.append(str(error))
    if not PLAIN.fullmatch(str(folder.absolute())):
        said.append(f"{folder.absolute()}: jobs can work only in folders of plain names, without blanks; see --runs")
    return said


def site_named(name: str) -> SiteSettings:
    """The settings of a built-in site, or of the file of that name. Raises InputError naming what is wrong."""
    return settings_of({"like": name}, "")


def settings_of(values: dict[str, Any], source: str, folder: Path = Path()) -> SiteSettings:
    """Settings of what TOML says of a site, see `resolved`. Raises InputError naming what is wrong."""
    return _validated(resolved(values, source, folder), source or str(values.get("like")))


def resolved(values: dict[str, Any], source: str, folder: Path = Path(), depth: int = 0) -> dict[str, Any]:
    """Values on top of those of the site that they are `like`, and of what that is like in turn.

    `source` says in errors who gave the values; site files that they name are in `folder`. Without `like` it is the
    plain site of their `kind`, as a run's own config.toml has it. Raises InputError for a site that there is not, or
    a site file that cannot be used.
    """
    own = dict(values)
    refuse_name(own, source)
    kind = own.pop("kind", "local")
    like = own.pop("like", None)
    if like is None:
        if not isinstance(kind, str) or kind not in KINDS:
            hint = did_you_mean(kind if isinstance(kind, str) else "", KINDS)
            raise InputError(f"{source}: kind = {kind!r} is no kind of site; {hint}")
        return on_top({"name": kind, **BUILT_IN[kind]}, own)
    if not isinstance(like, str) or depth > DEEPEST:
        raise InputError(f"{source}: like = {like!r} names no site, or one that is like itself")
    if like in BUILT_IN:
        return on_top(resolved(BUILT_IN[like], like, folder, depth + 1), {**own, "name": like})
    file = _file(like, source, folder)
    inner = _read(file)
    below = resolved(inner, str(file), file.parent, depth + 1)
    _validated(below, str(file))  # so that what is wrong in the file is said to be there
    return on_top(below, {**own, "name": str(file.absolute())})


def on_top(below: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    """Values on top of others: they take their place, but for lines and options, which are added to them."""
    whole = {**below, **own}
    for name in LINES & own.keys() & below.keys():
        both = [[lines] if isinstance(lines, str) else lines for lines in (below[name], own[name])]
        if all(isinstance(lines, list | tuple) for lines in both):  # else it is refused later
            whole[name] = [*both[0], *both[1]]
    for name in OPTIONS & own.keys() & below.keys():
        if isinstance(own[name], str):
            whole[name] = f"{below[name]} {own[name]}".strip()
    return whole


def refuse_name(values: dict[str, Any], source: str) -> None:
    """Raise InputError for a `name` that means `like`. Only what a run has kept has a name, and a kind."""
    if "name" in values and "kind" not in values:
        raise InputError(f"{source}: unknown key 'site.name'; did you mean 'like'?")


def site_keys() -> list[str]:
    """The keys of a site in TOML."""
    return sorted({*SiteSettings.model_fields, "like"} - {"name"})


def _validated(values: dict[str, Any], source: str) -> SiteSettings:
    try:
        return SiteSettings.model_validate(values)
    except ValidationError as error:
        raise InputError(_explained(error, source)) from None


def _file(like: str, source: str, folder: Path) -> Path:
    """The site file that is meant by `like`. Raises InputError if there is none."""
    with suppress(RuntimeError, ValueError, OSError):  # the home of nobody, a zero byte, a name too long
        file = folder / Path(like).expanduser()
        if file.exists():
            return file
    said = f"{like}: no such site, and no such file; {did_you_mean(like, BUILT_IN)}"
    raise InputError(f"{source}: {said}" if source else said)


def _read(file: Path) -> dict[str, Any]:
    """What a site file says, as it is there: settings, in a section [site] or without one."""
    try:
        values = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputError(f"{file}: is not a site file that can be read ({error})") from None
    inner = values.get("site", values)
    if not isinstance(inner, dict) or not {"like", "kind"} & inner.keys() or ("site" in values and len(values) > 1):
        raise InputError(f'{file}: is no site file; begin it with like = "slurm", or another site\'s name')
    return inner


def _explained(error: ValidationError, source: str) -> str:
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        return f"{source}: unknown key '{key}'; {did_you_mean(key, site_keys())}"
    message = first["msg"].removeprefix("Value error, ")
    return f"{source}: '{key}': {message}" if key else f"{source}: {message}"
