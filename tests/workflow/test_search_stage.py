"""What the search tells of its workers."""

from contextlib import closing

from search.evaluation import Evaluation, Request, Status
from search.journal import Journal
from workflow.search_stage import repeat_warnings


def test_a_warning_of_many_networks_is_said_once(tmp_path):
    seen = [("a", "disk full"), ("a", "disk full"), ("b", "disk full"), ("b", ""), ("c", "no such folder")]
    said = []
    with closing(Journal(tmp_path / "journal.sqlite")) as journal:
        journal.append(
            Evaluation(Request(i, "evolution", 0, b"", 0), Status.OK, warning=warning, host=host)
            for i, (host, warning) in enumerate(seen)
        )
        repeat_warnings(journal, said.append)
    assert said == ["warning from 2 nodes: disk full", "warning from c: no such folder"]
