"""`report.html`: a run in one file that opens anywhere, made from the notebooks."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from importlib.resources import as_file, files
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING

from analysis.report.markup import Html, joined, packaged
from analysis.report.run_view import RunView
from data_prep.files import whole_file

if TYPE_CHECKING:
    from nbformat import NotebookNode

NOTEBOOKS = ("defect_maps", "defect_histories", "search_history")
FILES_HEAD = """<h2>Files</h2>
<p>These lie beside this page, in the folder of the run. Tables are there as CSV, for a spreadsheet, and as Parquet.
</p>"""
ABOUT = "Defects in a movie from an electron microscope, and the search for the network that found them (evostem)."
HEADING = re.compile("<h([23])>(.*?)</h", re.DOTALL)


@dataclass(frozen=True)
class Section:
    """What became of a notebook: HTML, and the reasons why parts of it are missing."""

    html: str
    failed: list[str]


def make_report(folder: Path, out: Path) -> list[str]:
    """Write the report of the run in a folder as one HTML file that loads nothing.

    What cannot be shown has the reason in its place; returns these reasons. Raises InputError if `folder` holds no
    run, or the disk is full.
    """
    view = RunView(folder.absolute())
    headline = _try("headline", view.headline)
    sections = [_section(name, view.folder) for name in NOTEBOOKS]
    listed = _try("files", lambda: joined(Html(FILES_HEAD), view.files()))
    body, contents = _with_contents("\n".join(section.html for section in (*sections, listed)))
    page = Template(packaged("page.html")).substitute(
        title=escape(f"Run {view.folder.name}"),
        about=ABOUT,
        style=packaged("style.css"),
        headline=headline.html,
        contents=contents,
        sections=body,
    )
    with whole_file(out) as temporary:
        temporary.write_text(page, encoding="utf-8")
    return [reason for section in (headline, *sections, listed) for reason in section.failed]


def _section(name: str, folder: Path) -> Section:
    """The section that a notebook makes, in a kernel of its own."""
    from analysis.report.kernel import execute, private_folder

    def run() -> Section:
        with private_folder() as private, as_file(files("analysis").joinpath("notebooks", f"{name}.ipynb")) as notebook:
            executed = execute(notebook, {"run": str(folder)}, Path(private))
        failed = _mend(executed)
        return Section(f"<section>{_html(executed)}</section>", [f"{name}: {reason}" for reason in failed])

    return _caught(name, run)


def _try(name: str, show: Callable[[], Html]) -> Section:
    return _caught(name, lambda: Section(show().text, []))


def _caught(name: str, make: Callable[[], Section]) -> Section:
    """A section, or a line that says why it could not be made: nothing of a run shall be lost for it."""
    try:
        return make()
    except Exception as error:
        reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
        said = f"This part ({name.replace('_', ' ')}) could not be made: {reason}"
        return Section(_failed(said), [f"{name}: {reason}"])


def _failed(text: str) -> str:
    return f'<p class="failed">{escape(text)}</p>'


def _mend(notebook: NotebookNode) -> list[str]:
    """Make an executed notebook part of a page: headings one level down, only what is to be seen.

    Returns why cells failed; each says so in its place.
    """
    import nbformat

    reasons = []
    notebook.cells = [c for c in notebook.cells if "papermill-error-cell-tag" not in c.metadata.get("tags", [])]
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = re.sub("^#", "##", cell.source, flags=re.MULTILINE)
            continue
        for number, output in enumerate(cell.outputs):
            if output.output_type == "error":
                reasons.append(f"{output.ename}: {' '.join(output.evalue.split())}")
                said = {"text/html": _failed(f"This could not be shown: {reasons[-1]}")}
                cell.outputs[number] = nbformat.v4.new_output("display_data", said)  # type: ignore[no-untyped-call]
        cell.outputs = [output for output in cell.outputs if output.output_type != "stream"]
    return reasons


def _html(notebook: NotebookNode) -> str:
    """What a notebook shows, without its code."""
    from nbconvert import HTMLExporter

    left_out = {f"exclude_{name}": True for name in ("input", "output_prompt", "anchor_links")}
    exporter = HTMLExporter(template_name="basic", **left_out)  # type: ignore[no-untyped-call]
    return str(exporter.from_notebook_node(notebook)[0])


def _with_contents(html: str) -> tuple[str, str]:
    """The same with names for its headings, and a list of these, those of level 3 within those of level 2."""
    lists: list[str] = []

    def name(found: re.Match[str]) -> str:
        level, text = found.groups()
        link = f'<a href="#part-{len(lists)}">{text}</a>'
        between = "</ul></li>" if lists else ""
        lists.append(f"<li>{link}</li>" if level == "3" else f"{between}<li>{link}<ul>")
        return f'<h{level} id="part-{len(lists) - 1}">{text}</h'

    named = HEADING.sub(name, html)
    return named, f"<ul>{''.join(lists)}</ul></li></ul>"
