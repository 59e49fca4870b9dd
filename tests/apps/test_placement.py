"""Where a worker works: GPUs by rank, as the batch system numbers them; the marks of busy workers; the node's name."""

import os
import socket
import stat

import pytest

from apps.placement import busy, node, place, threads

VARIABLES = ["CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES", "ZE_AFFINITY_MASK"]
TOLD = ["EVOSTEM_GPUS", "EVOSTEM_GPU_VENDOR", "EVOSTEM_WORKERS_PER_GPU", "EVOSTEM_THREADS", "EVOSTEM_MARKS"]


@pytest.fixture(autouse=True)
def _bare(monkeypatch):
    """An environment that says nothing of GPUs, and is put back whatever `place` does to it."""
    for name in [*VARIABLES, *TOLD, "PARSL_WORKER_RANK", "SLURMD_NODENAME"]:
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    place.cache_clear()
    yield
    place.cache_clear()


def placed(monkeypatch, rank, **variables):
    """What a new worker of that rank gets."""
    place.cache_clear()
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    for name, value in {**variables, "PARSL_WORKER_RANK": rank}.items():
        monkeypatch.setenv(name, str(value))
    return place()


@pytest.mark.parametrize(
    ("sharing", "numbers"), [(1, "0123"), (2, "00112233"), (3, "000111222333")], ids=["one", "two", "three"]
)
def test_so_many_workers_share_each_gpu_of_a_node(monkeypatch, sharing, numbers):
    facts = {"EVOSTEM_GPUS": 4, "EVOSTEM_WORKERS_PER_GPU": sharing}
    assert "".join(placed(monkeypatch, rank, **facts) for rank in range(4 * sharing)) == numbers


def test_workers_are_alone_on_their_gpu_if_nothing_else_is_said(monkeypatch):
    assert [placed(monkeypatch, rank, EVOSTEM_GPUS=2) for rank in range(2)] == ["0", "1"]


def test_a_worker_too_many_shares_a_gpu_rather_than_having_none(monkeypatch):
    assert placed(monkeypatch, 2, EVOSTEM_GPUS=2) == "0"


@pytest.mark.parametrize(
    ("vendor", "variable"),
    [("nvidia", "CUDA_VISIBLE_DEVICES"), ("amd", "CUDA_VISIBLE_DEVICES"), ("intel", "ZE_AFFINITY_MASK")],
)
def test_a_gpu_is_given_in_its_vendors_way_and_in_no_other(monkeypatch, vendor, variable):
    assert placed(monkeypatch, 3, EVOSTEM_GPUS=4, EVOSTEM_GPU_VENDOR=vendor) == "3"
    assert {name: os.environ[name] for name in VARIABLES if name in os.environ} == {variable: "3"}


def test_an_amd_gpu_is_not_chosen_twice(monkeypatch):
    """One variable picks among what the other leaves: of one GPU there would be none with the number 1."""
    facts = {"EVOSTEM_GPUS": 2, "EVOSTEM_GPU_VENDOR": "amd", "HIP_VISIBLE_DEVICES": "0,1"}
    assert placed(monkeypatch, 1, **facts) == "1"
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "1"
    assert "HIP_VISIBLE_DEVICES" not in os.environ


@pytest.mark.parametrize(("sharing", "numbers"), [(1, ["2", "3"]), (2, ["2", "2", "3", "3"])])
def test_gpus_of_the_batch_systems_own_choice_are_those(monkeypatch, sharing, numbers):
    facts = {"EVOSTEM_GPUS": 2, "EVOSTEM_WORKERS_PER_GPU": sharing, "CUDA_VISIBLE_DEVICES": "2,3"}
    assert [placed(monkeypatch, rank, **facts) for rank in range(len(numbers))] == numbers
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "3"


@pytest.mark.parametrize(
    ("vendor", "given"),
    [
        ("nvidia", {"CUDA_VISIBLE_DEVICES": "GPU-1f2e,MIG-7a"}),
        ("intel", {"ZE_AFFINITY_MASK": "1.0,1.1"}),
        ("amd", {"HIP_VISIBLE_DEVICES": "2,3"}),
    ],
)
def test_whatever_the_batch_system_calls_gpus(monkeypatch, vendor, given):
    ((_, names),) = given.items()
    facts = {"EVOSTEM_GPUS": 2, "EVOSTEM_GPU_VENDOR": vendor, **given}
    assert [placed(monkeypatch, rank, **facts) for rank in range(2)] == names.split(",")


def test_amds_lower_layer_has_renumbered_what_it_leaves(monkeypatch):
    """With ROCR_VISIBLE_DEVICES=2,3, HIP and torch count from 0 again."""
    facts = {"EVOSTEM_GPUS": 2, "EVOSTEM_GPU_VENDOR": "amd", "ROCR_VISIBLE_DEVICES": "2,3"}
    assert [placed(monkeypatch, rank, **facts) for rank in range(2)] == ["0", "1"]
    assert os.environ["ROCR_VISIBLE_DEVICES"] == "2,3"


def test_fewer_gpus_than_the_node_has_are_shared(monkeypatch):
    facts = {"EVOSTEM_GPUS": 4, "CUDA_VISIBLE_DEVICES": "5"}
    assert [placed(monkeypatch, rank, **facts) for rank in range(4)] == ["5"] * 4


@pytest.mark.parametrize("gpus", [{}, {"EVOSTEM_GPUS": "0"}])
def test_without_gpus_nothing_is_set(monkeypatch, gpus):
    before = {**os.environ, **gpus, "PARSL_WORKER_RANK": "1", "CUDA_VISIBLE_DEVICES": "", "HIP_VISIBLE_DEVICES": "0"}
    assert placed(monkeypatch, 1, CUDA_VISIBLE_DEVICES="", HIP_VISIBLE_DEVICES="0", **gpus) == ""
    assert dict(os.environ) == before


def test_a_worker_keeps_its_gpu_though_it_is_asked_again(monkeypatch):
    """What it sees by then is a single GPU, of which it must not choose again."""
    assert placed(monkeypatch, 1, EVOSTEM_GPUS=2, CUDA_VISIBLE_DEVICES="6,7") == "7"
    assert place() == "7"
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "7"


def test_threads_are_as_the_guard_says_or_one(monkeypatch):
    assert threads() == 1
    monkeypatch.setenv("EVOSTEM_THREADS", "7")
    assert threads() == 7


def test_a_node_has_the_batch_systems_name_or_its_own(monkeypatch):
    assert node() == socket.gethostname()
    monkeypatch.setenv("SLURMD_NODENAME", "n17")  # several may be on one machine, as on a test cluster
    assert node() == "n17"


def test_a_worker_is_marked_while_it_is_busy(monkeypatch, tmp_path):
    monkeypatch.setenv("EVOSTEM_MARKS", str(tmp_path))
    with busy():
        assert [path.name for path in tmp_path.iterdir()] == [str(os.getpid())]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("error", [ValueError, SystemExit, KeyboardInterrupt])
def test_the_mark_goes_whatever_ends_the_work(monkeypatch, tmp_path, error):
    monkeypatch.setenv("EVOSTEM_MARKS", str(tmp_path))
    with pytest.raises(error), busy():
        raise error
    assert list(tmp_path.iterdir()) == []


def test_a_worker_works_without_a_guard():
    with busy():
        done = True
    assert done


def test_a_folder_that_is_missing_does_not_matter(monkeypatch, tmp_path):
    monkeypatch.setenv("EVOSTEM_MARKS", str(tmp_path / "gone"))
    with busy():
        done = True
    assert done
    assert not (tmp_path / "gone").exists()


def test_a_folder_that_goes_during_the_work_does_not_matter(monkeypatch, tmp_path):
    marks = tmp_path / "marks"
    marks.mkdir()
    monkeypatch.setenv("EVOSTEM_MARKS", str(marks))
    with busy():
        for mark in marks.iterdir():
            mark.unlink()
        marks.rmdir()
    assert not marks.exists()


def test_a_full_disk_does_not_matter(monkeypatch, tmp_path):
    def touch(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setenv("EVOSTEM_MARKS", str(tmp_path))
    monkeypatch.setattr("pathlib.Path.touch", touch)
    with busy():
        done = True
    assert done


def test_a_folder_that_cannot_be_written_does_not_matter(monkeypatch, tmp_path):
    tmp_path.chmod(stat.S_IRUSR | stat.S_IXUSR)  # root writes there all the same
    monkeypatch.setenv("EVOSTEM_MARKS", str(tmp_path))
    with busy():
        done = True
    tmp_path.chmod(stat.S_IRWXU)
    assert done
    assert list(tmp_path.iterdir()) == []
