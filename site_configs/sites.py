"""Sites by name or file: what `like` means, and what must be known before anything is submitted."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
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

KINDS: dict[str, Callable[[SiteSettings, Purpose], Config]] = {"local": local, "slurm": slurm, "lsf": lsf, "pbs": pbs}
CLUSTER: dict[str, Any] = {
    "min_blocks": 0,
    "heartbeat_s": 60,  # thousands of nodes tell
    "poll_s": 60,  # a batch system does not like to be asked more often
    "needs": ["interface"],
}
BUILT_IN: dict[str, dict[str, Any]] = {
    "local": {"kind": "local"},
    **{kind: {"kind": kind, **CLUSTER} for kind in ("slurm", "lsf", "pbs")},
    **MACHINES,
}
DEEPEST = 8  # site files that are like site files


def config_for(settings: SiteSettings, purpose: Purpose) -> Config:
    """The Parsl configuration of a site. Raises InputError for what it needs and does not have."""
    trouble = missing(settings)
    if trouble:
        raise InputError(trouble[0])
    return KINDS[settings.kind](settings, purpose)


def missing(settings: SiteSettings) -> list[str]:
    """What is wrong with settings, so that nothing can be submitted here: a line each."""
    said = [
        f"site.{name} is missing, which {settings.like} needs: set it in [site] of --config, or in the site's file"
        for name in settings.needs
        if getattr(settings, name) in (None, "", ())
    ]
    if settings.on_cluster and settings.interface:
        try:
            address_of(settings.interface)
        except InputError as error:
            said.append(str(error))
    return said


def site_named(name: str) -> SiteSettings:
    """The settings of a built-in site, or of the file of that name. Raises InputError naming what is wrong."""
    return settings_of({"like": name}, name)


def settings_of(values: dict[str, Any], source: str, folder: Path = Path()) -> SiteSettings:
    """Settings, with all that the sites say which they are `like`.

    `source` says in errors who gave the values; site files that they name are in `folder`. Raises InputError.
    """
    return _validated(resolved(values, source, folder), source)


def resolved(values: dict[str, Any], source: str, folder: Path = Path(), depth: int = 0) -> dict[str, Any]:
    """Values on top of those of the site that they are like, and of what that is like in turn.

    Raises InputError for a site that there is not, or a site file that cannot be used.
    """
    if {"like", "kind"} <= values.keys():  # as resolved before, in a run's config.toml
        return values
    like = values.get("like", values.get("kind", "local"))
    if not isinstance(like, str) or depth > DEEPEST:
        raise InputError(f"{source}: like = {like!r} names no site, or one that is like itself")
    if like in KINDS:
        return {**BUILT_IN[like], "like": like, **values}
    if like in BUILT_IN:
        return {**resolved(BUILT_IN[like], like, folder, depth + 1), **values, "like": like}
    file = folder / Path(like).expanduser()
    own = read_site(file, like)
    below = resolved(own, str(file), file.parent, depth + 1)
    _validated(below, str(file))  # so that what is wrong in the file is said to be there
    return {**below, **values, "like": str(file.absolute())}


def _validated(values: dict[str, Any], source: str) -> SiteSettings:
    try:
        return SiteSettings.model_validate(values)
    except ValidationError as error:
        raise InputError(_explained(error, source)) from None


def read_site(file: Path, name: str) -> dict[str, Any]:
    """What a site file says, as it is there: settings, in a section [site] or without one. Raises InputError."""
    try:
        values = tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{name}: no such site, and no such file; {did_you_mean(name, BUILT_IN)}") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputError(f"{file}: is not a site file that can be read ({error})") from None
    inner = values.get("site", values)
    if not isinstance(inner, dict):
        raise InputError(f'{file}: is no site file; begin it with like = "slurm", or another site\'s name')
    return inner


def _explained(error: ValidationError, source: str) -> str:
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        return f"{source}: unknown key '{key}'; {did_you_mean(key, sorted(SiteSettings.model_fields))}"
    message = first["msg"].removeprefix("Value error, ")
    return f"{source}: '{key}': {message}" if key else f"{source}: {message}"
