"""The movie with its defects and where they come from, as MP4 and GIF."""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from analysis.figures.panels import KindStyle, frame_title, named, scale_bar, styles_of
from analysis.figures.style import counted
from data_prep.errors import InputError
from data_prep.files import whole_file
from data_prep.movie import Movie

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.lines import Line2D
    from PIL import Image

TRAIL = 12  # frames
SIDE_PX, LARGEST_PX = 640, 1280  # of the longer side of the pictures; small frames are enlarged
DPI = 100
HEAD_PX, LINE_PX = 26, 22  # above the frame its number, below it a legend
MARK_PT = 9  # size of markers
GIF_FRAMES, GIF_WIDTH_PX, GIF_GREYS = 40, 400, 14
SHORTEST_S, SLOWEST, FASTEST = 12, 5, 25  # long movies are shown faster, in frames per second


def draw_track_movie(
    movie: Movie, frames: Sequence[int], defects: pd.DataFrame, drift: pd.DataFrame, kinds: Sequence[str], path: Path
) -> Path:
    """Write some frames of a movie, in order, as MP4 (`path`) and a smaller GIF beside it: defects' kinds and trails.

    `defects` and `drift` are the tables of those names, of this movie. Trails are the places of the last frames on the
    sample: the drift is taken out of them. Frames that cannot be read are left out; raises InputError if that is all.
    """
    rate = min(max(len(frames) / SHORTEST_S, SLOWEST), FASTEST)
    every = max(math.ceil(len(frames) / GIF_FRAMES), 1)
    styles = styles_of(defects["kind"], kinds)
    shrink = _Shrink(styles)
    small: list[Image.Image] = []
    with whole_file(path.with_suffix(".gif")) as gif, whole_file(path) as mp4:
        pictures = _pictures(movie, frames, _Tracks(defects, drift, movie.frames), styles)
        first = next(pictures, None)
        if first is None:
            raise InputError(f"{movie.source}: no frame of it can be read, so there is no movie to draw")
        with closing(_encoder(mp4, first.shape, rate)) as encoder:
            for number, picture in enumerate(chain([first], pictures)):
                encoder.send(picture)
                if number % every == 0:
                    small.append(shrink(picture))
        small[0].save(gif, save_all=True, append_images=small[1:], duration=round(1000 * every / rate), loop=0)
    return path


class _Shrink:
    """Makes pictures (y, x, rgb) small ones of few colours, the same in all: greys and those of the kinds."""

    def __init__(self, styles: dict[str, KindStyle]) -> None:
        from matplotlib.colors import to_rgb
        from PIL import Image

        greys = [3 * (round(grey),) for grey in np.linspace(0, 255, GIF_GREYS)]
        colours = [tuple(round(255 * value) for value in to_rgb(style.colour)) for style in styles.values()]
        self._palette = Image.new("P", (1, 1))
        self._palette.putpalette([value for colour in (*greys, *colours) for value in colour])

    def __call__(self, picture: NDArray[np.uint8]) -> Image.Image:
        from PIL import Image

        image = Image.fromarray(picture)
        image.thumbnail((GIF_WIDTH_PX, 2 * GIF_WIDTH_PX))
        return image.quantize(palette=self._palette, dither=Image.Dither.NONE)


def _encoder(path: Path, shape: tuple[int, ...], rate: float) -> Generator[None, NDArray[np.uint8], None]:
    """Takes pictures (y, x, rgb) by `send` and writes them as H.264."""
    import imageio_ffmpeg

    encoder: Generator[None, NDArray[np.uint8], None] = imageio_ffmpeg.write_frames(
        path, (shape[1], shape[0]), fps=rate, quality=5, macro_block_size=2, ffmpeg_log_level="error",
        output_params=["-movflags", "+faststart"],
    )  # fmt: skip
    encoder.send(None)  # type: ignore[arg-type]
    return encoder


class _Tracks:
    """Where defects are in each frame, and where they were before."""

    def __init__(self, defects: pd.DataFrame, drift: pd.DataFrame, frames: int) -> None:
        self._moved = np.zeros((frames, 2))  # of the sample since the first frame; (y, x)
        steps = drift.dropna(subset=["dy_px", "dx_px"]).sort_values("frame")
        known = steps["frame"].to_numpy(np.int64)
        if len(known):
            since = np.searchsorted(known, np.arange(frames), side="right") - 1
            self._moved = steps[["dy_px", "dx_px"]].to_numpy(np.float64)[np.maximum(since, 0)]
        ordered = defects.sort_values("frame", kind="stable")
        self._frame = ordered["frame"].to_numpy(np.int64)
        self._places = ordered[["y_px", "x_px"]].to_numpy(np.float64)
        self._track = ordered["track"].to_numpy(np.int64)
        self._kind = ordered["kind"].to_numpy(object)

    def here(self, frame: int) -> tuple[NDArray[np.float64], NDArray[Any]]:
        """Defects of a frame: their places (n, 2) and kinds (n,)."""
        part = self._part(frame, frame)
        return self._places[part], self._kind[part]

    def trails(self, frame: int) -> list[tuple[str, NDArray[np.float64]]]:
        """For each track that is there now or was lately, its last kind and its path (n, 2) as seen in this frame."""
        part = self._part(frame - TRAIL, frame)
        on_sample = self._places[part] - self._moved[self._frame[part]] + self._moved[frame]
        tracks = self._track[part]
        order = np.argsort(tracks, kind="stable")
        order = order[tracks[order] >= 0]
        ends = np.flatnonzero(np.diff(tracks[order])) + 1
        kinds = self._kind[part]
        return [(str(kinds[of[-1]]), on_sample[of]) for of in np.split(order, ends) if len(of) > 1]

    def _part(self, first: int, last: int) -> slice:
        return slice(*np.searchsorted(self._frame, [first, last + 1]).tolist())


def _pictures(
    movie: Movie, frames: Sequence[int], tracks: _Tracks, styles: dict[str, KindStyle]
) -> Iterator[NDArray[np.uint8]]:
    """Those frames that can be read as pictures (y, x, rgb), all drawn in one figure."""
    scene = None
    for number in frames:
        try:
            frame = movie.frame(number)
        except InputError:
            continue
        scene = scene or _Scene(movie, styles)
        yield scene.picture(frame, number, tracks)


class _Scene:
    """A figure that is made once: frames are put into it as they are, and only what moves is drawn anew."""

    def __init__(self, movie: Movie, styles: dict[str, KindStyle]) -> None:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.collections import LineCollection
        from matplotlib.figure import Figure

        self._movie, self._styles = movie, styles
        longer = max(movie.shape)
        self._scale = max(SIDE_PX / longer, 1.0) if longer <= LARGEST_PX else LARGEST_PX / longer
        self._size = tuple(2 * round(side * self._scale / 2) for side in movie.shape)
        height, width = self._size
        columns = max(int(width / (9 * max(map(len, styles), default=1) + 45)), 1)
        self._below = 2 * round((LINE_PX * math.ceil(len(styles) / columns) + LINE_PX / 2) / 2) if styles else 0
        whole = HEAD_PX + height + self._below
        # A little more than a pixel's share: matplotlib rounds the size down.
        figure = Figure(figsize=((width + 0.01) / DPI, (whole + 0.01) / DPI), dpi=DPI)
        self._canvas = FigureCanvasAgg(figure)
        self._panel = figure.add_axes((0, self._below / whole, 1, height / whole))
        self._panel.set(xlim=(-0.5, movie.shape[1] - 0.5), ylim=(movie.shape[0] - 0.5, -0.5))
        self._panel.set_axis_off()
        self._halo, self._trails = (LineCollection([], linewidths=size) for size in (3.0, 1.5))
        self._halo.set_color("white")
        for lines in (self._halo, self._trails):
            self._panel.add_collection(lines, autolim=False)
        self._marks = {
            name: (self._mark(style, "white", 3.4), self._mark(style, style.colour, 1.6))
            for name, style in styles.items()
        }
        scale_bar(self._panel, movie.shape, movie.pixel_size_nm)
        self._title = figure.text(6 / width, 1 - HEAD_PX / 2 / whole, "", fontsize=10.5, va="center")
        if styles:
            handles = [coloured for _, coloured in self._marks.values()]
            figure.legend(
                handles, [named(name) for name in styles], loc="lower center", ncols=columns, frameon=False,
                fontsize=9, borderaxespad=0.2, handletextpad=0.2,
            )  # fmt: skip
        self._moving = (*self._panel.collections, *self._panel.lines, *self._panel.texts, self._title)
        for artist in self._moving:
            artist.set_animated(True)
        self._canvas.draw()  # type: ignore[no-untyped-call]
        self._still = self._canvas.copy_from_bbox(figure.bbox)  # type: ignore[no-untyped-call]

    def _mark(self, style: KindStyle, colour: str, width: float) -> Line2D:
        (line,) = self._panel.plot(
            [], [], style.marker, markersize=MARK_PT, markerfacecolor="none", markeredgecolor=colour,
            markeredgewidth=width, scalex=False, scaley=False,
        )  # fmt: skip
        return line

    def picture(self, frame: NDArray[np.float32], number: int, tracks: _Tracks) -> NDArray[np.uint8]:
        """The picture (y, x, rgb) of a frame."""
        places, kinds = tracks.here(number)
        hidden_px = MARK_PT * DPI / 72 / self._scale  # what stays within its marker needs no trail
        trails = [(kind, line) for kind, line in tracks.trails(number) if (np.ptp(line, axis=0) > hidden_px / 2).any()]
        for collection in (self._halo, self._trails):
            collection.set_segments([line[:, ::-1] for _, line in trails])
        self._trails.set_color([self._styles[kind].colour for kind, _ in trails])
        for name, pair in self._marks.items():
            for line in pair:
                line.set_data(*places[kinds == name].T[::-1])
        found = counted(len(places), "defect") if len(places) else "no defect"
        self._title.set_text(f"{frame_title(self._movie, number)}: {found}  ({named(self._movie.source.name)})")
        renderer: Any = self._canvas.get_renderer()  # type: ignore[no-untyped-call]
        self._canvas.restore_region(self._still)  # type: ignore[no-untyped-call]
        renderer.draw_image(renderer.new_gc(), 0, self._below, self._enlarged(frame)[::-1])
        for artist in self._moving:
            artist.draw(renderer)
        return np.ascontiguousarray(np.asarray(renderer.buffer_rgba())[..., :3])

    def _enlarged(self, frame: NDArray[np.float32]) -> NDArray[np.uint8]:
        """A frame in grey (y, x, rgba), of the size it has in the picture."""
        from PIL import Image

        low, high = np.percentile(frame[::2, ::2], [0.5, 99.8])
        grey = np.clip(255 * (frame - low) / max(high - low, 1e-12), 0, 255).astype(np.uint8)
        image = Image.fromarray(grey).resize((self._size[1], self._size[0]), Image.Resampling.BILINEAR)
        return np.asarray(image.convert("RGBA"))
