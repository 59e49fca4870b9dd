"""The plan of the house holds: who may import whom, and that the names are ours alone."""

import ast
import importlib.metadata
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[1]
# As docs/architecture.md has it. `data_prep.errors` and `data_prep.files` are for everyone.
MAY_IMPORT = {
    "data_prep": set(),
    "networks": {"data_prep.tiles", "data_prep.labels"},
    "search": {"networks"},
    "analysis": {"data_prep", "networks", "search"},
    "apps": {"data_prep", "networks", "search", "analysis"},
    "site_configs": set(),
    "workflow": {"data_prep", "networks", "search", "analysis", "apps", "site_configs"},
}
FOR_ALL = {"data_prep.errors", "data_prep.files"}


def imported_modules(file):
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_a_room_imports_only_what_it_may(room):
    for file in (ROOT / room).rglob("*.py"):
        for module in imported_modules(file):
            top = module.split(".")[0]
            if top in MAY_IMPORT and top != room and module not in FOR_ALL:
                assert {top, module} & MAY_IMPORT[room], f"{file.relative_to(ROOT)} imports {module}"


def test_only_apps_and_sites_know_parsl():
    for room in MAY_IMPORT.keys() - {"apps", "site_configs"}:
        for file in (ROOT / room).rglob("*.py"):
            assert not any(module.split(".")[0] == "parsl" for module in imported_modules(file)), file


def test_no_other_distribution_provides_our_package_names():
    providers = importlib.metadata.packages_distributions()
    for room in MAY_IMPORT:
        assert set(providers.get(room, ["evostem"])) == {"evostem"}, room


def test_the_command_line_answers_without_heavy_imports():
    heavy = {"torch", "parsl", "scipy", "h5py", "matplotlib", "optuna"}
    code = f"import sys, workflow.cli; print(*{heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def pinned():
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    requirements = [Requirement(line) for line in lines if line and not line.startswith("#")]
    return {r.name.lower().replace("_", "-"): next(iter(r.specifier)).version for r in requirements}


def test_the_lock_pins_every_dependency_within_its_range():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    versions = pinned()
    for requirement in map(Requirement, wanted):
        assert requirement.specifier.contains(versions[requirement.name.lower()]), requirement


def test_what_is_installed_is_what_the_lock_says():
    for name, version in pinned().items():
        assert importlib.metadata.version(name).split("+")[0] == version, name


def test_conda_users_get_the_lock_and_an_allowed_python():
    text = (ROOT / "environment.yml").read_text()
    assert "- -r requirements.lock" in text
    version = next(line.split("=")[1] for line in text.splitlines() if line.strip().startswith("- python="))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert Requirement(f"python{project['requires-python']}").specifier.contains(version)
