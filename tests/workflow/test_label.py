from pathlib import Path

import numpy as np
import pytest
import tifffile
from typer.testing import CliRunner

from workflow.cli import app
from workflow.config import load_config


def run(*words: str | Path):
    return CliRunner().invoke(app, ["label", *map(str, words)])


@pytest.mark.parametrize("reference", ["lattice", "lowpass"])
def test_a_contact_sheet_and_the_steps_are_drawn(tiny_movie, tmp_path, reference):
    done = run(tiny_movie[0], "--frame", 2, "--reference", reference, "--out", tmp_path / "out")
    assert done.exit_code == 0, done.output
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "contact_sheet.pdf",
        "contact_sheet.png",
        "steps.pdf",
        "steps.png",
    ]
    for name in ("contact_sheet.png", "steps.png"):
        assert (tmp_path / "out" / name).read_bytes()[:4] == b"\x89PNG"


def test_what_is_printed_can_be_given_back_as_settings(tiny_movie, tmp_path):
    done = run(tiny_movie[0], "--frame", 1, "--out", tmp_path)
    settings = tmp_path / "chosen.toml"
    settings.write_text(done.output[done.output.index("[labels]") :])
    labels = load_config(settings, {"movie": str(tiny_movie[0])}).labels
    assert (labels.frame, labels.darker, labels.brighter, labels.reference) == ((1,), 4.6, 6.5, "lattice")


def test_stricter_thresholds_label_less(tiny_movie, tmp_path):
    done = run(tiny_movie[0], "--out", tmp_path)
    (line,) = [line for line in done.output.splitlines() if line.strip().startswith("darker: ")]
    counts = [int(part.split("->")[1]) for part in line.split(",")]
    assert counts == sorted(counts, reverse=True)
    assert counts[0] > counts[-1] > 0


def test_a_pixel_size_that_is_not_positive_is_one_line(tiny_movie, tmp_path):
    done = run(tiny_movie[0], "--pixel-size", "-1", "--out", tmp_path / "out")
    assert (done.exit_code, done.stderr) == (2, "evostem: --pixel-size -1: is not a positive number\n")


@pytest.mark.parametrize(
    ("name", "words"),
    [("missing.tif", "no such file"), ("noise.tif", "frame 0 shows no lattice"), ("made.tif", "no frame 9")],
)
def test_what_cannot_be_labelled_is_one_line_and_no_folder(tiny_movie, tmp_path, name, words):
    tifffile.imwrite(tmp_path / "noise.tif", np.random.default_rng(0).poisson(9, (100, 120)).astype(np.uint16))
    (tmp_path / "made.tif").write_bytes(tiny_movie[0].read_bytes())
    frame = ["--frame", "9"] if name == "made.tif" else []
    done = run(tmp_path / name, "--out", tmp_path / "out", *frame)
    assert done.exit_code == 2
    assert len(done.stderr.strip().splitlines()) == 1
    assert words in done.stderr
    assert not (tmp_path / "out").exists()


def test_figures_that_cannot_be_written_are_one_line(tiny_movie, tmp_path):
    (tmp_path / "out").write_text("a file")
    done = run(tiny_movie[0], "--out", tmp_path / "out")
    assert done.exit_code == 2
    assert "see --out" in done.stderr
