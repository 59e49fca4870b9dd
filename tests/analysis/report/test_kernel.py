"""Kernels end with who started them, write nothing to the user's home, and nobody can reach them."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import psutil
import pytest

from analysis.report.kernel import execute, private_folder

EXECUTE = """
import sys
from analysis.report.kernel import Path, execute, private_folder
with private_folder() as folder:
    execute(Path(sys.argv[1]), {"run": "x"}, Path(folder))
"""
KERNEL = {"name": "python3", "language": "python", "display_name": "Python 3"}


@pytest.fixture
def notebook(tmp_path):
    def write(*cells):
        parameters = nbformat.v4.new_code_cell('run = ""', metadata={"tags": ["parameters"]})
        rest = [nbformat.v4.new_code_cell(cell) for cell in cells]
        path = tmp_path / "notebook.ipynb"
        nbformat.write(nbformat.v4.new_notebook(cells=[parameters, *rest], metadata={"kernelspec": KERNEL}), path)
        return path

    return write


def said(executed):
    """What cells put out, text or the names of their errors."""
    outputs = [output for cell in executed.cells if cell.cell_type == "code" for output in cell.outputs]
    return [output.get("text") or output.get("ename") or output["data"]["text/plain"] for output in outputs]


def test_cells_run_by_this_interpreter_and_one_that_fails_does_not_keep_the_others(notebook):
    path = notebook("import sys; print(run, sys.executable)", "1 / 0", "40 + 2")
    before = path.read_bytes()
    with private_folder() as folder:
        executed = execute(path, {"run": "it's ü"}, Path(folder))
    assert said(executed) == [f"it's ü {sys.executable}\n", "ZeroDivisionError", "42"]
    assert path.read_bytes() == before
    assert not Path(folder).exists()


def test_a_module_in_the_users_folder_does_not_take_the_place_of_ours(notebook, tmp_path, monkeypatch):
    (tmp_path / "analysis.py").write_text("raise SystemExit")
    monkeypatch.chdir(tmp_path)
    with private_folder() as folder:
        executed = execute(notebook("import analysis.target; print('ours')"), {}, Path(folder))
    assert said(executed) == ["ours\n"]


def test_a_kernel_listens_on_no_port_and_only_its_user_reaches_its_sockets(notebook):
    cell = "import psutil; print([c for c in psutil.Process().net_connections('inet') if c.status == 'LISTEN'])"
    with private_folder() as folder:
        assert Path(folder).stat().st_mode & 0o077 == 0
        executed = execute(notebook(cell), {}, Path(folder))
    assert said(executed) == ["[]\n"]


def test_a_kernel_that_dies_is_an_error_that_says_so(notebook):
    with private_folder() as folder, pytest.raises(Exception, match="died"):
        execute(notebook("import os; os._exit(1)"), {}, Path(folder))


def test_nothing_is_said_or_written_to_the_users_home(notebook, tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    path = notebook("import warnings; warnings.warn('loud')", "1 / 0")
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("XDG", "IPYTHON", "JUPYTER"))
    }
    done = subprocess.run(
        [sys.executable, "-c", EXECUTE, path],
        env={**environment, "HOME": str(home)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert (done.stdout, done.stderr) == ("", "")
    assert list(home.rglob("*")) == []


def test_a_kernel_ends_when_who_started_it_is_killed(notebook, tmp_path):
    told = tmp_path / "pid"
    cell = f"import os, time; open({str(told)!r}, 'w').write(str(os.getpid()) + '.'); time.sleep(600)"
    parent = subprocess.Popen(
        [sys.executable, "-c", EXECUTE, notebook(cell)], env={**os.environ, "TMPDIR": str(tmp_path)}
    )
    deadline = time.monotonic() + 60
    while not (told.exists() and told.read_text().endswith(".")):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    kernel = psutil.Process(int(told.read_text()[:-1]))
    assert kernel.is_running()
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    kernel.wait(60)  # raises if it is still there
