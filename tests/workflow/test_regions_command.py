"""`evostem regions` as a person gives it; the network is replaced by one that knows the truth."""

import csv
import json
from collections import Counter

import numpy as np
import pytest
import tifffile
import torch
from typer.testing import CliRunner

from data_prep.objects import disk_offsets
from data_prep.simulate import MovieSettings, simulate_movie
from networks.build import build
from networks.detector import Detector
from networks.genome import LENGTH, decode
from networks.space import Convolution, Limits, NetworkSpec
from workflow.cli import app

CLASSES = ("sulphur_vacancy", "molybdenum", "hole")
SETTINGS = MovieSettings(
    frames=2,
    size_px=(240, 280),
    field_nm=8.4,
    holes=0,
    dopant_share=0.005,
    vacancy_share=0.01,
    pair_vacancy_share=0,
    binding=0,
    knock_on=0,
    seed=2,
)
PERIOD_PX = SETTINGS.constant_px * np.sqrt(3) / 2


def run(*words):
    return CliRunner().invoke(app, ["regions", *map(str, words)])


def truth_of(path, frame):
    with path.open() as file:
        rows = [row for row in csv.DictReader(file) if int(row["frame"]) == frame]
    return [(float(row["y_px"]), float(row["x_px"]), row["site"]) for row in rows]


@pytest.fixture(scope="module")
def movie(tmp_path_factory):
    folder = tmp_path_factory.mktemp("movie")
    simulate_movie(folder / "ws2.tif", folder / "truth.csv", SETTINGS)
    return folder / "ws2.tif", folder / "truth.csv"


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A detector file; its network has learnt nothing."""
    layers = (Convolution(4, 3, 3, 1, 1, "zeros", "relu", "none", 0.0, skip=False),)
    spec = NetworkSpec(layers, decode(bytes(LENGTH), Limits()).training)
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("run") / "detector.safetensors"
    network = build(spec, len(CLASSES) + 1).eval()
    Detector(network, spec, bytes(LENGTH), CLASSES, PERIOD_PX, SETTINGS.pixel_size_nm, 0.5, {}).save(path)
    return path


@pytest.fixture
def knows(movie, monkeypatch):
    """From here on the network finds what the truth of frame 1 says."""

    def maps(_detector, frame, _pixel_size_nm):
        found = np.full((len(CLASSES) + 1, *frame.shape), 0.01, np.float32)
        found[0] = 0.97
        for y, x, site in truth_of(movie[1], 1):
            at = np.round((y, x)).astype(int) + disk_offsets(0.35 * PERIOD_PX)
            at = at[((at >= 0) & (at < frame.shape)).all(axis=1)]
            found[:, at[:, 0], at[:, 1]] = 0.01
            found[1 + CLASSES.index(site), at[:, 0], at[:, 1]] = 0.97
        return found

    monkeypatch.setattr("analysis.inference.class_probabilities", maps)


@pytest.mark.usefixtures("knows")
def test_wanted_defects_are_ranked_as_json_and_picture(movie, model, tmp_path):
    words = (movie[0], "--frame", 1, "--size", 2, "--want", "sulphur_vacancy", "--out", tmp_path / "out")
    done = run(model, *words)
    assert done.exit_code == 0, done.output
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["regions.json", "regions.pdf", "regions.png"]
    told = json.loads((tmp_path / "out" / "regions.json").read_text())
    assert (told["format"], told["frame"], told["wanted"]) == ("evostem regions 1", 1, "sulphur_vacancy")
    assert told["pixel_size_nm"] == pytest.approx(0.03, rel=1e-5)
    assert told["size_px"] == 67
    assert set(told["terms"]) == {"lattice", "certainty", "isolation", "wanted"}
    vacancies = [(y, x) for y, x, site in truth_of(movie[1], 1) if site == "sulphur_vacancy"]
    assert told["regions"]
    for rank, row in enumerate(told["regions"], 1):
        assert (row["rank"], row["class"]) == (rank, "sulphur_vacancy")
        y, x = row["centre_y_px"], row["centre_x_px"]
        assert min(np.hypot(y - p, x - q) for p, q in vacancies) < 1.5
        assert row["centre_y_nm"] == pytest.approx(y * 0.03, abs=1e-3)
        assert row["centre_x_nm"] == pytest.approx(x * 0.03, abs=1e-3)
        assert (row["bottom_px"] - row["top_px"], row["right_px"] - row["left_px"]) == (67, 67)
        assert 0 <= row["top_px"] < y < row["bottom_px"] <= 240
        assert 0 <= row["left_px"] < x < row["right_px"] <= 280
        terms = [row[name] for name in told["terms"]]
        assert row["score"] == pytest.approx(np.prod(terms) ** 0.25, abs=1e-3)
        for other in row["others"]:
            assert min(np.hypot(other["y_px"] - p, other["x_px"] - q) for p, q, _ in truth_of(movie[1], 1)) < 1.5
            assert other["class"] in CLASSES
    lines = done.output.splitlines()
    assert lines[0].split()[:2] == ["rank", "score"]
    assert len(lines) == len(told["regions"]) + 2
    assert lines[1].split()[:2] == ["1", f"{told['regions'][0]['score']:.3f}"]
    assert all(len(line) <= 80 for line in lines[:-1])
    assert str(tmp_path / "out" / "regions.png") in lines[-1]


@pytest.mark.usefixtures("knows")
def test_without_a_wanted_class_windows_are_free_of_defects(movie, model, tmp_path):
    done = run(model, movie[0], "--frame", 1, "--size", 1.2, "--count", 4, "--out", tmp_path)
    assert done.exit_code == 0, done.output
    rows = json.loads((tmp_path / "regions.json").read_text())["regions"]
    assert len(rows) == 4
    for row in rows:
        assert (row["class"], row["defect_probability"], row["others"], row["wanted"]) == (None, None, [], 1.0)
        for y, x, _ in truth_of(movie[1], 1):
            assert not (row["top_px"] <= y < row["bottom_px"] and row["left_px"] <= x < row["right_px"])


@pytest.mark.usefixtures("knows")
def test_a_run_folder_is_taken_for_its_detector_and_files_go_beside(movie, model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = run(model.parent, movie[0], "--size", 1.5)
    assert done.exit_code == 0, done.output
    assert json.loads((tmp_path / "regions_ws2" / "regions.json").read_text())["model"] == str(model)


@pytest.mark.usefixtures("knows")
def test_again_writes_the_same_and_leaves_other_files(movie, model, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    words = (model, movie[0], "--frame", 1, "--size", 1.5, "--out", tmp_path)
    assert run(*words).exit_code == 0
    before = (tmp_path / "regions.json").read_bytes(), (tmp_path / "regions.png").read_bytes()
    assert run(*words, "--count", 1).exit_code == 0
    assert len(json.loads((tmp_path / "regions.json").read_text())["regions"]) == 1
    assert run(*words).exit_code == 0
    assert ((tmp_path / "regions.json").read_bytes(), (tmp_path / "regions.png").read_bytes()) == before
    assert (tmp_path / "notes.txt").read_text() == "mine"


@pytest.mark.usefixtures("knows")
@pytest.mark.parametrize(
    ("name", "content"),
    [("regions.json", '{"format": "another"}'), ("regions.json", "[]"), ("regions.json", ""), ("regions.png", "x")],
)
def test_what_is_not_its_own_is_not_written_over(movie, model, tmp_path, name, content):
    (tmp_path / name).write_text(content)
    done = run(model, movie[0], "--size", 1.5, "--out", tmp_path)
    assert done.exit_code == 2
    assert f"{tmp_path / name}: is there already" in done.stderr
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [(name, content)]


@pytest.mark.usefixtures("knows")
def test_nothing_found_is_a_sentence_and_an_empty_list(movie, model, tmp_path):
    sites = Counter(site for _, _, site in truth_of(movie[1], 1))
    cases = {
        ("--size", "7.1"): "no window of 7.1 nm is free of defects; a smaller --size may find one",
        ("--size", "7.2", "--want", "molybdenum"): f"{sites['molybdenum']} molybdenum found, but each window of 7.2 nm",
    }
    for words, sentence in cases.items():
        done = run(model, movie[0], "--frame", 1, *words, "--out", tmp_path)
        assert done.exit_code == 0, done.output
        assert done.output.splitlines()[0].startswith(sentence)
        assert json.loads((tmp_path / "regions.json").read_text())["regions"] == []
        assert (tmp_path / "regions.png").read_bytes()[:4] == b"\x89PNG"


def test_a_class_that_is_not_in_the_frame_is_a_sentence(movie, model, tmp_path, monkeypatch):
    nothing = np.zeros((len(CLASSES) + 1, *SETTINGS.size_px), np.float32)
    nothing[0] = 1
    monkeypatch.setattr("analysis.inference.class_probabilities", lambda *_: nothing)
    done = run(model, movie[0], "--want", "molybdenum", "--out", tmp_path)
    assert done.exit_code == 0, done.output
    assert done.output.startswith("no molybdenum was found in this frame")


@pytest.mark.parametrize("pixel_size", [0.03, 0.02, 0.045])
def test_a_real_network_sees_frames_of_any_pixel_size(movie, model, tmp_path, pixel_size):
    done = run(model, movie[0], "--pixel-size", pixel_size, "--size", 2, "--out", tmp_path)
    assert done.exit_code == 0, done.output
    told = json.loads((tmp_path / "regions.json").read_text())
    assert told["size_px"] == round(2 / pixel_size)
    assert told["shape_px"] == [240, 280]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--want", "sulphur"], "--want sulphur: is none of the defects that {model} knows: sulphur_vacancy, molyb"),
        (["--want", "hole"], "--want hole: is none of the defects that {model} knows: sulphur_vacancy, molybdenum\n"),
        (["--frame", "2"], "{movie}: has no frame 2, it has 2"),
        (["--frame", "-1"], "{movie}: has no frame -1, it has 2"),
        (["--size", "7.3"], "--size 7.3: is more than the frame's 7.2 nm; give a smaller one"),
        (["--size", "0.4"], "--size 0.4: is less than 2 lattice planes; give 0.57 or more"),
        (["--size", "0"], "--size 0: is not a positive number"),
        (["--size", "nan"], "--size nan: is not a positive number"),
        (["--count", "0"], "--count 0: is not a positive number"),
        (["--pixel-size", "-1"], "--pixel-size -1: is not a positive number"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_no_folder(movie, model, tmp_path, words, said):
    done = run(model, movie[0], *words, "--out", tmp_path / "out")
    assert done.exit_code == 2
    assert len(done.stderr.strip().splitlines()) == 1
    assert done.stderr.startswith("evostem: " + said.format(model=model, movie=movie[0]))
    assert not (tmp_path / "out").exists()


def test_files_that_cannot_be_used_are_one_line(movie, model, tmp_path):
    tifffile.imwrite(tmp_path / "noise.tif", np.random.default_rng(0).poisson(9, (100, 120)).astype(np.uint16))
    tifffile.imwrite(tmp_path / "plain.tif", tifffile.imread(movie[0])[0])
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("a file")
    cases = [
        ((tmp_path / "no.safetensors", movie[0]), "no.safetensors: no such file"),
        ((tmp_path / "empty", movie[0]), "empty: holds no detector.safetensors; give the folder of a finished run"),
        ((movie[0], movie[0]), "ws2.tif: is not a detector file"),
        ((model, tmp_path / "no.tif"), "no.tif: no such file"),
        ((model, tmp_path / "plain.tif"), "plain.tif: does not tell its pixel size"),
        ((model, tmp_path / "noise.tif", "--pixel-size", 0.03), "noise.tif: frame 0 shows no lattice"),
        ((model, movie[0], "--out", tmp_path / "file"), "file: cannot hold the files (File exists); see --out"),
    ]
    for words, said in cases:
        done = run("--out", tmp_path / "out", *words)
        assert done.exit_code == 2, words
        assert len(done.stderr.strip().splitlines()) == 1
        assert said in done.stderr
    assert not (tmp_path / "out").exists()
