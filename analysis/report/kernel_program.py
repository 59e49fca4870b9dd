"""The program of a kernel: IPython's own, but listening on no port."""

from __future__ import annotations

from typing import Any

from ipykernel import kernelapp
from ipykernel.iostream import IOPubThread


def silent_to_children(*arguments: Any, **options: Any) -> IOPubThread:
    """The thread that sends what cells put out, without the port on which it would hear of that of forked children."""
    return IOPubThread(*arguments, **{**options, "pipe": False})  # type: ignore[no-untyped-call]


if __name__ == "__main__":
    kernelapp.IOPubThread = silent_to_children  # type: ignore[assignment, attr-defined]
    kernelapp.IPKernelApp.launch_instance()
