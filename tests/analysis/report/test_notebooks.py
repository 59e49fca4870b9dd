"""The notebooks are thin, are kept without outputs, and run on any run folder."""

import ast
from pathlib import Path

import nbformat
import papermill
import pytest

from analysis.report import kernel

NOTEBOOKS = sorted((Path(kernel.__file__).parents[1] / "notebooks").glob("*.ipynb"))


def code_of(path):
    return [cell for cell in nbformat.read(path, 4).cells if cell.cell_type == "code"]


def shown(executed):
    """The HTML that the cells of an executed notebook show."""
    outputs = [output for cell in executed.cells if cell.cell_type == "code" for output in cell.outputs]
    assert [output for output in outputs if output.output_type not in ("execute_result", "display_data")] == []
    return [output["data"]["text/html"] for output in outputs]


def test_all_notebooks_are_there():
    assert [path.stem for path in NOTEBOOKS] == ["defect_histories", "defect_maps", "search_history"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_has_no_outputs_and_calls_the_library_only(path):
    cells = code_of(path)
    assert [cell for cell in cells if cell.outputs or cell.execution_count is not None] == []
    assert [cell.metadata.get("tags") for cell in cells[:2]] == [["parameters"], None]
    for cell in cells[1:]:
        statements = ast.parse(cell.source).body
        assert len(statements) <= 2
        assert {type(statement) for statement in statements} <= {ast.Expr, ast.ImportFrom, ast.Assign}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_where_nothing_is_known(path, bare_run):
    with kernel.private_folder() as folder:
        pieces = shown(kernel.execute(path, {"run": str(bare_run)}, Path(folder)))
    assert len(pieces) == len(code_of(path)) - 2
    figures = [piece for piece in pieces if 'class="frame-viewer"' not in piece]
    assert {piece.split(">")[0] for piece in figures} == {'<p class="note"'}


def test_papermill_itself_runs_a_notebook_as_people_open_it(full_run, tmp_path, monkeypatch):
    """Beside the notebook, with a folder relative to it."""
    notebook = tmp_path / "search_history.ipynb"
    notebook.write_bytes(NOTEBOOKS[-1].read_bytes())
    (tmp_path / "runs").symlink_to(full_run.parent)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    executed = papermill.execute_notebook(
        notebook, tmp_path / "out.ipynb", {"run": f"runs/{full_run.name}"}, progress_bar=False, cwd=tmp_path
    )
    assert sum(piece.count("<img ") for piece in shown(executed)) == 7
