"""The folder of a run: what is in it, whose it is, and whether it may go on."""

from __future__ import annotations

import fcntl
import hashlib
import importlib.metadata
import json
import platform
import secrets
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO

from data_prep.errors import InputError
from data_prep.files import remove_unfinished, whole_file
from search.reading import JournalReader
from search.tuning import STAGE as TUNING
from workflow.config import RunConfig, load_config
from workflow.fingerprint import fingerprint

# Where a run is computed does not change what comes out, so it may differ on resuming.
FREE_TO_CHANGE = ("site",)
BUDGETS = ("generations", "evaluations", "minutes", "target_error", "plateau")  # of the evolution
CLAIM_PATIENCE_S, CLAIM_POLL_S = 2.0, 0.05  # somebody may be asking whether the folder is held
RECORDED_PACKAGES = ("numpy", "scipy", "scikit-learn", "torch", "parsl", "rosettasciio")


class RunFolder:
    """Names of the files in `runs/NAME/`."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self.lock = self.path / ".lock"
        self.config = self.path / "config.toml"
        self.inputs = self.path / "inputs.json"
        self.environment = self.path / "environment.json"
        self.labels = self.path / "labels.h5"
        self.fourier = self.path / "fourier.json"
        self.tiles = self.path / "tiles.h5"
        self.journal = self.path / "journal.sqlite"
        self.weights = self.path / "weights"
        self.tuning = self.path / "tuning"
        self.finalists = self.path / "finalists"
        self.detector = self.path / "detector.safetensors"
        self.parts = self.path / "parts"
        self.maps = self.path / "maps.h5"
        self.defects = self.path / "defects.csv"
        self.scores = self.path / "scores.csv"
        self.library = self.path / "library" / "library.h5"
        self.signatures = self.path / "library" / "signatures.json"
        self.names = self.path / "library" / "names.json"
        self.histories = self.path / "histories"
        self.aside = self.path / ".aside"
        self.figures = self.path / "figures"
        self.report = self.path / "report.html"
        self.summary = self.path / "summary.json"
        self.log = self.path / "evostem.log"
        self.parsl = self.path / "parsl"
        self.jobs = self.path / "jobs.txt"
        self.identity = self.path / ".identity"
        self.study = self.path / "optuna.db"

    @property
    def site_name(self) -> str:
        """What the names of this run's jobs begin with: the same in all its lives, and another for another run."""
        if not self.identity.exists():
            with whole_file(self.identity) as temporary:
                temporary.write_text(secrets.token_hex(4))
        of_run = f"{self.identity.read_text()}:{self.path}"  # a copy of the folder is another run
        return "evostem" + hashlib.sha256(of_run.encode()).hexdigest()[:8]

    def site_before(self) -> str | None:
        """The name of the site where the run was last; None for one that is new."""
        with suppress(InputError):
            return load_config(self.config, {}).site.name if self.config.exists() else None
        return None

    @property
    def finished(self) -> bool:
        """Whether all stages are done: the summary is written last."""
        return self.summary.exists()

    @property
    def held(self) -> bool:
        """Whether a driver works in the folder. To ask takes a share of the lock for an instant, see `claimed`."""
        try:
            with self.lock.open() as lock:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except FileNotFoundError:
            return False
        return False

    @contextmanager
    def claimed(self, config: RunConfig) -> Iterator[None]:
        """Hold the folder for one driver, new or to go on.

        Raises InputError if another driver holds it, or if it was begun with other settings or files. A folder
        that was made for what turns out to be of no use, before any network was evaluated, is removed.
        """
        new = not self.path.exists()
        with self._opened() as lock:
            self._take(lock)
            self._check(config)
            remove_unfinished(self.path)
            if not self.finished:
                with whole_file(self.environment) as temporary:
                    temporary.write_text(json.dumps(_environment(), indent=2) + "\n")
            try:
                yield
            except InputError:
                if new and not self.journal.exists():
                    shutil.rmtree(self.path)
                raise

    def _opened(self) -> TextIO:
        """The lock file of a folder that is new, or holds a run."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.mkdir(mode=0o700, exist_ok=True)
            strange = sorted(entry.name for entry in self.path.iterdir() if not entry.name.startswith("."))
            if strange and not self.config.exists():
                raise InputError(f"{self.path}: holds '{strange[0]}' but no run; choose another name with --name")
            if not self.config.exists():
                self.path.chmod(0o700)  # the keys to the workers will be in it
            return self.lock.open("a")
        except OSError as error:
            raise InputError(f"{self.path}: cannot hold a run ({error.strerror}); see --name and --runs") from None

    def _take(self, lock: TextIO) -> None:
        """Take the lock, which somebody may have for the instant of asking for it."""
        deadline = time.monotonic() + CLAIM_PATIENCE_S
        while True:
            try:
                return fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise InputError(f"{self.path}: another evostem is working in this folder; wait for it") from None
                time.sleep(CLAIM_POLL_S)

    def _check(self, config: RunConfig) -> None:
        """Raise InputError if the folder holds evaluations for other settings or files; else note the present ones."""
        resolved = json.loads(config.model_dump_json())
        given = (config.movie, config.network, config.labels.file, *config.apply, *config.truth)
        inputs = {str(path): fingerprint(path) for path in given if path is not None}
        if self.config.exists():
            before = json.loads(load_config(self.config, {}).model_dump_json())
            evolving = self.journal.exists() and not self._tuned
            changed = _difference(_settled(before, evolving=evolving), _settled(resolved, evolving=evolving))
            known = json.loads(self.inputs.read_text()) if self.inputs.exists() else inputs
            replaced = [path for path, digest in inputs.items() if known.get(path, digest) != digest]
            if not changed and not replaced:
                if not self.finished:
                    self._write_config(resolved)
                return
            if self.journal.exists():
                why = f"other settings ({changed})" if changed else f"other content of {replaced[0]}"
                raise InputError(
                    f"{self.path}: was begun with {why}; give the same command to go on, or --name for a new run"
                )
            # Nothing was evaluated yet: what little there is belongs to what was put right.
            for stage in (self.labels, self.fourier, self.tiles):
                stage.unlink(missing_ok=True)
        with whole_file(self.inputs) as temporary:
            temporary.write_text(json.dumps(inputs, indent=2) + "\n")
        self._write_config(resolved)

    @property
    def _tuned(self) -> bool:
        """Whether the tuning has begun: then the evolution is over."""
        with closing(JournalReader(self.journal)) as journal:
            return journal.count(TUNING) > 0

    def _write_config(self, resolved: dict[str, Any]) -> None:
        with whole_file(self.config) as temporary:
            temporary.write_text(to_toml(resolved))


def existing_run(path: Path) -> RunFolder:
    """The folder of a run that was begun. Raises InputError for another folder, or none."""
    folder = RunFolder(path)
    try:
        if not path.exists():
            raise InputError(f"{path}: no such folder; give that of a run, such as runs/demo")
        if not path.is_dir() or not folder.config.exists():
            raise InputError(f"{path}: is not the folder of a run; give one, such as runs/demo")
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    return folder


def _settled(values: dict[str, Any], *, evolving: bool) -> dict[str, Any]:
    """The settings that a run cannot go on with others of; while it is `evolving`, its budgets are none of them."""
    kept = {key: value for key, value in values.items() if key not in FREE_TO_CHANGE}
    if evolving:
        kept["search"] = {key: value for key, value in kept["search"].items() if key not in BUDGETS}
    return kept


def _difference(before: dict[str, Any], now: dict[str, Any], prefix: str = "") -> str:
    """The first setting that differs, as `key: old -> new`; "" if none does."""
    for key in sorted(before.keys() | now.keys()):
        old, new = before.get(key), now.get(key)
        if isinstance(old, dict) and isinstance(new, dict):
            inner = _difference(old, new, f"{prefix}{key}.")
            if inner:
                return inner
        elif old != new:
            return f"{prefix}{key}: {old} -> {new}"
    return ""


def to_toml(values: dict[str, Any], section: str = "") -> str:
    """Nested settings as TOML, without those that are None."""
    lines = [f"[{section}]"] if section else []
    lines += [
        f"{_toml_key(key)} = {_toml_value(v)}" for key, v in values.items() if not isinstance(v, dict) and v is not None
    ]
    text = "\n".join(lines) + "\n"
    for key, inner in values.items():
        if isinstance(inner, dict):
            text += "\n" + to_toml(inner, f"{section}.{_toml_key(key)}" if section else _toml_key(key))
    return text


def _toml_key(name: str) -> str:
    return name if name.isidentifier() and name.isascii() else json.dumps(name, ensure_ascii=False)


def _toml_value(value: Any) -> str:
    # Strings, numbers, booleans and lists of them are written in TOML as in JSON.
    return json.dumps(value, ensure_ascii=False)


def _environment() -> dict[str, object]:
    versions = {}
    for package in RECORDED_PACKAGES:
        versions[package] = importlib.metadata.version(package)
    return {
        "evostem": importlib.metadata.version("evostem"),
        "python": sys.version.split()[0],
        "system": platform.platform(),
        "packages": versions,
    }
