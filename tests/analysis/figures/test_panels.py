from itertools import pairwise

import numpy as np
import pytest
from matplotlib import pyplot as plt
from matplotlib.colors import to_rgb

from analysis.figures.panels import (
    KIND_STYLES,
    bar_length,
    kind_style,
    named,
    scale_bar,
    show_image,
    small_multiples,
    styles_of,
    wrapped,
)
from analysis.figures.style import MOST_VECTORS, save_figure


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


@pytest.mark.parametrize(
    ("width_nm", "length_nm"), [(15.0, 2.0), (20.0, 5.0), (40.0, 10.0), (6.1, 1.0), (1.0, 0.2), (0.3, 0.05), (900, 200)]
)
def test_a_scale_bar_is_a_round_length_of_at_most_a_quarter_of_the_width(width_nm, length_nm):
    assert bar_length(width_nm) == pytest.approx(length_nm)


def test_the_scale_bar_is_as_long_as_it_says_and_does_not_move_the_image():
    _, axes = plt.subplots()
    show_image(axes, np.random.default_rng(0).random((80, 200)))
    limits = axes.get_xlim(), axes.get_ylim()
    scale_bar(axes, (80, 200), 0.05)  # 10 nm wide
    assert [text.get_text() for text in axes.texts] == ["2 nm"]
    for line in axes.lines:
        assert np.ptp(line.get_xdata()) == pytest.approx(2 / 0.05)
    assert (axes.get_xlim(), axes.get_ylim()) == limits


@pytest.mark.parametrize("unknown", [None, float("nan"), 0.0])
def test_without_a_pixel_size_there_is_no_scale_bar(unknown):
    _, axes = plt.subplots()
    scale_bar(axes, (80, 200), unknown)
    assert not axes.lines
    assert not axes.texts


def luminance(colour):
    """Relative luminance of a colour as printers take it (ITU-R BT.709)."""
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in to_rgb(colour)]
    return float(np.dot([0.2126, 0.7152, 0.0722], linear))


def test_twelve_kinds_are_told_apart_without_colours():
    assert len({style.marker for style in KIND_STYLES}) == len(KIND_STYLES) == 12
    for first, second in pairwise(KIND_STYLES[:6]):
        assert first.line != second.line
        assert abs(luminance(first.colour) - luminance(second.colour)) > 0.05
    assert all(luminance(style.colour) < 0.55 for style in KIND_STYLES)  # none is lost on white paper
    assert kind_style(12) == kind_style(0)


def test_kinds_look_the_same_in_each_figure_whatever_else_there_is():
    kinds = ["molybdenum", "vacancy", "pair"]
    assert list(styles_of(["pair", "hole", "molybdenum", "dirt"], kinds)) == ["molybdenum", "pair", "dirt", "hole"]
    assert styles_of(["pair"], kinds)["pair"] == kind_style(2)
    assert styles_of(["hole"], kinds) == {"hole": styles_of(["hole"], [])["hole"]}
    assert styles_of(["hole"], kinds)["hole"] not in KIND_STYLES


def test_names_are_shown_as_they_were_given():
    figure, axes = plt.subplots()
    (line,) = axes.plot([0], [0], label=named("_a$x$"))
    axes.legend()
    figure.canvas.draw()
    assert line.get_label() in [text.get_text() for text in axes.get_legend().get_texts()]
    assert wrapped("a very bright column of tungsten", 12) == "a very\nbright\ncolumn of\ntungsten"


def test_panels_fill_rows_and_the_others_are_empty():
    figure, panels = small_multiples(5, (2, 2))
    assert len(panels) == 5
    assert len(figure.axes) == 6
    assert not figure.axes[5].axison


def test_a_figure_is_a_png_and_a_pdf_that_does_not_say_when(tmp_path):
    def draw(name):
        figure, axes = plt.subplots()
        axes.plot([1, 2], [3, 4])
        return save_figure(figure, tmp_path / name)

    assert draw("a.png") == tmp_path / "a.png"
    draw("b.png")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.pdf", "a.png", "b.pdf", "b.png"]
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "a.pdf").read_bytes().startswith(b"%PDF")
    assert b"CreationDate" not in (tmp_path / "a.pdf").read_bytes()
    assert (tmp_path / "a.pdf").read_bytes() == (tmp_path / "b.pdf").read_bytes()
    assert not plt.get_fignums()


def test_neither_file_is_left_behind_if_the_figure_fails(tmp_path):
    figure, axes = plt.subplots()
    axes.set_title("$\\nonsense{$")
    with pytest.raises(ValueError, match="nonsense"):
        save_figure(figure, tmp_path / "a.png")
    assert list(tmp_path.iterdir()) == []
    assert not plt.get_fignums()


def test_a_cloud_of_dots_does_not_make_the_pdf_large(tmp_path):
    rng = np.random.default_rng(0)
    figure, (left, right) = plt.subplots(1, 2)
    left.plot(*rng.random((2, 50 * MOST_VECTORS)), ".")
    right.scatter(*rng.random((2, 50 * MOST_VECTORS)), c=rng.random(50 * MOST_VECTORS))
    (few,) = right.plot(*rng.random((2, 5)), "o")
    save_figure(figure, tmp_path / "a.png")
    assert (tmp_path / "a.pdf").stat().st_size < 500_000
    assert not few.get_rasterized()
