"""How long defects stay what they are."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

LEVEL = 0.95
COLUMNS = ("kind", "ends", "frames_at_risk", "mean_frames", "low_frames", "high_frames", "mean_s", "low_s", "high_s")
Durations = tuple[NDArray[np.float64], NDArray[np.bool_]]


def stays(tracks: pd.DataFrame) -> pd.DataFrame:
    """Stays of defects in one kind, a row each: `label`, `frames` (steps from frame to frame), `censored`.

    `tracks` has `label`, `track`, `step` and `ended`: whether a track whose last row this is was seen to end. What was
    one kind and is another in the next frame has ended as the first; what leaves the view has not.
    """
    ordered = tracks.sort_values(["track", "step"])
    new = (ordered["track"].diff() != 0) | (ordered["label"] != ordered["label"].shift())
    grouped = ordered.groupby(new.cumsum())
    track = grouped["track"].first()
    ended = (track == track.shift(-1)) | grouped["ended"].last().astype(bool)
    frames = grouped["step"].max() - grouped["step"].min() + ended.astype(int)
    return pd.DataFrame({"label": grouped["label"].first(), "frames": frames.astype(float), "censored": ~ended})


def dwell_times(of_stays: pd.DataFrame, frame_interval_s: float | None) -> pd.DataFrame:
    """Mean time that each kind stays, a row each: `COLUMNS`.

    Exponential decay with censoring: the time at risk over the number of ends, with its exact interval from the
    gamma distribution (Lawless, Statistical Models and Methods for Lifetime Data, 2nd edition, section 4.1). NaN where
    no end was seen; seconds are NaN where the frame interval is unknown.
    """
    from scipy.stats import chi2

    seconds = np.nan if frame_interval_s is None else frame_interval_s
    rows = []
    for label, mine in of_stays.groupby("label", sort=True):
        ends, at_risk = int((~mine["censored"]).sum()), float(mine["frames"].sum())
        mean = at_risk / ends if ends else np.nan
        low = 2 * at_risk / chi2.ppf((1 + LEVEL) / 2, 2 * ends + 2)
        high = 2 * at_risk / chi2.ppf((1 - LEVEL) / 2, 2 * ends) if ends else np.nan
        frames = (mean, low, high)
        rows.append((label, ends, at_risk, *frames, *(value * seconds for value in frames)))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def durations(of_stays: pd.DataFrame) -> dict[str, Durations]:
    """Of each kind the durations (n,) in frames, and which of them (n,) were not seen to end."""
    return {
        str(label): (mine["frames"].to_numpy(), mine["censored"].to_numpy(bool))
        for label, mine in of_stays.groupby("label", sort=True)
    }
