import numpy as np
import pytest

from analysis.detections import Detections
from analysis.results import FrameResult
from data_prep.labels import from_objects
from data_prep.objects import Objects

SHAPE = (100, 120)


def objects(*positions):
    places = np.array(positions, float).reshape(-1, 2)
    return Objects(places, np.ones(len(places)), np.zeros(SHAPE, np.int32))


@pytest.fixture
def drawn(shown, make_movie):
    """The figure of so many frames: the network finds one of two defects, and something else."""

    def draw(frames, *, known=True, interval_s=2.0):
        there, found = objects((30, 40), (60, 70)), objects((30, 40), (30, 80))
        result = [
            FrameResult("m", 3 * number, 8.0, None, network_of(found), objects((30, 40)), {})
            for number in range(frames)
        ]
        truth = from_objects(there, np.array([1, 1]), ("vacancy",), 8.0, "hand") if known else None
        movie = make_movie(3 * frames, SHAPE, interval_s=interval_s)
        return shown("defect_maps", movie, result, [truth] * frames)

    return draw


def network_of(found):
    return Detections(found, np.ones(len(found), int), np.ones(len(found), int), np.ones(len(found)))


@pytest.mark.parametrize(("frames", "columns", "blocks"), [(2, 2, 1), (6, 6, 1), (7, 4, 2), (12, 6, 2), (20, 5, 4)])
def test_frames_wrap_into_blocks_of_four_rows(drawn, frames, columns, blocks):
    figure = drawn(frames)
    boxes = [axes.get_position() for axes in figure.axes]
    assert len(boxes) == 4 * frames
    assert len({round(box.x0, 4) for box in boxes}) == columns
    assert len({round(box.y0, 4) for box in boxes}) == 4 * blocks
    assert all(0 <= box.x0 < box.x1 <= 1 and 0 <= box.y0 < box.y1 <= 1 for box in boxes)
    for number, box in enumerate(boxes):
        assert not any(box.count_overlaps([other]) for other in boxes[number + 1 :])


def test_panels_have_the_shape_of_the_frame(drawn):
    figure = drawn(8)
    width, height = figure.get_size_inches()
    for axes in figure.axes:
        box = axes.get_position()
        assert box.height * height / (box.width * width) == pytest.approx(SHAPE[0] / SHAPE[1])


def test_each_frame_says_its_number_and_its_time(drawn):
    assert [axes.get_title() for axes in drawn(3).axes[::4]] == ["frame 0, 0 s", "frame 3, 6 s", "frame 6, 12 s"]
    assert [axes.get_title() for axes in drawn(3, interval_s=None).axes[::4]] == ["frame 0", "frame 3", "frame 6"]


def test_one_frame_is_a_row(drawn):
    figure = drawn(1)
    assert [axes.get_title() for axes in figure.axes] == ["recorded", "known", "Fourier filter", "network"]
    assert len({axes.get_position().y0 for axes in figure.axes}) == 1
    assert figure.get_suptitle() == "made_up.tif, frame 0, 0 s"


def test_panels_show_what_is_known_and_what_was_found(drawn):
    _, known, fourier, network = (axes.get_images()[0].get_array() for axes in drawn(2).axes[4:])
    assert known[30, 40] == known[60, 70] == 1
    assert known[30, 80] == 0
    assert tuple(fourier[60, 70]) == tuple(network[60, 70]) == (0xFF, 0x95, 0)  # missed
    assert tuple(network[30, 40]) == (255, 255, 255)
    assert tuple(network[30, 80]) == (0xA6, 0x4D, 0xFF)  # not there


def test_without_truth_the_legend_does_not_say_that_anything_is_right(drawn):
    figure = drawn(2, known=False)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["found"]
    assert figure.axes[1].texts[0].get_text() == "no truth given"
