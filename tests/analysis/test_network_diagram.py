from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.patches import FancyArrowPatch, Rectangle

from analysis.figures import network_diagram
from analysis.figures.network_diagram import draw_network
from networks.genome import LENGTH, decode
from networks.space import Convolution, Limits, NetworkSpec, Pool, Upsample, sample


def drawn_of(spec: NetworkSpec, monkeypatch: pytest.MonkeyPatch, path: Path) -> Axes:
    drawn = []
    monkeypatch.setattr(network_diagram, "save_figure", lambda figure, _: drawn.append(figure) or path)
    draw_network(spec, ("dopant_or_metal_vacancy", "hole"), path)
    (axes,) = drawn[0].axes
    plt.close(drawn[0])
    return axes


def texts_of(spec: NetworkSpec, monkeypatch: pytest.MonkeyPatch, path: Path) -> list[str]:
    """What is written into the picture, from left to right."""
    axes = drawn_of(spec, monkeypatch, path)
    texts = sorted((text.get_position()[0], text.get_text()) for text in axes.texts if text.get_text())
    return [text for _, text in texts]


def test_each_layer_has_a_box_in_its_order(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    layers = (
        Convolution(16, 5, 3, 1, 1, "zeros", "relu", "batch", 0.0, skip=False),
        Pool("max", 2, 2),
        Convolution(16, 3, 3, 1, 2, "zeros", "silu", "none", 0.1, skip=True),
    )
    training = sample(np.random.default_rng(0)).training
    frame, first, pool, second, maps = texts_of(NetworkSpec(layers, training), monkeypatch, tmp_path / "n.png")
    assert frame == "frame"
    assert first == "16\n5 x 3\nbatch norm\nrelu"
    assert pool == "max\n2 x 2\nstride 2"
    assert second == "16\n3 x 3\ndilated 2\nsilu\ndropout 0.1"
    assert maps == "maps of\nbackground\ndopant or\nmetal vacancy\nhole"


def test_an_arrow_leads_above_the_boxes_from_what_is_joined_to_where(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    first = Convolution(16, 5, 3, 1, 1, "zeros", "relu", "none", 0.0, skip=False)
    spec = NetworkSpec(
        (first, Pool("max", 2, 2), first, Upsample(join=True)), sample(np.random.default_rng(0)).training
    )
    assert texts_of(spec, monkeypatch, tmp_path / "n.png")[4] == "up\njoined"
    patches = drawn_of(spec, monkeypatch, tmp_path / "n.png").patches
    boxes = [patch for patch in patches if isinstance(patch, Rectangle)]
    (arrow,) = (patch for patch in patches if isinstance(patch, FancyArrowPatch))
    (start, height), (end, same) = arrow.get_path().vertices[[0, 2]]
    _, joined, pool, low, up, _ = boxes
    assert height == pytest.approx(same)
    assert pool.get_y() + pool.get_height() == low.get_y() + low.get_height() < height
    assert height < joined.get_height() / 2 == up.get_height() / 2
    assert start == pytest.approx(joined.get_x() + joined.get_width(), abs=0.1)
    assert end == pytest.approx(up.get_x(), abs=0.1)
    assert up.get_width() > joined.get_width() == low.get_width()  # 32 channels beside 16


def test_any_network_can_be_drawn(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    for number in range(5):
        path = draw_network(decode(rng.bytes(LENGTH), Limits()), ("a",), tmp_path / f"{number}.png")
        assert path.read_bytes()[:4] == b"\x89PNG"
