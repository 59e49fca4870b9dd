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

    `tracks` has `label`, `track`, `frame` and `told`: whether it is seen what becomes of the defect in the next frame.
    A stay ends when another kind is seen in the track, or no more of it. Where it is not told, the stay is censored,
    and another begins if the defect is seen again: ends would be missed there, so the time does not count either.
    """
    ordered = tracks.sort_values(["track", "frame"])
    told = ordered["told"].astype(bool)
    goes_on = ordered["track"] == ordered["track"].shift(-1)
    same = goes_on & (ordered["label"] == ordered["label"].shift(-1))
    steps = (ordered["frame"].shift(-1) - ordered["frame"]).where(goes_on, 1.0).where(told, 0.0)
    number = (~(same & told)).shift(1, fill_value=True).cumsum()
    rows = pd.DataFrame({"label": ordered["label"], "frames": steps, "ended": told & ~same}).groupby(number)
    table = rows.agg({"label": "first", "frames": "sum", "ended": "last"}).reset_index(drop=True)
    table = table[table["frames"] > 0].reset_index(drop=True)
    return table.assign(censored=~table["ended"].astype(bool)).drop(columns="ended")


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
