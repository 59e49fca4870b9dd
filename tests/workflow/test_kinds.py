"""`evostem kinds`: what people decide holds, everywhere and from then on; what fails changes nothing."""

import errno
import json
import os
import re
import signal
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from workflow import kinds as command
from workflow import run_folder
from workflow.cli import app
from workflow.config import load_config
from workflow.run_folder import RunFolder


def evostem(*words):
    return CliRunner(env={"COLUMNS": "160"}).invoke(app, [str(word) for word in words])


def contents(folder):
    """All that a run holds: names and bytes."""
    return {
        path.relative_to(folder): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != ".lock"
    }


def refused(done, said):
    assert (done.exit_code, done.stderr.count("\n")) == (2, 1), done.output
    assert re.search(said, done.stderr), done.stderr


def found(run):
    """Number, name, sublattice and count of each kind, as the table of kinds has them."""
    table = pd.read_csv(run.folder / "library" / "kinds.csv", keep_default_na=False)
    return list(table[["number", "kind", "sublattice", "count"]].itertuples(index=False, name=None))


def called(run):
    return [name for _, name, _, _ in found(run)]


@pytest.fixture
def run(learnt, tmp_path, monkeypatch):
    """A copy of a run with its figures and its report, which cost time, as texts that say which kinds they show."""

    def draw(folder, _targets, _rules, _maps):
        (folder / "figures").mkdir(exist_ok=True)
        (folder / "figures" / "defect_library.png").write_text((folder / "library" / "kinds.csv").read_text())
        return command.Drawn([folder / "figures" / "defect_library.png"], [])

    def report(folder):
        (folder / "report.html").write_text(f"{folder.name} {(folder / 'library' / 'kinds.csv').read_text()}")
        return []

    monkeypatch.setattr(command, "draw_figures", draw)
    monkeypatch.setattr(command, "write_report", report)
    copy = learnt.copied(tmp_path / "runs" / "small")
    draw(copy.folder, (), None, copy.maps)
    report(copy.folder)
    return copy


def change(run, *words):
    """Change something; all that shows kinds must show the same ones then."""
    done = evostem("kinds", run.folder, *words)
    assert done.exit_code == 0, done.output
    assert "warning" not in done.output
    tables, kinds = run.tables(), found(run)
    names = {name for _, name, _, _ in kinds}
    assert [str(number) for number, *_ in kinds] == re.findall(r"^ +(\d+)  ", done.output, re.MULTILINE)
    seen = tables["defects"][tables["defects"]["found_by"] != "history"]
    assert len(seen) == sum(count for *_, count in kinds)
    for name in ("defects", "counts"):
        assert set(tables[name]["kind"]) <= names
    assert set(tables["confusion"].query("by == 'library'")["found"]) <= names | {"missed"}
    for shown in ("report.html", "figures/defect_library.png"):
        assert (run.folder / "library" / "kinds.csv").read_text() in (run.folder / shown).read_text()
    assert (run.folder / "report.html").read_text().startswith("small ")
    assert not (run.folder / ".aside").exists()
    return done


def test_kinds_are_listed_and_nothing_changes(run):
    before = contents(run.folder)
    done = evostem("kinds", run.folder)
    assert done.exit_code == 0
    for number, name, sublattice, count in found(run):
        words = f"{number} +{re.escape(name.split(' (')[0])} .*{sublattice or '-'} +{count} "
        assert re.search(rf"^ +{words}", done.output, re.MULTILINE), name
    assert contents(run.folder) == before


def test_names_are_given_and_hold_when_the_analysis_is_made_again(run):
    before = found(run)
    assert called(run)[:2] == ["molybdenum", "sulphur_vacancy"]
    change(run, "--name", "1=Mo on [W]", "--name", " 2 = missing S, or two ")
    names = ["Mo on [W]", "missing S, or two"]
    assert found(run) == [
        (number, name, sublattice, count)
        for (number, _, sublattice, count), name in zip(before, names + called(run)[2:], strict=True)
    ]
    assert "Mo on [W]" in evostem("kinds", run.folder).output
    change(run, "--name", "2=no sulphur")
    assert called(run)[:2] == ["Mo on [W]", "no sulphur"]
    (run.folder / "defects.csv").unlink()
    assert run.analyse() == []
    assert called(run)[:2] == ["Mo on [W]", "no sulphur"]


def test_a_kind_is_split_its_parts_are_named_and_merged_again(run):
    _, _, sublattice, count = found(run)[1]
    change(run, "--split", "2")
    parts = [kind for kind in found(run) if kind[2] == sublattice]
    assert [number for number, *_ in parts] == [2, 3]
    assert sum(count for *_, count in parts) == count
    assert min(count for *_, count in parts) > 0
    change(run, "--name", "2=one", "--name", "3=two")
    assert called(run)[1:3] == ["one", "two"]
    assert [kind[3] for kind in found(run)[1:3]] == [kind[3] for kind in parts]
    change(run, "--merge", "3, 2")
    assert found(run)[1] == (2, "two", sublattice, count)
    change(run, "--split", "2")  # one that was merged is again what it was made of
    assert [kind[3] for kind in found(run) if kind[2] == sublattice] == [kind[3] for kind in parts]


def test_a_name_and_a_merge_in_one_command_are_taken_in_this_order(run):
    change(run, "--split", "2")
    change(run, "--name", "3=empty", "--merge", "3,2")
    assert called(run)[1] == "empty"
    assert "sulphur" not in "".join(called(run)[:2])


def test_a_kind_of_two_names_has_the_last(run):
    change(run, "--name", "1=first", "--name", "1=last")
    assert called(run)[0] == "last"


BAD = {
    "no number": (("--name", "oxygen"), r"--name oxygen: give a kind's number and its name"),
    "no name": (("--name", "2="), r"--name 2=: give a kind's number"),
    "no kind": (("--name", "9=oxygen"), r"--name: there is no kind 9; there are 1, 2, 3"),
    "zero": (("--name", "0=oxygen"), r"--name: there is no kind 0"),
    "one is good": (("--name", "1=good", "--name", "77=bad"), r"there is no kind 77"),
    "too long": (("--name", f"2={'x' * 61}"), r"at most 60 characters"),
    "not to be printed": (("--name", "2=a\x1b[31mb"), r"a name is one line"),
    "two lines": (("--name", "2=a\nb"), r"--name 2=a b: give a kind's number"),
    "merge of one": (("--merge", "2"), r"--merge 2: give the numbers of the kinds to be one"),
    "merge with itself": (("--merge", "2,2"), r"--merge 2,2: give"),
    "merge by name": (("--merge", "1,hole"), r"--merge 1,hole: give"),
    "merge with none": (("--merge", "1,9"), r"--merge: there is no kind 9"),
    "across sublattices": (("--merge", "1,2"), r"kinds 1 \(A\) and 2 \(B\) are on different sublattices"),
    "of one name": (("--name", "1=x", "--name", "2=x"), r"kinds 1 \(A\) and 2 \(B\) are on different sublattices"),
    "name of another": (("--name", "1=sulphur_vacancy"), r"kinds 1 \(A\) and 2 \(B\) are on different sublattices"),
    "split of none": (("--split", "9"), r"--split: there is no kind 9"),
    "split and bad name": (("--split", "2", "--name", "x"), r"--name x: give"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_be_is_one_line_and_changes_nothing(case, run):
    words, said = BAD[case]
    (run.folder / "library" / "names.json").write_text('{"format": "evostem kinds 1", "names": [], "splits": []}')
    before = contents(run.folder)
    done = evostem("kinds", run.folder, *words)
    refused(done, said)
    assert done.stdout == ""
    assert contents(run.folder) == before


def test_a_kind_of_one_cannot_be_split(run):
    number = next((number for number, _, _, count in found(run) if count == 1), None)
    if number is None:
        pytest.skip("this network found no kind of which there is one")
    refused(evostem("kinds", run.folder, "--split", number), "only one such defect was found")


def test_a_folder_without_kinds_says_what_to_do(run, tmp_path):
    refused(evostem("kinds", tmp_path / "none"), "no such folder")
    refused(evostem("kinds", tmp_path), "is not the folder of a run")
    maps = run.maps.rename(tmp_path / "maps.h5")
    refused(evostem("kinds", run.folder), "has no kinds of defects yet; give the command again")
    maps.rename(run.maps)
    (run.folder / "library" / "library.h5").unlink()
    refused(evostem("kinds", run.folder), "has no kinds: no defects were found, or evostem.log tells")
    (run.folder / "defects.csv").unlink()
    refused(evostem("kinds", run.folder), "has no kinds of defects yet; give the command again")


def test_a_run_of_an_earlier_version_says_what_to_do(run):
    (run.folder / "targets.json").unlink()
    refused(evostem("kinds", run.folder, "--name", "1=x"), "from an earlier evostem; remove maps.h5, summary.json")


@pytest.mark.parametrize("words", [(), ("--name", "1=x")])
@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("library.h5", b"no HDF5", r"library: is damaged \(.*\); remove defects\.csv and summary\.json"),
        ("signatures.json", b"{", r"library: is damaged \(.*\); remove defects\.csv and summary\.json"),
        ("signatures.json", b'{"1": [{}]}', r"library: is damaged \(.*\); remove defects\.csv and summary\.json"),
    ],
)
def test_a_damaged_library_is_told(run, words, name, content, said):
    (run.folder / "library" / name).write_bytes(content)
    before = contents(run.folder)
    refused(evostem("kinds", run.folder, *words), said)
    assert contents(run.folder) == before


@pytest.mark.parametrize("content", [b"{", b"[]", b"\xff\xfe", b'{"format": "evostem kinds 9"}', b'{"format": 1}'])
def test_damaged_names_are_told_and_left_alone(run, content):
    names = run.folder / "library" / "names.json"
    names.write_bytes(content)
    before = contents(run.folder)
    refused(evostem("kinds", run.folder, "--name", "1=x"), r"names\.json: is ")
    assert contents(run.folder) == before
    assert evostem("kinds", run.folder).exit_code == 0  # to look needs no names


def test_a_run_that_another_driver_holds_is_left_alone(run, monkeypatch):
    monkeypatch.setattr(run_folder, "CLAIM_PATIENCE_S", 0.1)
    folder = RunFolder(run.folder)
    before = contents(run.folder)
    with folder.claimed(load_config(folder.config, {})):
        refused(evostem("kinds", run.folder, "--name", "1=x"), "another evostem is working in this folder")
        assert evostem("kinds", run.folder).exit_code == 0  # to look is allowed
    assert contents(run.folder) == before


def test_a_movie_that_is_gone_changes_nothing(run, tmp_path):
    config = run.folder / "config.toml"
    config.write_text(config.read_text().replace(str(run.source.movie), str(tmp_path / "gone.tif")))
    before = contents(run.folder)
    refused(evostem("kinds", run.folder, "--name", "1=x"), r"gone\.tif: No such file")
    assert contents(run.folder) == before


@pytest.mark.parametrize("last", ["names.json", "library.h5", "defects.parquet"])
def test_a_full_disk_changes_nothing(run, monkeypatch, last):
    flush = os.fsync

    def full(descriptor):
        if Path(f"/proc/self/fd/{descriptor}").readlink().match(f".unfinished-{last.split('.')[0]}-*"):
            raise OSError(errno.ENOSPC, "No space left on device")
        flush(descriptor)

    before = contents(run.folder)
    monkeypatch.setattr(os, "fsync", full)
    refused(evostem("kinds", run.folder, "--name", "1=x"), "the disk is full; make room and give the same command")
    monkeypatch.undo()
    assert contents(run.folder) == before
    assert not (run.folder / ".aside").exists()


@pytest.mark.parametrize("where", [".lock", ".aside"])
def test_a_folder_that_is_read_only_is_told(run, monkeypatch, where):
    """As root, permissions forbid nothing: what the system would say is put in its mouth."""

    def read_only(original):
        def refuse(path, *arguments, **options):
            if where in path.parts:
                raise OSError(errno.EROFS, "Read-only file system", str(path))
            return original(path, *arguments, **options)

        return refuse

    before = contents(run.folder)
    for name in ("open", "mkdir"):
        monkeypatch.setattr(Path, name, read_only(getattr(Path, name)))
    done = evostem("kinds", run.folder, "--name", "1=x")
    monkeypatch.undo()
    refused(done, "Read-only file system")
    assert contents(run.folder) == before


def quick_analysis(folder, _source, _maps):
    """Stands for one that finds the same kinds."""
    for path in (folder.parents[1] / "library").iterdir():
        (folder / "library" / path.name).write_bytes(path.read_bytes() + b" ")
    return []


def interrupt(*_arguments):
    raise KeyboardInterrupt


def terminate(*_arguments):
    os.kill(os.getpid(), signal.SIGTERM)


@pytest.mark.parametrize("stop", [interrupt, terminate])
@pytest.mark.parametrize("where", ["analyse", "draw_figures", "write_report"])
def test_what_is_interrupted_changes_nothing_and_the_same_command_does_it(run, monkeypatch, where, stop):
    before = contents(run.folder)
    with monkeypatch.context() as patch:
        patch.setattr(command, "analyse", quick_analysis)
        patch.setattr(command, where, stop)
        done = evostem("kinds", run.folder, "--name", "1=x")
    assert done.exit_code == 130
    assert "stopped; the kinds are as they were" in done.stderr
    assert contents(run.folder) == before
    if where == "write_report" and stop is interrupt:
        change(run, "--name", "1=x")
        assert called(run)[0] == "x"


def crash(*_arguments, **_options):
    raise ZeroDivisionError("no such\nthing")


@pytest.mark.parametrize("where", ["workflow.kinds.analyse", "analysis.library.build.build_library"])
def test_a_failure_changes_nothing(run, monkeypatch, where):
    before = contents(run.folder)
    with monkeypatch.context() as patch:
        patch.setattr(where, crash)
        done = evostem("kinds", run.folder, "--split", "2")
    assert (done.exit_code, done.stderr.count("\n")) == (1, 1)
    assert "no such" in done.stderr
    assert contents(run.folder) == before


def test_a_part_that_fails_is_told_and_the_kinds_are_changed(run, monkeypatch):
    monkeypatch.setattr("analysis.surroundings.surroundings", crash)
    done = evostem("kinds", run.folder, "--name", "1=x")
    assert done.exit_code == 0
    assert "warning: the surroundings of defects could not be made: ZeroDivisionError: no such thing" in done.output
    assert called(run)[0] == "x"


def test_what_was_decided_is_kept_as_json_for_people_to_read(run):
    change(run, "--name", "1=x")
    stored = json.loads((run.folder / "library" / "names.json").read_text())
    assert [entry["name"] for entry in stored["names"]] == ["x"]
    assert stored["splits"] == []


def test_what_a_run_killed_in_the_middle_has_left_is_cleared_away(run):
    left = run.folder / ".aside" / "small" / "library" / "names.json"
    left.parent.mkdir(parents=True)
    left.write_text("half")
    change(run, "--name", "1=x")
    assert not (run.folder / ".aside").exists()
