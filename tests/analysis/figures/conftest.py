"""Figures instead of their files, and a movie that is made up."""

import importlib
from pathlib import Path

import numpy as np
import pytest

from data_prep.errors import InputError
from data_prep.movie import Movie


@pytest.fixture
def shown(monkeypatch):
    """Calls the drawing function of a module with the path left out, and gives the figure instead of a file."""
    from matplotlib import pyplot as plt

    def show(module, *arguments):
        of_module = importlib.import_module(f"analysis.figures.{module}")
        monkeypatch.setattr(of_module, "save_figure", lambda figure, _: figure)
        figure = getattr(of_module, f"draw_{module}")(*arguments, None)
        figure.canvas.draw()  # so that warnings of the layout are errors
        return figure

    yield show
    plt.close("all")


@pytest.fixture
def said():
    """What the only panel of a figure says instead of showing something."""

    def read(figure):
        (axes,) = figure.axes
        (text,) = axes.texts
        return text.get_text()

    return read


@pytest.fixture
def make_movie():
    """A movie of grey noise in [100, 110); some of its frames cannot be read."""

    def make(frames=5, shape=(100, 120), pixel_size_nm=0.05, interval_s=2.0, bad=()):
        def read(index):
            if index in bad:
                raise InputError(f"frame {index} cannot be read")
            return 100 + 10 * np.random.default_rng(index).random(shape)

        return Movie(Path("made_up.tif"), frames, shape, pixel_size_nm, interval_s, read)

    return make
