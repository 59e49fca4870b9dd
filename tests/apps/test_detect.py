"""What workers find in the frames of a movie, good and bad ones."""

from dataclasses import replace

import numpy as np
import pytest
import tifffile

import apps.detect
from analysis.results import load_facts, load_results
from analysis.target import Target
from apps.detect import cell_of, detect_frames
from data_prep.movie import Movie, open_movie


@pytest.fixture(scope="module")
def frames(tiny_movie):
    """An empty frame, one of noise alone, and two of a lattice."""
    good = tifffile.imread(tiny_movie[0])
    noise = np.random.default_rng(0).poisson(good.mean(), good.shape[1:]).astype(good.dtype)
    return np.stack([np.full_like(noise, 7), noise, good[1], good[2]])


def movie_of(frames, read=None):
    return Movie("m.tif", len(frames), frames.shape[1:], 0.03, None, read or frames.__getitem__)


def test_the_cell_is_that_of_the_first_frame_that_shows_a_lattice(frames):
    expected = cell_of(movie_of(frames[2:3]))
    found = cell_of(movie_of(frames))
    np.testing.assert_array_equal(found.lattice.basis, expected.lattice.basis)
    np.testing.assert_array_equal(found.columns, expected.columns)
    assert len(found.columns) == 2  # of metal, and of sulphur pairs
    assert cell_of(movie_of(frames[:2])) is None


def test_a_frame_whose_cell_cannot_be_fitted_is_passed_over(frames, monkeypatch):
    fit, seen = apps.detect.fitted_cell, []

    def unlucky(levelled, lattice):
        seen.append(lattice)
        if len(seen) == 1:
            raise np.linalg.LinAlgError("singular")
        return fit(levelled, lattice)

    monkeypatch.setattr(apps.detect, "fitted_cell", unlucky)
    found = cell_of(movie_of(frames))
    monkeypatch.undo()
    np.testing.assert_array_equal(found.columns, cell_of(movie_of(frames[3:])).columns)


def test_bad_frames_are_told_and_good_ones_looked_at(learnt, frames, tmp_path):
    tifffile.imwrite(tmp_path / "m.tif", frames, imagej=True, metadata={"axes": "TYX"})
    target = Target("m", tmp_path / "m.tif", (0, 1, 2, 3), None, (), None, None, frame_interval_s=0.5)
    files = (learnt.folder / "detector.safetensors", learnt.folder / "fourier.json")
    out = detect_frames(target, *files, tmp_path / "part.h5")
    empty, noise, *good = load_results(out)
    assert (empty.error, empty.network) == (f"{target.movie}: frame 0 is empty, all its pixels are 7", None)
    assert noise.error == ""  # the network looks at it all the same
    assert noise.columns is None
    assert noise.views is not None
    assert len(noise.views.images) == len(noise.network)
    for result in good:
        assert result.columns is not None
        assert (result.views.column >= 0).sum() > 20
        near = result.columns.positions[result.views.column[result.views.column >= 0]]
        found = result.network.objects.positions[result.views.column >= 0]
        assert np.linalg.norm(near - found, axis=1).max() < 0.4 * result.period_px + 0.1
    (facts,) = load_facts(out).values()
    assert (facts.pixel_size_nm, facts.frame_interval_s) == (None, 0.5)
    with open_movie(target.movie) as movie:
        np.testing.assert_allclose(facts.cell.columns, cell_of(movie).columns)


def test_what_is_found_does_not_depend_on_the_part_that_a_frame_is_in(learnt, tmp_path):
    files = (learnt.folder / "detector.safetensors", learnt.folder / "fourier.json")
    alone = replace(learnt.targets[0], frames=(3,))
    (once,) = load_results(detect_frames(alone, *files, tmp_path / "part.h5"))
    (among,) = load_results(learnt.maps, "tiny", (3,))
    np.testing.assert_array_equal(once.network.objects.positions, among.network.objects.positions)
    np.testing.assert_array_equal(once.columns.ratio, among.columns.ratio)
    np.testing.assert_array_equal(once.views.alone, among.views.alone)
    assert once.scores["network"].counts == among.scores["network"].counts
    assert load_facts(tmp_path / "part.h5")["tiny"].cell.floor == load_facts(learnt.maps)["tiny"].cell.floor


def test_an_odd_failure_in_a_frame_is_told_and_the_others_are_there(learnt, tmp_path, monkeypatch):
    look = apps.detect.look

    def unlucky(levelled, columns, cell, found, period_px, seed):
        if seed == 2:
            raise ZeroDivisionError("no such\nthing")
        return look(levelled, columns, cell, found, period_px, seed)

    monkeypatch.setattr(apps.detect, "look", unlucky)
    files = (learnt.folder / "detector.safetensors", learnt.folder / "fourier.json")
    results = load_results(detect_frames(learnt.targets[0], *files, tmp_path / "part.h5"))
    errors = {result.frame: result.error for result in results}
    assert errors == {
        **dict.fromkeys((1, 3, 4), ""),
        2: f"{learnt.source.movie}: frame 2: ZeroDivisionError: no such thing",
    }
