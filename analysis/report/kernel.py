"""Notebooks executed by the interpreter that runs, in a kernel that nobody else can reach."""

from __future__ import annotations

import logging
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from nbformat import NotebookNode
from traitlets.config import Config

PATIENCE_S = 300  # a busy machine, or a shared disk that is, is no reason to give up
LONGEST_FOLDER = 70  # the path of a socket has at most about 100 characters


class OwnKernel(AsyncKernelManager):
    """A kernel of the running interpreter, whatever kernels are installed.

    It lives in the folder of its connection file: its sockets are there, and all that Jupyter and IPython would
    otherwise write to the user's home. It ends with the process that started it (`ipykernel.parentpoller`).
    """

    @property
    def kernel_spec(self) -> KernelSpec:
        """How to start it."""
        folder = str(Path(self.connection_file).parent)
        names = ("IPYTHONDIR", "JUPYTER_RUNTIME_DIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR")
        return KernelSpec(
            argv=[
                *(sys.executable, "-m", "analysis.report.kernel_program"),
                *("-f", "{connection_file}", "--HistoryManager.enabled=False"),
            ],
            display_name="evostem",
            language="python",
            env={**dict.fromkeys(names, folder), "PYDEVD_DISABLE_FILE_VALIDATION": "1"},
        )

    async def start_kernel(self, **kwargs: Any) -> None:  # type: ignore[override]
        """Start it; what it has to say for itself is no matter of the terminal's."""
        await super().start_kernel(stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **kwargs)


def private_folder() -> tempfile.TemporaryDirectory[str]:
    """A new folder for a kernel, that only the user can enter."""
    usual = tempfile.gettempdir()
    return tempfile.TemporaryDirectory(prefix="evostem-", dir=usual if len(usual) < LONGEST_FOLDER else "/tmp")  # noqa: S108


def execute(notebook: Path, parameters: dict[str, object], folder: Path) -> NotebookNode:
    """Execute a notebook in a kernel that lives in `folder`; its file is left as it is.

    A cell that fails has an output of the type "error", and those after it are executed all the same. Raises
    whatever kept the kernel from starting or ended it.
    """
    import nbformat
    import papermill
    from papermill.exceptions import PapermillExecutionError

    logging.getLogger("papermill").setLevel(logging.CRITICAL)
    executed = folder / f"{notebook.stem}.ipynb"
    connection = {"transport": "ipc", "connection_file": str(folder / f"{notebook.stem}.json")}
    with suppress(PapermillExecutionError):  # it is among the outputs
        papermill.execute_notebook(
            notebook,
            executed,
            parameters,
            kernel_name="python3",
            progress_bar=False,
            start_timeout=PATIENCE_S,
            iopub_timeout=PATIENCE_S,
            allow_errors=True,
            shutdown_kernel="immediate",
            kernel_manager_class=OwnKernel,
            config=Config(OwnKernel=connection),
            # Not the user's folder: a file there could have the name of one of our modules.
            resources={"metadata": {"path": str(folder)}},
        )
    result: NotebookNode = nbformat.read(executed, nbformat.NO_CONVERT)  # type: ignore[no-untyped-call]
    return result
