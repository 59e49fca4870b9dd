"""One run from the command line: messages, exit status, log."""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, cast

from rich.console import Console

from data_prep.errors import InputError
from workflow.config import RunConfig, load_config
from workflow.progress import LogFile, Progress, Terminal, log
from workflow.run_folder import RunFolder
from workflow.stopping import terminated_as_interrupted

BAD_INPUT, FAILED, INTERRUPTED = 2, 1, 130


def start(
    config_file: Path | None, options: dict[str, Any], path: Path, prepare: Callable[[], None] | None = None
) -> int:
    """Run, or go on with, the run in folder `path`; returns the exit status.

    `prepare` is called once the settings are known to be good. The status is 0 if finished, 1 if it
    failed while running, 2 for unusable input, 130 if interrupted.
    """
    from workflow.inputs import check_site

    console = Console(soft_wrap=True, file=cast(IO[str], Terminal()))
    folder = RunFolder(path)
    try:
        config = load_config(config_file, options)
        check_site(config, folder.path)
        if prepare is not None:
            prepare()
        with terminated_as_interrupted():
            _run(config, folder, Progress(console))
    except InputError as error:
        return refused(error)
    except KeyboardInterrupt:
        complain("\nevostem: stopped; the same command goes on from here")
        return INTERRUPTED
    except Exception as error:  # the last resort: the log has the traceback, the person gets a line
        first = str(error).split("\n")[0] or type(error).__name__
        complain(f"evostem: failed: {first} (details in {folder.log}); the same command tries again")
        return FAILED
    return 0


def refused(error: InputError) -> int:
    """Say in one line what cannot be used; returns the exit status."""
    complain(f"evostem: {' '.join(str(error).split())}")
    return BAD_INPUT


def complain(text: str) -> None:
    """Say a line to the terminal, which may be closed: then to nobody, so that the exit status is ours."""
    try:
        print(text, file=sys.stderr, flush=True)
    except OSError:
        for stream in (sys.stdout, sys.stderr):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def answer(tell: Callable[[], None]) -> int:
    """Run a command that only tells something; returns the exit status. A reader who has seen enough is no error."""
    try:
        tell()
        sys.stdout.flush()
    except InputError as error:
        return refused(error)
    except (BrokenPipeError, SystemExit):  # rich makes the latter of the former
        _drop_output()
    except OSError as error:
        _drop_output()
        return refused(InputError(f"{error.filename or 'the standard output'}: {error.strerror}"))
    return 0


def _drop_output() -> None:
    """Let what is left in the buffer go nowhere: it is written as Python ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _run(config: RunConfig, folder: RunFolder, progress: Progress) -> None:
    from analysis.summary import score_rows
    from site_configs.advice import warnings_of
    from workflow.inputs import check_network, notes_of, source_of, targets_of
    from workflow.pipeline import run_pipeline
    from workflow.search_stage import longest_of

    check_network(config)
    source = source_of(config)
    targets = targets_of(config, source)
    before = folder.site_before()
    with folder.claimed(config):
        if folder.finished:
            progress.say(f"{folder.path} is finished; --name gives a new run another folder")
        else:
            handler = LogFile(folder.log)
            handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
            log.addHandler(handler)
            log.setLevel(logging.INFO)
            log.propagate = False
            try:
                where = f", on {config.site.name}" if config.site.on_cluster else ""
                progress.say(f"{'going on with' if folder.journal.exists() else 'new run in'} {folder.path}{where}")
                if before not in (None, config.site.name):
                    progress.say(f"note: it was on {before} before; --site says where")
                for note in notes_of(config):
                    progress.say(f"note: {note}")
                for warning in warnings_of(config.site, longest_of(config)):
                    progress.say(f"warning: {warning}")
                run_pipeline(config, folder, source, targets, progress)
            except Exception:
                log.exception("failed")
                raise
            finally:
                log.removeHandler(handler)
                handler.close()
        rows = score_rows(folder.maps)
        if rows:
            progress.table(rows)
        summary = json.loads(folder.summary.read_text())
        evaluated = summary["evaluations"]
        progress.say(
            f"{' + '.join(str(count) for count in evaluated.values())} networks evaluated ({' + '.join(evaluated)}), "
            f"workers {100 * summary['worker_utilisation']:.0f} % busy in the {next(iter(evaluated))}"
        )
        for figure in summary["figures"]:
            progress.say(f"figure: {folder.figures / figure}")
        for reason in summary["skipped"]:
            progress.say(f"skipped: {reason}")
        frames = "1 frame" if summary["frames"] == 1 else f"{summary['frames']} frames"
        progress.say(f"{summary['defects']} defects in {frames}: {folder.defects}")
