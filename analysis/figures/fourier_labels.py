"""The Fourier method to look at: its steps, and what each threshold would label."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from analysis.figures.style import save_figure
from data_prep.fourier.filters import FourierSteps
from data_prep.fourier.labeller import FourierFilter, objects_of
from data_prep.fourier.lattice import Lattice, spectrum_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

DARKER_COLOUR, BRIGHTER_COLOUR = "#ff9500", "#56b4e9"
PANEL_IN = 3.2
SHOWN_PERIODS = 40  # side of the part of a frame in which single columns can still be told apart
CIRCLE_RADIUS = 0.6  # in periods


def draw_steps(frame: NDArray[np.float32], steps: FourierSteps, settings: FourierFilter, path: Path) -> Path:
    """Draw a frame (y, x) on its way through the filter, from the spectrum to the labels."""
    from matplotlib import pyplot as plt

    figure, grid = plt.subplots(2, 4, figsize=(4 * PANEL_IN, 2 * PANEL_IN + 0.6), layout="constrained")
    panels = list(grid.ravel())
    lattice = steps.lattice
    part = _part(frame.shape, lattice.period_px, np.array(frame.shape) / 2)
    _show(panels[0], frame, "frame")
    _show(panels[1], steps.background, "background, taken out")
    _show_spectrum(panels[2], frame, lattice)
    _show(panels[3], steps.levelled[part], "middle of the frame, levelled")
    _show(panels[4], steps.reference[part], f"reference ({settings.reference}), middle")
    _show(panels[5], steps.residual[part], "residual, middle", low=-8, high=8)
    _show_residuals(panels[6], steps.residual, settings)
    _show(panels[7], steps.levelled[part], "labels, middle")
    _circle(panels[7], steps, settings, part)
    period = f"lattice planes {lattice.period_px:.2f} px apart"
    figure.suptitle(f"{period}, {len(lattice.reflections)} Bragg peaks; {settings}")
    return save_figure(figure, path)


def draw_contact_sheet(
    steps: FourierSteps, darker: Sequence[float], brighter: Sequence[float], settings: FourierFilter, path: Path
) -> Path:
    """Draw what each threshold labels: a row for darker ones and a row for brighter ones."""
    from matplotlib import pyplot as plt

    size = (PANEL_IN * max(len(darker), len(brighter)), 2 * (PANEL_IN + 0.3) + 0.4)
    figure, grid = plt.subplots(2, max(len(darker), len(brighter)), figsize=size, layout="constrained", squeeze=False)
    rows = (
        ("darker", [FourierFilter(value, None, settings.reference) for value in darker]),
        ("brighter", [FourierFilter(None, value, settings.reference) for value in brighter]),
    )
    for panels, (side, filters) in zip(grid, rows, strict=True):
        part = _busiest(steps, filters[0])
        for panel in panels[len(filters) :]:
            panel.set_axis_off()
        for panel, chosen in zip(panels, filters, strict=False):
            value = getattr(chosen, side)
            _show(panel, steps.levelled[part], "")
            count = _circle(panel, steps, chosen, part)
            panel.set_title(f"{side} = {value:g}: {count} in the frame", fontsize=10)
    figure.suptitle("What each threshold labels, where it labels most")
    return save_figure(figure, path)


def _part(shape: tuple[int, ...], period_px: float, centre: NDArray[np.floating]) -> tuple[slice, slice]:
    """A part of a frame, around a place (y, x) or as near to it as the edges allow."""
    side = [min(length, int(SHOWN_PERIODS * period_px)) for length in shape]
    low = [int(np.clip(at - s / 2, 0, length - s)) for at, s, length in zip(centre, side, shape, strict=True)]
    return slice(low[0], low[0] + side[0]), slice(low[1], low[1] + side[1])


def _busiest(steps: FourierSteps, settings: FourierFilter) -> tuple[slice, slice]:
    """The part of a frame in which most is found."""
    shape, period = steps.levelled.shape, steps.lattice.period_px
    places = objects_of(steps.residual, settings, period).positions
    if len(places) == 0:
        return _part(shape, period, np.array(shape) / 2)
    around = (np.abs(places[:, None] - places[None]) <= SHOWN_PERIODS * period / 2).all(axis=2).sum(axis=1)
    return _part(shape, period, places[around.argmax()])


def _show(
    panel: Axes, image: NDArray[np.float32], title: str, low: float | None = None, high: float | None = None
) -> None:
    lowest, highest = np.percentile(image, [0.5, 99.8])
    panel.imshow(image, cmap="gray", vmin=lowest if low is None else low, vmax=highest if high is None else high)
    panel.set_title(title, fontsize=10)
    panel.set_xticks([])
    panel.set_yticks([])


def _show_spectrum(panel: Axes, frame: NDArray[np.float32], lattice: Lattice) -> None:
    """The power spectrum with the peaks that were found, and the first ring."""
    spectrum = spectrum_of(frame)
    half = np.log(np.maximum(np.fft.fftshift(spectrum.power, axes=0), 1e-12))
    whole = np.concatenate([half[:0:-1, :0:-1], half[1:]], axis=1)[: half.shape[0] - 1]
    limit = 0.5
    low, high = np.percentile(whole, [30, 99.95])
    panel.imshow(whole, cmap="gray", vmin=low, vmax=high, extent=(-limit, limit, limit, -limit), aspect="equal")
    peaks = lattice.reflections @ lattice.basis
    both = np.concatenate([peaks, -peaks])
    panel.plot(both[:, 1], both[:, 0], "o", mfc="none", mec=DARKER_COLOUR, ms=6, mew=0.8)
    turn = np.linspace(0, 2 * np.pi, 200)
    panel.plot(np.cos(turn) / lattice.period_px, np.sin(turn) / lattice.period_px, color=BRIGHTER_COLOUR, linewidth=0.8)
    reach = min(limit, 3.2 / lattice.period_px)
    panel.set(xlim=(-reach, reach), ylim=(reach, -reach), xticks=[], yticks=[])
    panel.set_title("spectrum, Bragg peaks, first ring", fontsize=10)


def _show_residuals(panel: Axes, residual: NDArray[np.float32], settings: FourierFilter) -> None:
    """How often which residual occurs, beside a normal distribution, with the thresholds."""
    edges = np.linspace(-12, 12, 121)
    counts = np.histogram(residual, edges)[0]
    panel.stairs(counts, edges, color="black")
    middle = (edges[1:] + edges[:-1]) / 2
    expected = residual.size * np.diff(edges) * np.exp(-(middle**2) / 2) / np.sqrt(2 * np.pi)
    panel.plot(middle, expected, color="0.6", linewidth=1)
    for value, colour in ((settings.darker, DARKER_COLOUR), (settings.brighter, BRIGHTER_COLOUR)):
        if value is not None:
            panel.axvline(-value if colour == DARKER_COLOUR else value, color=colour)
    panel.set(yscale="log", ylim=(0.5, None), xlabel="robust standard deviations", ylabel="pixels")
    panel.set_title("residuals (grey: normal), thresholds", fontsize=10)


def _circle(panel: Axes, steps: FourierSteps, settings: FourierFilter, part: tuple[slice, slice]) -> int:
    """Circle what is found in a part of the frame; returns how much is found in all of it."""
    from matplotlib.collections import EllipseCollection

    period = steps.lattice.period_px
    found = objects_of(steps.residual, settings, period)
    at = np.round(found.positions).astype(int)
    corner, end = [[getattr(side, name) for side in part] for name in ("start", "stop")]
    inside = ((at >= corner) & (at < end)).all(axis=1)
    for dark, colour in ((True, DARKER_COLOUR), (False, BRIGHTER_COLOUR)):
        here = found.positions[inside & ((steps.residual[at[:, 0], at[:, 1]] < 0) == dark)] - corner
        panel.add_collection(
            EllipseCollection(
                [2 * CIRCLE_RADIUS * period],
                [2 * CIRCLE_RADIUS * period],
                [0],
                units="xy",
                offsets=here[:, ::-1],
                transOffset=panel.transData,
                facecolors="none",
                edgecolors=colour,
                linewidths=1.2,
            )
        )
    return len(found)
