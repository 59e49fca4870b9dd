"""What the frame viewer shows of a movie: some of its frames as small pictures, and where things are in them."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from analysis.report.markup import data_uri
from analysis.results import FrameResult
from analysis.target import Target, truth_of
from data_prep.errors import InputError
from data_prep.movie import Movie, open_movie

if TYPE_CHECKING:
    import pandas as pd

WIDEST_PX = 640  # of a picture
BYTES = 2_500_000  # of all pictures of a viewer, about
QUALITIES = (85, 70, 55, 40, 25)
HEAT_PX = 320
HEAT_COLOUR = (255, 149, 0)
TOLERANCE_PX = 0.7  # of an outline


@dataclass
class FrameData:
    """A movie's frames for the viewer; lengths in px of the movie, which the pictures may be smaller than.

    Each of `frames` has its `number`, its time `t` (s) or None, addresses of its picture and of the map of
    probability, `points` as [y, x, kind, probability, track, followed], `holes` with their outline besides,
    and `truth` as [y, x, class] or [y, x, class, outline]; kinds and classes are numbers in `kinds` and `classes`,
    `followed` tells that the network missed it here and it is known by its history.
    """

    name: str
    shape: tuple[int, int]
    pixel_nm: float | None
    period_px: float
    kinds: list[str]
    classes: list[str] = field(default_factory=list)
    frames: list[dict[str, Any]] = field(default_factory=list)


def frame_data(
    target: Target, results: Iterator[FrameResult], defects: pd.DataFrame, kinds: Sequence[str]
) -> FrameData:
    """Gather what is to be shown of a target's frames, `results`.

    `defects` are the rows of the run's table for this movie, `kinds` all the kinds in them. Raises InputError if the
    movie cannot be read.
    """
    of_frame = dict(iter(defects.groupby("frame")))
    with open_movie(target.movie, target.pixel_size_nm, target.dataset, target.frame_interval_s) as movie:
        data = FrameData(target.name, movie.shape, movie.pixel_size_nm, 0.0, list(kinds))
        pictures = _Pictures(movie.shape, max(len(target.frames), 1))
        for result in results:
            if result.error or result.network is None or result.probability is None:
                continue
            data.period_px = data.period_px or result.period_px
            time = None if movie.frame_interval_s is None else result.frame * movie.frame_interval_s
            rows = of_frame.get(result.frame, defects[:0])
            data.frames.append(
                {
                    "number": result.frame,
                    "t": time,
                    "picture": pictures.of_frame(movie.frame(result.frame)),
                    "heat": pictures.of_probability(result.probability),
                    **_found(rows, result, data.kinds),
                    "truth": _truth(target, movie, result, data.classes),
                }
            )
    if not data.frames:
        raise InputError(f"{target.movie}: none of its frames could be looked at")
    return data


class _Pictures:
    """Makes small pictures; the quality is what the first frame needs to keep within its share of the bytes."""

    def __init__(self, shape: tuple[int, int], count: int) -> None:
        self._size = _fitting(shape, WIDEST_PX)
        self._heat_size = _fitting(shape, HEAT_PX)
        self._share = BYTES / count
        self._quality: int | None = None

    def of_frame(self, frame: NDArray[np.float32]) -> str:
        """The address of a picture of a frame (y, x), without its brightest and darkest specks."""
        from PIL import Image

        low, high = np.percentile(frame, [0.5, 99.8])
        grey = np.clip((frame - low) / max(high - low, 1e-9) * 255, 0, 255).astype(np.uint8)
        picture = Image.fromarray(grey).resize(self._size, Image.Resampling.LANCZOS)
        for quality in QUALITIES if self._quality is None else (self._quality,):
            self._quality = quality
            content = _written(picture, quality)
            if len(content) <= self._share:
                break
        return data_uri(content, "image/webp")

    def of_probability(self, probability: NDArray[np.float32]) -> str:
        """The address of a picture that is the less transparent the more probable a defect is there."""
        from PIL import Image

        small = Image.fromarray(np.round(200 * probability).astype(np.uint8)).resize(
            self._heat_size, Image.Resampling.BOX
        )
        colour = Image.new("RGB", self._heat_size, HEAT_COLOUR)
        colour.putalpha(small)
        return data_uri(_written(colour, 40), "image/webp")


def _fitting(shape: tuple[int, int], widest: int) -> tuple[int, int]:
    """Width and height of a picture of a frame of this shape (y, x)."""
    scale = min(1.0, widest / max(shape))
    return max(1, round(shape[1] * scale)), max(1, round(shape[0] * scale))


def _written(picture: Any, quality: int) -> bytes:
    out = io.BytesIO()
    picture.save(out, "WEBP", quality=quality, method=2)
    return out.getvalue()


def _found(rows: pd.DataFrame, result: FrameResult, kinds: list[str]) -> dict[str, list[list[Any]]]:
    """Points and holes of a frame, from its rows of the table."""
    outlines = {} if result.network is None else _outlines(result.network.objects.regions)
    found: dict[str, list[list[Any]]] = {"points": [], "holes": []}
    columns = ("y_px", "x_px", "kind", "probability", "track", "extended", "found_by")
    for y, x, kind, probability, track, extended, by in zip(*(rows[name].tolist() for name in columns), strict=True):
        followed = int(by == "history")
        about = [round(y, 1), round(x, 1), kinds.index(kind), round(probability, 2), int(track), followed]
        if extended and outlines:
            found["holes"].append([*about, _nearest(outlines, y, x)])
        else:
            found["points"].append(about)
    return found


def _truth(target: Target, movie: Movie, result: FrameResult, classes: list[str]) -> list[list[Any]]:
    """What is known of a frame; classes that are not in the list yet are added."""
    known = truth_of(target, movie, result.frame, result.period_px)
    if known is None:
        return []
    outlines, extended, marks = _outlines(known.objects.regions), known.objects.extended(), []
    for (y, x), kind, wide in zip(known.objects.positions.tolist(), known.kinds, extended, strict=True):
        name = known.class_names[kind - 1]
        if name not in classes:
            classes.append(name)
        mark = [round(y, 1), round(x, 1), classes.index(name)]
        marks.append([*mark, _nearest(outlines, y, x)] if wide else mark)
    return marks


def _outlines(regions: NDArray[np.int32]) -> dict[tuple[float, float], str]:
    """The outline of each region of a map (y, x) as an SVG path, by its centre of mass."""
    from scipy import ndimage
    from skimage.measure import approximate_polygon, find_contours

    outlines = {}
    boxes = ndimage.find_objects(regions)
    for number in np.unique(regions[regions > 0]).tolist():
        box = boxes[number - 1]
        inside = np.pad(regions[box] == number, 1)
        corner = np.array([side.start for side in box]) - 1
        path = ""
        for contour in find_contours(inside.astype(np.float32), 0.5):  # type: ignore[no-untyped-call]
            rough = approximate_polygon(contour, TOLERANCE_PX)  # type: ignore[no-untyped-call]
            corners = rough + corner + 0.5  # SVG counts from a pixel's corner
            path += "M" + "L".join(f"{x:.1f} {y:.1f}" for y, x in corners) + "Z"
        outlines[tuple((np.argwhere(inside).mean(axis=0) + corner).tolist())] = path
    return outlines


def _nearest(outlines: dict[tuple[float, float], str], y: float, x: float) -> str:
    """The outline whose middle is nearest to a place."""
    return outlines[min(outlines, key=lambda at: (at[0] - y) ** 2 + (at[1] - x) ** 2)]
