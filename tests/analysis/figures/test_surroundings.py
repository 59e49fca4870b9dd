import numpy as np
import pandas as pd
import pytest
from matplotlib.quiver import Quiver

COLUMNS = ["kind", "sublattice", "dy_nm", "dx_nm", "uy_pm", "ux_pm", "error_pm", "count", "bond_change_percent"]
ROWS = [
    ("vacancy", "A", 0.0, 0.2, 0.0, -8.0, 1.0, 40, -4.0),
    ("vacancy", "A", 0.2, 0.0, -6.0, 1.0, 1.0, 40, -3.0),
    ("vacancy", "B", 0.3, 0.3, 0.5, 0.0, 1.0, 39, 0.1),
    ("molybdenum", "B", 0.0, -0.2, 0.0, -2.0, 1.0, 7, 1.0),
]
TABLE = pd.DataFrame(ROWS, columns=COLUMNS)


@pytest.fixture
def panels(shown):
    return shown("surroundings", TABLE, ["molybdenum", "vacancy"]).axes[:2]


def arrows(panel):
    """Of each arrow its place and its size in pm, and whether it is pale."""
    return {
        (round(x, 6), round(y, 6)): (u, v, bool(quiver.get_facecolor()[0][0] > 0.5))
        for quiver in panel.collections
        if isinstance(quiver, Quiver)
        for x, y, u, v in zip(quiver.X, quiver.Y, quiver.U, quiver.V, strict=True)
    }


def test_arrows_are_the_displacements_and_those_within_their_error_are_pale(panels):
    assert arrows(panels[1]) == {(0.2, 0): (-8, 0, False), (0, 0.2): (1, -6, False), (0.3, 0.3): (0, 0.5, True)}


def test_arrows_point_as_in_the_frame(panels):
    low, high = panels[1].get_ylim()
    assert low > high  # y down
    for quiver in panels[1].collections:
        if isinstance(quiver, Quiver):
            assert (quiver.angles, quiver.scale_units) == ("xy", "xy")


def test_all_maps_have_one_scale_and_the_key_tells_it(panels):
    scales = {quiver.scale for panel in panels for quiver in panel.collections if isinstance(quiver, Quiver)}
    assert len(scales) == 1
    (scale,) = scales  # pm in a nm of the map
    assert 8.0 / scale < 0.2  # the longest arrow does not reach the next column
    assert "5 pm" in [text.get_text() for text in panels[0].texts]
    assert (5.0, 0.0) in [(u, v) for u, v, _ in arrows(panels[0]).values()]


def test_the_change_of_bonds_is_a_colour_and_at_the_nearest_a_number(panels):
    dots = [dots for dots in panels[1].collections if not isinstance(dots, Quiver)]
    assert sorted(np.concatenate([part.get_array() for part in dots])) == [-4, -3, 0.1]
    assert {part.get_clim() for part in dots} == {(-4, 4)}
    assert sorted(text.get_text() for text in panels[1].texts) == ["-3.0", "-4.0"]


def test_titles_say_of_how_many_defects(panels):
    assert [panel.get_title() for panel in panels] == ["molybdenum\nmean of 7 defects", "vacancy\nmean of 40 defects"]


def test_a_change_that_is_not_known_is_no_number(shown):
    table = TABLE.assign(bond_change_percent=np.nan)
    figure = shown("surroundings", table, ["vacancy"])
    assert [text.get_text() for text in figure.axes[0].texts] == ["5 pm"]


def test_without_surroundings_it_says_why(shown, said):
    assert "no kind has 3 defects" in said(shown("surroundings", TABLE[:0], []))
    assert "no kind has 3 defects" in said(shown("surroundings", TABLE.assign(count=2), []))
    assert "--pixel-size" in said(shown("surroundings", TABLE.assign(dy_nm=np.nan), []))
