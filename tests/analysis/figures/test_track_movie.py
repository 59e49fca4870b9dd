import io
import subprocess

import imageio_ffmpeg
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from analysis.figures.track_movie import GIF_FRAMES, HEAD_PX, SIDE_PX, draw_track_movie
from data_prep.errors import InputError

VERMILION = np.array([0xD5, 0x5E, 0x00])
KINDS = ["a", "b", "c", "d", "e", "hopping"]  # the last one is vermilion, seen in H.264 too
NO_DRIFT = pd.DataFrame({"movie": [], "frame": [], "dy_px": [], "dx_px": []})


def defects(*rows):
    return pd.DataFrame(rows, columns=["frame", "y_px", "x_px", "kind", "track"])


def read_back(path):
    """The pictures (y, x, rgb) of a movie."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", path, "-f", "image2pipe", "-vcodec", "ppm", "-"]
    stream = io.BytesIO(subprocess.run(command, check=True, capture_output=True).stdout)
    pictures = []
    while stream.readline():
        width, height = map(int, stream.readline().split())
        stream.readline()
        pictures.append(np.frombuffer(stream.read(3 * width * height), np.uint8).reshape(height, width, 3))
    return pictures


def coloured(picture, y, x, shape=(100, 120), reach=3):
    """Whether there is vermilion near a place of the frame."""
    scale = SIDE_PX / max(shape)
    row, column = HEAD_PX + round((y + 0.5) * scale), round((x + 0.5) * scale)
    part = picture[row - reach : row + reach + 1, column - reach : column + reach + 1].astype(int)
    return bool((np.abs(part - VERMILION).max(axis=2) < 60).any())


def test_every_frame_is_in_the_movie_and_its_size_is_even(make_movie, tmp_path):
    path = draw_track_movie(make_movie(7, (101, 120)), range(7), defects(), NO_DRIFT, KINDS, tmp_path / "a.mp4")
    pictures = read_back(path)
    assert len(pictures) == 7
    assert all(side % 2 == 0 for side in pictures[0].shape[:2])
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.gif", "a.mp4"]


def test_marker_and_trail_are_where_the_defect_is_and_was(make_movie, tmp_path):
    places = [(0, 30, 20), (1, 30, 50), (2, 30, 80)]
    table = defects(*((frame, y, x, "hopping", 0) for frame, y, x in places))
    path = draw_track_movie(make_movie(3), range(3), table, NO_DRIFT, KINDS, tmp_path / "a.mp4")
    first, _, last = read_back(path)
    assert not coloured(first, 30, 35)
    assert coloured(last, 30, 35)
    assert coloured(last, 30, 65)
    assert not coloured(last, 60, 35)


def test_the_drift_is_taken_out_of_trails(make_movie, tmp_path):
    # The sample goes 30 px down in a frame; one defect stays on it, the other hops to the right.
    table = defects(
        (0, 20, 20, "hopping", 0), (1, 50, 20, "hopping", 0), (0, 20, 50, "hopping", 1), (1, 50, 90, "hopping", 1)
    )
    drift = pd.DataFrame({"movie": "m", "frame": [0, 1], "dy_px": [0.0, 30.0], "dx_px": [0.0, 0.0]})
    path = draw_track_movie(make_movie(2), range(2), table, drift, KINDS, tmp_path / "a.mp4")
    last = read_back(path)[-1]
    assert not coloured(last, 35, 20)
    assert coloured(last, 50, 70)
    assert not coloured(last, 35, 70)


def test_defects_of_no_track_have_no_trail(make_movie, tmp_path):
    table = defects((0, 30, 20, "hopping", -1), (1, 30, 80, "hopping", -1))
    last = read_back(draw_track_movie(make_movie(2), range(2), table, NO_DRIFT, KINDS, tmp_path / "a.mp4"))[-1]
    assert not coloured(last, 30, 50)


def test_frames_that_cannot_be_read_or_were_not_analysed_are_left_out(make_movie, tmp_path):
    table = defects((0, 30, 20, "hopping", 0), (4, 30, 80, "hopping", 0))
    path = draw_track_movie(make_movie(9, bad={2, 3}), range(6), table, NO_DRIFT, KINDS, tmp_path / "a.mp4")
    assert len(read_back(path)) == 4


def test_a_movie_of_which_no_frame_can_be_read_is_told(make_movie, tmp_path):
    with pytest.raises(InputError, match="no frame of it can be read"):
        draw_track_movie(make_movie(2, bad={0, 1}), range(2), defects(), NO_DRIFT, KINDS, tmp_path / "a.mp4")
    assert list(tmp_path.iterdir()) == []


def test_the_gif_stays_small_and_takes_as_long_as_the_movie(make_movie, tmp_path):
    frames = 2 * GIF_FRAMES + 10
    path = draw_track_movie(make_movie(frames, (64, 80)), range(frames), defects(), NO_DRIFT, [], tmp_path / "a.mp4")
    with Image.open(path.with_suffix(".gif")) as gif:
        assert frames / 4 < gif.n_frames <= GIF_FRAMES
        assert gif.width <= 400
        lasts_s = sum(duration(gif, number) for number in range(gif.n_frames)) / 1000
    assert lasts_s == pytest.approx(imageio_ffmpeg.count_frames_and_secs(path)[1], rel=0.15)


def duration(gif, number):
    gif.seek(number)
    return gif.info["duration"]


@pytest.mark.parametrize("shape", [(64, 300), (300, 64)])
def test_without_scale_time_or_defects_there_is_a_movie(make_movie, tmp_path, shape):
    movie = make_movie(1, shape, pixel_size_nm=None, interval_s=None)
    assert len(read_back(draw_track_movie(movie, range(1), defects(), NO_DRIFT, [], tmp_path / "a.mp4"))) == 1
