"""What notebooks show of runs that lack things."""

import shutil

import pytest

from analysis import results
from analysis.report import RunView, run_view
from analysis.report.catalogue import FIGURES, NO_TIME
from tests.analysis.report.made_run import make_run


def test_a_viewer_shows_only_what_there_is(tiny_movie, tmp_path):
    folder = make_run(tmp_path / "r", *tiny_movie, frames=(1, 2), timed=False, scored=False, error="torn")
    view = RunView(folder)
    text = view.viewer().text
    assert '"number":2,' in text
    assert '"number":1,' not in text
    assert '"classes":[]' in text
    assert "F1" not in view.headline().text
    assert NO_TIME in view.table("diffusion").text


def test_a_viewer_reads_only_the_frames_that_it_shows(full_run, monkeypatch):
    read = []
    decode = results._load_frame
    monkeypatch.setattr(results, "_load_frame", lambda *given, **how: read.append(given[1]) or decode(*given, **how))
    monkeypatch.setattr(run_view, "MOST_FRAMES", 2)
    monkeypatch.setattr(run_view, "FEWEST_FRAMES", 2)
    text = RunView(full_run).viewer().text
    assert read == [1, 4]
    assert "2 of 4 frames, evenly spread." in text
    assert [number for number in range(1, 5) if f'"number":{number},' in text] == [1, 4]


def test_a_run_whose_movie_is_gone_still_shows_the_rest(tiny_movie, tmp_path):
    movie = shutil.copy(tiny_movie[0], tmp_path / "tiny.tif")
    view = RunView(make_run(tmp_path / "r", movie, tiny_movie[1], frames=(1, 2)))
    movie.unlink()
    assert "The frames of tiny cannot be shown" in view.viewer().text
    assert "no such file" in view.viewer().text
    assert "<table>" in view.table("scores").text


def test_nothing_is_shown_of_what_is_not_there(bare_run):
    view = RunView(bare_run)
    for name, shown in FIGURES.items():
        assert shown.nothing in view.figure(name).text
    for name in ("scores", "kinds", "transitions", "dwell_times", "diffusion"):
        assert view.table(name).text.startswith('<p class="note">')
    assert "<dd>0</dd>" in view.headline().text
    assert "config.toml" not in view.files().text


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_has_a_caption_that_is_its_text_too(full_run, name):
    text = RunView(full_run).figure(name).text
    assert text.count("<img ") == 1
    assert FIGURES[name].caption.split(".")[0] in text.split("<figcaption>")[1]
    assert 'alt=""' not in text
