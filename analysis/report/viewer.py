"""The frame viewer: frames of a movie with what was found in them, as a piece of HTML that needs nothing else."""

from __future__ import annotations

import json
from collections.abc import Mapping
from html import escape

import numpy as np

from analysis.figures.panels import KindStyle, bar_length
from analysis.report.frame_data import FrameData
from analysis.report.markup import Html, packaged

HINT = "Point at a defect or tap it. Keys: left and right for frames, up and down for defects, space to play."
DARK = 0.4  # luminance of a colour that needs a light ground, from 0 to 1

PAGE = """<div class="frame-viewer">
<style>{style}</style>
<div class="stage" tabindex="0" role="group" aria-label="{label}"><div class="canvas">
<img class="frame" alt="" width="{width}" height="{height}"><img class="heat" alt="">
<svg class="overlay" viewBox="0 0 {width} {height}" aria-hidden="true"></svg>
</div></div>
<div class="drive"><button type="button" class="play">Play</button>
<input type="range" class="slider" min="0" max="{last}" value="0" aria-label="frame">
<output class="where"></output></div>
<p class="readout" aria-live="polite"></p>
<fieldset class="boxes" aria-label="what to show"></fieldset>
<noscript>The frames are shown by a script, which is switched off here.</noscript>
<script type="application/json">{data}</script>
<script>{script}</script>
</div>"""


def viewer(data: FrameData, styles: Mapping[str, KindStyle]) -> Html:
    """A viewer; `styles` has the look of each of `data.kinds`.

    It loads nothing, works without a server, by mouse, touch and keyboard, from 300 px of width on.
    """
    content = {
        **vars(data),
        "styles": [_look(styles[kind]) for kind in data.kinds],
        "ring": _corners("o"),
        "tracked": any(thing[4] >= 0 for frame in data.frames for thing in (*frame["points"], *frame["holes"])),
        "bar": _bar(data),
        "hint": HINT,
    }
    page = PAGE.format(
        style=packaged("viewer.css"),
        label=escape(f"Frames of {data.name} with the defects that were found"),
        width=data.shape[1],
        height=data.shape[0],
        last=len(data.frames) - 1,
        data=json.dumps(content, separators=(",", ":"), allow_nan=False).replace(
            "<", "\\u003c"
        ),  # no name ends the script
        script=packaged("viewer.js"),
    )
    return Html(page)


def _look(style: KindStyle) -> dict[str, object]:
    from matplotlib.colors import to_rgb

    red, green, blue = to_rgb(style.colour)
    dark = 0.2126 * red + 0.7152 * green + 0.0722 * blue < DARK
    return {"colour": style.colour, "ground": "#ffffff" if dark else "#000000", "corners": _corners(style.marker)}


def _corners(marker: str) -> list[list[list[float]]]:
    """The parts of a marker, each by its corners (x right, y up) in units of its size."""
    from matplotlib.markers import MarkerStyle
    from matplotlib.transforms import Affine2D

    style, large = MarkerStyle(marker), Affine2D().scale(100)  # curves become straight pieces, short ones at this scale
    outline = style.get_path().transformed(style.get_transform()).transformed(large)
    return [np.round(np.asarray(part) / 100, 3).tolist() for part in outline.to_polygons(closed_only=False)]


def _bar(data: FrameData) -> dict[str, object] | None:
    """A scale bar of a round length: its own in px, and what is written on it."""
    if data.pixel_nm is None:
        return None
    length = bar_length(data.shape[1] * data.pixel_nm)
    return {"px": round(length / data.pixel_nm, 2), "text": f"{length:g} nm"}
