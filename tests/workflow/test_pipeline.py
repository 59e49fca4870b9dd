"""What the pipeline tells of its workers."""

from contextlib import closing
from types import SimpleNamespace

from search.evaluation import Evaluation, Request, Status
from search.journal import Journal
from workflow.pipeline import _repeat_warnings


def test_a_warning_of_many_networks_is_said_once(tmp_path):
    seen = [("a", "disk full"), ("a", "disk full"), ("b", "disk full"), ("b", ""), ("c", "no such folder")]
    said = []
    with closing(Journal(tmp_path / "journal.sqlite")) as journal:
        journal.append(
            Evaluation(Request(i, "evolution", 0, b"", 0), Status.OK, warning=warning, host=host)
            for i, (host, warning) in enumerate(seen)
        )
        _repeat_warnings(SimpleNamespace(progress=SimpleNamespace(say=said.append)), journal)
    assert said == ["warning from 2 nodes: disk full", "warning from c: no such folder"]
