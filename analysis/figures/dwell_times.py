"""How long defects stay what they are."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from analysis.figures.panels import KindStyle, named, small_multiples, styles_of, wrapped
from analysis.figures.style import counted, plain_axes, save_figure, say_instead

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

# How many steps from frame to frame defects of a kind were followed (n,), and which of them had not ended then (n,).
Durations = tuple[NDArray[Any], NDArray[np.bool_]]


def draw_dwell_times(
    durations: Mapping[str, Durations], dwell_times: pd.DataFrame, kinds: Sequence[str], path: Path
) -> Path:
    """Draw for each kind of one movie the share that is still what it was, over time, and the exponential fit.

    The steps are the Kaplan-Meier estimate with its 95 % interval: it takes defects into account whose end was not
    seen. `dwell_times` is the table of that name.
    """
    from matplotlib import pyplot as plt

    styles = styles_of([name for name, (lengths, _) in durations.items() if len(lengths)], kinds)
    if not styles:
        figure, axes = plt.subplots(figsize=(10, 2.5), layout="constrained")
        say_instead(axes, "no dwell times: no defect was followed over two frames")
        return save_figure(figure, path)
    fits = {str(row["kind"]): row for row in dwell_times.to_dict("records")}
    frame_s = _frame_s(dwell_times)
    figure, panels = small_multiples(len(styles), (3.3, 2.7))
    for panel, (name, style) in zip(panels, styles.items(), strict=True):
        lengths, censored = durations[name]
        end = _show_survival(panel, np.asarray(lengths, np.float64), np.asarray(censored, bool), frame_s, style)
        said = _show_fit(panel, fits.get(name), end, frame_s)
        panel.set_title(f"{wrapped(name)}\n{said}", fontsize=9)
        panel.set(xlim=(0, end), ylim=(0, 1.03))
        plain_axes(panel)
    figure.supxlabel("time since it became so, " + ("s" if frame_s else "frames"), fontsize=9.5)
    figure.supylabel("share that is still so", fontsize=9.5)
    movie = f"{named(str(dwell_times['movie'].iloc[0]))}: " if len(dwell_times) else ""
    figure.suptitle(f"{movie}dwell times\n(steps: seen, with 95 % interval; dashed: exponential)", fontsize=10.5)
    return save_figure(figure, path)


def _frame_s(dwell_times: pd.DataFrame) -> float | None:
    """Seconds from frame to frame, None if not known."""
    ratio = (dwell_times["mean_s"] / dwell_times["mean_frames"]).to_numpy(np.float64)
    ratio = ratio[np.isfinite(ratio)]
    return float(ratio[0]) if len(ratio) else None


def _show_survival(
    panel: Axes, lengths: NDArray[np.float64], censored: NDArray[np.bool_], frame_s: float | None, style: KindStyle
) -> float:
    """The Kaplan-Meier curve, ticks where defects went out of sight. Returns where the time axis ends."""
    from scipy.stats import CensoredData, ecdf

    unit = frame_s or 1.0
    survival = ecdf(CensoredData(uncensored=lengths[~censored], right=lengths[censored])).sf
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=RuntimeWarning)  # where none or all have ended, there is no interval
        interval = survival.confidence_interval(method="log-log")
    at = unit * np.concatenate([[0.0], survival.quantiles])
    share = np.concatenate([[1.0], survival.probabilities])
    bounds: tuple[Any, Any] = (interval.low, interval.high)
    low, high = (np.concatenate([[1.0], bound.probabilities]) for bound in bounds)
    low, high = np.where(np.isfinite(low), low, share), np.where(np.isfinite(high), high, share)
    panel.fill_between(at, low, high, step="post", color=style.colour, alpha=0.22, linewidth=0)
    panel.step(at, share, where="post", color=style.colour, linewidth=1.6, label="seen")
    gone = unit * np.unique(lengths[censored])
    if len(gone):
        height = share[np.searchsorted(at, gone, side="right") - 1]
        panel.plot(gone, height, "|", color=style.colour, markersize=6, label="out of sight")
    return float(1.03 * at[-1]) or unit


def _show_fit(panel: Axes, fit: Mapping[Any, Any] | None, end: float, frame_s: float | None) -> str:
    """The exponential of the mean; returns it in words.

    Frames are counted, so the decay is by 1 / mean at each of them.
    """
    if fit is None or not np.isfinite(fit["mean_frames"]):
        return "none was seen to end" if fit is None or fit["ends"] == 0 else "no mean"
    unit, suffix = (frame_s, "s") if frame_s else (1.0, "frames")
    stays = max(1 - 1 / fit["mean_frames"], 0.0)
    time = np.linspace(0, end, 200)
    panel.plot(time, stays ** (time / unit), "--", color="black", linewidth=1.1, label="exponential")
    mean, low, high = (fit[f"{name}_{suffix}"] for name in ("mean", "low", "high"))
    return f"{mean:.3g} ({low:.3g} to {high:.3g}) {suffix}, {counted(int(fit['ends']), 'end')}"
