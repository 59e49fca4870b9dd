"""The command, end to end, on a tiny movie and through real workers."""

import csv
import json
import os
import pty
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import tifffile

from tests.apps.small_run import TABLES, check_tables

EVOSTEM = str(Path(sys.executable).with_name("evostem"))
CONFIG = """
[search]
population = 3
generations = 2
iterations = 12
[tuning]
random_sets = 2
chosen_sets = 2
[training]
iterations = 60
[site]
node_local = "$NODE_DISK"
"""


def evostem(*arguments, cwd):
    return subprocess.run([EVOSTEM, *map(str, arguments)], cwd=cwd, capture_output=True, text=True, check=False)


def recorded(journal):
    if not journal.exists():
        return {}
    database = sqlite3.connect(f"file:{journal}?mode=ro", uri=True)
    try:
        return dict(database.execute("SELECT evaluation, record FROM evaluations"))
    except sqlite3.OperationalError:
        return {}
    finally:
        database.close()


def children_of(cwd):
    """Processes of a run that are still there: all of them work in the folder it was started in."""
    alive = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if (entry / "cwd").readlink() == cwd:
                alive.append((entry / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:
            continue  # gone already, or a zombie
    return alive


@pytest.mark.htex
def test_a_run_killed_and_interrupted_goes_on_to_the_end(tiny_movie, tmp_path, monkeypatch):
    movie, truth = tiny_movie
    node = tmp_path / "node"
    node.mkdir()
    monkeypatch.setenv("NODE_DISK", str(node))
    config = tmp_path / "small.toml"
    config.write_text(CONFIG)
    command = ["run", movie, "--truth", truth, "--config", config, "--name", "r", "--runs", "my runs", "--workers", "2"]
    folder = tmp_path / "my runs" / "r"  # a space must not matter
    journal = folder / "journal.sqlite"
    before = {}
    killed = -signal.SIGKILL
    for wanted, sign, status in ((2, signal.SIGKILL, killed), (4, signal.SIGINT, 130), (5, signal.SIGTERM, 130)):
        driver = subprocess.Popen(
            [EVOSTEM, *map(str, command)], cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        deadline = time.monotonic() + 120
        wanted = max(wanted, len(before) + 1)
        while len(recorded(journal)) < wanted and driver.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        driver.send_signal(sign)
        _, said = driver.communicate(timeout=60)
        assert driver.returncode == status, said
        if sign != signal.SIGKILL:
            assert "same command goes on" in said
            assert "Traceback" not in said
        now = recorded(journal)
        assert before.items() <= now.items()
        before = now
        deadline = time.monotonic() + 10
        while children_of(tmp_path) and time.monotonic() < deadline:
            time.sleep(0.2)
        assert children_of(tmp_path) == []
        staged = [path.suffix for path in node.rglob("*") if path.is_file()]
        assert staged == ([".h5"] if sign == signal.SIGKILL else [])

    done = evostem(*command, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    after = recorded(journal)
    assert before.items() <= after.items()
    assert not any(path.is_file() for path in node.rglob("*"))
    records = [json.loads(record) for record in after.values()]
    stages = [record["request"]["stage"] for record in records]
    assert (stages.count("evolution"), stages.count("tuning")) == (6, 4)
    assert len({record["request"]["genome"] for record in records}) == 10
    assert {record["warning"] for record in records} == {""}
    check_finished(folder, done.stdout)

    again = evostem(*command, cwd=tmp_path)
    assert again.returncode == 0
    assert "is finished" in again.stdout
    assert recorded(journal) == after

    other = evostem(*command, "--seed", "7", cwd=tmp_path)
    assert other.returncode == 2
    assert "seed: 0 -> 7" in other.stderr
    assert recorded(journal) == after


@pytest.mark.htex
def test_a_run_whose_terminal_is_closed_ends_and_goes_on(tiny_movie, tmp_path):
    movie, _ = tiny_movie
    (tmp_path / "small.toml").write_text(CONFIG)
    command = [EVOSTEM, "run", str(movie), "--config", "small.toml", "--name", "r", "--workers", "2"]
    journal = tmp_path / "runs" / "r" / "journal.sqlite"
    driver, terminal = pty.fork()
    if driver == 0:
        os.chdir(tmp_path)
        os.environ["NODE_DISK"] = str(tmp_path)
        signal.signal(signal.SIGHUP, signal.SIG_DFL)  # tests may be run under nohup
        os.execv(EVOSTEM, command)
    os.set_blocking(terminal, False)
    deadline = time.monotonic() + 120
    while len(recorded(journal)) < 2 and time.monotonic() < deadline:
        with suppress(BlockingIOError):
            os.read(terminal, 10_000)
        time.sleep(0.05)
    before = recorded(journal)
    os.close(terminal)
    _, status = os.waitpid(driver, 0)
    assert os.waitstatus_to_exitcode(status) == 130
    deadline = time.monotonic() + 30
    while children_of(tmp_path) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert children_of(tmp_path) == []
    environment = {**os.environ, "NODE_DISK": str(tmp_path)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert before.items() <= recorded(journal).items()


def check_finished(folder, output):
    names = {"detector.safetensors", "maps.h5", "maps_tiny.tif", "report.html", "summary.json", "library", "histories"}
    assert names <= {path.name for path in folder.iterdir()}
    assert check_tables(folder) == {(inner, name) for name, inner in TABLES.items()}
    assert {path.name for path in (folder / "library").iterdir()} >= {"library.h5", "signatures.json"}
    assert tifffile.imread(folder / "maps_tiny.tif").shape == (4, 192, 208)
    assert (folder / "report.html").read_text().count("<img ") > 15
    assert "could not be" not in output
    gone = [folder / name for name in ("parts", "finalists", "weights") if (folder / name).exists()]
    assert not gone + list(folder.rglob(".unfinished-*"))
    drawn = sorted((folder / "figures").iterdir())
    assert {path.stem for path in drawn if path.suffix == ".png"} == {p.stem for p in drawn if p.suffix == ".pdf"}
    assert [path.name for path in drawn if path.suffix != ".pdf"] == [
        "confusion_matrix.png",
        "counts_over_time_tiny.png",
        "defect_library.png",
        "defect_maps_tiny.png",
        "diffusion_tiny.png",
        "drift_tiny.png",
        "dwell_times_tiny.png",
        "gene_importance.png",
        "genealogy.csv",
        "genealogy.png",
        "network.png",
        "pareto_front.png",
        "pathways_tiny.png",
        "predictor_payoff.png",
        "search_history.png",
        "surroundings.png",
        "tracks_tiny.gif",
        "tracks_tiny.mp4",
        "transition_matrix_tiny.png",
        "worker_timeline.png",
    ]
    with (folder / "scores.csv").open() as lines:
        scores = list(csv.DictReader(lines))
    assert {(row["frame"], row["method"]) for row in scores} == {
        (frame, method) for frame in ("1", "2", "3", "4", "all") for method in ("fourier", "network")
    }
    assert "tiny: detection on held-out frames" in output
    network = next(float(row["f1"]) for row in scores if (row["frame"], row["method"]) == ("all", "network"))
    assert network > 0.3  # so short a search is no good one, but it has seen the defects


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("missing.tif", None, "missing.tif: no such file"),
        ("text.tif", b"a text, not a picture\n" * 9, "text.tif: is not a TIFF file"),
        ("empty.dm4", b"", "empty.dm4: is empty"),
        ("notes.xyz", b"what", "no reader for '.xyz' files"),
    ],
)
def test_unusable_movies_are_one_line_and_status_2(tmp_path, name, content, said):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    done = evostem("run", name, cwd=tmp_path)
    check_refused(done, said, tmp_path)


def check_refused(done, said, folder):
    assert done.returncode == 2
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""
    assert not (folder / "runs").exists()


def test_unusable_labels_and_settings_are_one_line_and_status_2(tiny_movie, tmp_path):
    movie, truth = tiny_movie
    (tmp_path / "labels.csv").write_text("y_px,x_px\n3,4\n")
    (tmp_path / "c.toml").write_text("[search]\npoplation = 3\n")
    check_refused(evostem("run", movie, "--labels", "labels.csv", cwd=tmp_path), "no class column", tmp_path)
    check_refused(
        evostem("run", movie, "--labels", truth, "--defects", "gold", cwd=tmp_path), "no class 'gold'", tmp_path
    )
    check_refused(evostem("run", movie, "--config", "c.toml", cwd=tmp_path), "did you mean 'population'", tmp_path)
    check_refused(evostem("run", movie, "--apply", "b.tif", cwd=tmp_path), "b.tif: no such file", tmp_path)
    check_refused(evostem("run", movie, "--truth", "t.csv", cwd=tmp_path), "t.csv: no such file", tmp_path)


def test_a_truth_without_frames_is_refused_for_a_movie_of_several(tiny_movie, tmp_path):
    (tmp_path / "t.csv").write_text("y_px,x_px,site\n30,40,hole\n")
    check_refused(
        evostem("run", tiny_movie[0], "--truth", "t.csv", cwd=tmp_path), "a CSV tells it in a column 'frame'", tmp_path
    )


def test_a_truth_that_does_not_fit_is_refused_before_the_search(tiny_movie, tmp_path):
    movie, truth = tiny_movie
    (tmp_path / "labels.csv").write_text("y_px,x_px,site\n30,40,gap\n90,150,gap\n")
    labels = ("--labels", "labels.csv")
    check_refused(
        evostem("run", movie, *labels, "--truth", truth, cwd=tmp_path), "none of the defect classes gap", tmp_path
    )
    (tmp_path / "out.csv").write_text("frame,y_px,x_px,site\n2,30,900,hole\n")
    check_refused(evostem("run", movie, "--truth", "out.csv", cwd=tmp_path), "lies outside frame 2", tmp_path)
    check_refused(evostem("run", movie, "--defects", "hole", cwd=tmp_path), "--labels or --truth", tmp_path)


def mask_of(truth, legend, shape, frames):
    """A stack of masks in colours, a 5 px square at each defect."""
    masks = np.zeros((frames, *shape, 3), np.uint8)
    with truth.open() as lines:
        for row in csv.DictReader(lines):
            if row["site"] in legend:
                y, x = round(float(row["y_px"])), round(float(row["x_px"]))
                masks[int(row["frame"]), max(y - 2, 0) : y + 3, max(x - 2, 0) : x + 3] = legend[row["site"]]
    return masks


VACANCIES = {"sulphur_vacancy": (255, 0, 0), "sulphur_pair_vacancy": (0, 0, 255)}


def test_a_mask_that_does_not_fit_is_refused(tiny_movie, tmp_path):
    movie, truth = tiny_movie
    masks = mask_of(truth, VACANCIES, (192, 208), 5)
    tifffile.imwrite(tmp_path / "stack.tif", masks, photometric="rgb")
    tifffile.imwrite(tmp_path / "turned.tif", masks[0].swapaxes(0, 1), photometric="rgb")
    tifffile.imwrite(tmp_path / "four.tif", masks[:4], photometric="rgb")
    both = "--legend=sulphur_vacancy=#ff0000,sulphur_pair_vacancy=#0000ff"

    def refuses(labels, said, *options):
        check_refused(evostem("run", movie, "--labels", labels, *options, cwd=tmp_path), said, tmp_path)

    refuses("stack.tif", "stack.tif: is a mask in colours")
    refuses("stack.tif", "stack.tif: the legend does not name #0000ff", "--legend", "sulphur_vacancy=#ff0000")
    refuses("stack.tif", "stack.tif: no pixel of 'gold'", f"{both},gold=#aaaa00")
    refuses("stack.tif", "stack.tif: no class 'gold'; it has", both, "--defects", "gold")
    refuses("stack.tif", "command line: 'labels.legend'", "--legend", "sulphur_vacancy")
    refuses("turned.tif", "208 x 192 px, the frame has 192 x 208 px (rows x columns); it is transposed", both)
    refuses("four.tif", "a stack of 4 masks, the movie has 5 frames", both)
    tifffile.imwrite(tmp_path / "one.tif", masks[0], photometric="rgb")
    (tmp_path / "two.toml").write_text("[labels]\nframe = [0, 2]\n")
    refuses("one.tif", "one.tif: does not tell which frame it labels, and 2 are wanted", both, "--config", "two.toml")
    (tmp_path / "far.toml").write_text("[labels]\nframe = 7\n")
    refuses("one.tif", "has no frame 7", both, "--config", "far.toml")
    (tmp_path / "large.toml").write_text("[tiles]\nsize_px = 64\n")
    refuses("one.tif", "tiles of 64 px do not fit frames of 192 x 208 px", both, "--config", "large.toml")
    refuses(truth, "--legend is for a mask image", both)


@pytest.mark.htex
def test_two_frames_labelled_by_masks_are_learnt_from_and_left_out_of_the_maps(tiny_movie, tmp_path):
    movie, truth = tiny_movie
    tifffile.imwrite(tmp_path / "stack.tif", mask_of(truth, VACANCIES, (192, 208), 5), photometric="rgb")
    (tmp_path / "small.toml").write_text(
        CONFIG
        + "[labels]\nframe = [0, 3]\n[labels.legend]\nsulphur_vacancy = '#ff0000'\nsulphur_pair_vacancy = '#0000ff'\n"
        + "[tiles]\nsize_periods = 4.0\nstride_px = 10\n"
    )
    options = ("--labels", "stack.tif", "--truth", truth, "--config", "small.toml", "--name", "r", "--workers", "2")
    done = evostem("run", movie, *options, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "frames 0, 3 labelled" in done.stdout
    assert "training region: " in done.stdout
    assert "validation region: " in done.stdout
    with (tmp_path / "runs" / "r" / "scores.csv").open() as lines:
        assert {row["frame"] for row in csv.DictReader(lines)} == {"1", "2", "4", "all"}


def test_a_movie_without_a_lattice_is_refused(tmp_path):
    noise = np.random.default_rng(0).poisson(100, (2, 128, 160)).astype(np.uint16)
    tifffile.imwrite(tmp_path / "noise.tif", noise, imagej=True, metadata={"axes": "TYX"})
    check_refused(evostem("run", "noise.tif", cwd=tmp_path), "noise.tif: frame 0 shows no lattice", tmp_path)


def test_the_demo_refuses_what_cannot_be(tmp_path):
    check_refused(evostem("demo", "--seed", "-1", cwd=tmp_path), "'seed'", tmp_path)
    check_refused(evostem("demo", "--config", "none.toml", cwd=tmp_path), "none.toml: no such file", tmp_path)
    (tmp_path / "file").write_text("")
    done = evostem("demo", "--runs", "file", cwd=tmp_path)
    assert done.returncode == 2
    assert "cannot hold the movie" in done.stderr
