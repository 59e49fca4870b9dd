"""The folder of a run: whose it is, what its jobs are called, and where the run was before."""

import re
import shutil

import pytest

from data_prep.errors import InputError
from workflow.config import load_config
from workflow.run_folder import RunFolder


@pytest.fixture
def config(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "m.tif").write_bytes(b"a movie")
    return lambda **site: load_config(None, {"movie": "m.tif", "site": site})


def mode(path):
    return path.stat().st_mode & 0o777


def test_jobs_of_a_run_have_the_same_name_in_all_its_lives_and_those_of_another_have_another(tmp_path, config):
    names = []
    for run in ("one", "two"):
        with RunFolder(tmp_path / run).claimed(config()):
            names.append(RunFolder(tmp_path / run).site_name)
        with RunFolder(tmp_path / run).claimed(config(workers=3)):
            assert RunFolder(tmp_path / run).site_name == names[-1]
    assert all(re.fullmatch("evostem[0-9a-f]{8}", name) for name in names)
    assert names[0] != names[1]
    shutil.copytree(tmp_path / "one", tmp_path / "copy")
    assert RunFolder(tmp_path / "copy").site_name != names[0]


def test_a_run_that_is_begun_again_in_the_same_place_is_another(tmp_path, config):
    folder = RunFolder(tmp_path / "run")
    with folder.claimed(config()):
        before = folder.site_name
    shutil.rmtree(folder.path)
    with folder.claimed(config()):
        assert folder.site_name != before


def test_where_a_run_was_before_is_known(tmp_path, config):
    folder = RunFolder(tmp_path / "run")
    assert folder.site_before() is None
    with folder.claimed(config(like="frontier", account="abc123")):
        pass
    assert folder.site_before() == "frontier"
    with folder.claimed(config()):
        assert folder.site_before() == "local"
    folder.config.write_text("colour = 3")
    assert folder.site_before() is None


@pytest.mark.parametrize("there", [False, True])
def test_a_new_run_s_folder_is_the_user_s_alone(tmp_path, config, there):
    folder = RunFolder(tmp_path / "run")
    if there:
        folder.path.mkdir(mode=0o755)
    with folder.claimed(config()):
        assert mode(folder.path) == 0o700


def test_a_run_s_folder_that_was_opened_to_others_stays_so(tmp_path, config):
    folder = RunFolder(tmp_path / "run")
    with folder.claimed(config()):
        pass
    folder.path.chmod(0o750)
    with folder.claimed(config()):
        assert mode(folder.path) == 0o750


def test_a_folder_that_holds_something_else_keeps_its_mode(tmp_path, config):
    folder = RunFolder(tmp_path / "public")
    folder.path.mkdir()
    folder.path.chmod(0o755)
    (folder.path / "thesis.txt").write_text("for all")
    with pytest.raises(InputError, match=r"thesis\.txt"), folder.claimed(config()):
        pass
    assert mode(folder.path) == 0o755
