"""How defects move: mean-square displacements and diffusion coefficients."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
LAGS = 10
LEVEL = 0.95
FEWEST_STEPS = 10
COLUMNS = ("kind", "tracks", "steps", "moves", "coefficient_nm2_s", "low_nm2_s", "high_nm2_s")
CURVE_COLUMNS = ("kind", "lag_frames", "lag_s", "msd_nm2", "low_nm2", "high_nm2", "pairs")


def diffusion(
    tracks: pd.DataFrame, hop_px: float, pixel_size_nm: float | None, frame_interval_s: float | None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Diffusion coefficient of each kind (`COLUMNS`), and its mean-square displacement by lag (`CURVE_COLUMNS`).

    `tracks` has `label` (the kind as it is called), `track`, `frame`, `y`, `x` in px with drift taken out, `site`,
    `extended` (these are left out), `told` (only from there on displacements count: elsewhere those out of view would
    be missed). D is a quarter of the mean-square displacement from frame to frame over the interval: on lattice sites
    places have no error, and its interval is that of a compound Poisson process of independent moves, the shortest
    of which is `hop_px`. Off the lattice places have an error, which the covariance of successive steps takes out;
    the interval is that of Brownian motion (Vestergaard, Blainey and Flyvbjerg, Phys. Rev. E 89, 022726, 2014).
    NaN where pixel size or frame interval are unknown.
    """
    size = np.nan if pixel_size_nm is None else pixel_size_nm
    seconds = np.nan if frame_interval_s is None else frame_interval_s
    rows, curve = [], []
    for label, mine in tracks[~tracks["extended"].astype(bool)].groupby("label", sort=True):
        places = mine.sort_values(["track", "frame"])
        squared = _squared(places, 1)
        if len(squared) < FEWEST_STEPS:
            continue
        mean, (low, high) = float(squared.mean()), _interval(squared, hop_px)
        if (places["site"] < 0).all():
            mean, low, high = _without_error(squared, _products(places))
        to_d = size**2 / (4 * seconds)
        moves = int((squared > 0).sum())
        rows.append((label, places["track"].nunique(), len(squared), moves, mean * to_d, low * to_d, high * to_d))
        for lag in range(1, LAGS + 1):
            pairs = _squared(places, lag)
            if len(pairs) < FEWEST_STEPS:
                break
            ends = _interval(pairs, hop_px, lag)
            curve.append((label, lag, lag * seconds, pairs.mean() * size**2, *(e * size**2 for e in ends), len(pairs)))
    return pd.DataFrame(rows, columns=list(COLUMNS)), pd.DataFrame(curve, columns=list(CURVE_COLUMNS))


def _squared(places: pd.DataFrame, lag: int) -> FloatArray:
    """Squared displacements (p,) over a number of frames, by all pairs of the same track."""
    later = places.assign(frame=places["frame"] - lag)
    both = places[places["told"].astype(bool)].merge(later, on=["track", "frame"], suffixes=("", "_later"))
    return np.asarray((both["y_later"] - both["y"]) ** 2 + (both["x_later"] - both["x"]) ** 2, float)


def _products(places: pd.DataFrame) -> FloatArray:
    """Products (p,) of each step and the next of the same track, summed over both directions."""
    first = places.merge(places.assign(frame=places["frame"] - 1), on=["track", "frame"], suffixes=("", "_1"))
    both = first.merge(places.assign(frame=places["frame"] - 2), on=["track", "frame"], suffixes=("", "_2"))
    products = [(both[f"{a}_1"] - both[a]) * (both[f"{a}_2"] - both[f"{a}_1"]) for a in ("y", "x")]
    return np.asarray(products[0] + products[1], float)


def _without_error(squared: FloatArray, products: FloatArray) -> tuple[float, float, float]:
    """Mean of squared displacements (n,) without the error of places, and its interval.

    Of `products` (p,) of successive steps, the mean is minus the error's square, in both directions together.
    """
    from scipy.stats import norm

    if not len(products):
        return float("nan"), 0.0, float("nan")
    mean, error = float(squared.mean() + 2 * products.mean()), max(-float(products.mean()), 0.0)
    moved, count = (
        max(mean, 0.0) / 2,
        len(products),
    )  # half of it in each direction; there, the error is half of `error`
    variance = (6 * moved**2 + 4 * moved * error + 2 * error**2) / count + 4 * (moved + error) ** 2 / count**2
    spread = float(norm.ppf((1 + LEVEL) / 2) * np.sqrt(2 * variance))
    return max(mean, 0.0), max(mean - spread, 0.0), max(mean, 0.0) + spread


def _interval(squared: FloatArray, hop: float, overlap: int = 1) -> tuple[float, float]:
    """Interval of a mean of squared displacements (n,) that come from few moves; pairs overlap by so many frames.

    If there was no move, at most a few of length `hop` were missed.
    """
    from scipy.stats import chi2

    total, fourth = squared.sum(), (squared**2).sum()
    if not total:
        return 0.0, float(hop**2 * chi2.ppf((1 + LEVEL) / 2, 2) / 2 * overlap / len(squared))
    moves = total**2 / fourth / overlap  # as many of equal size would scatter as much
    mean = squared.mean()
    low = chi2.ppf((1 - LEVEL) / 2, 2 * moves) / (2 * moves)
    high = chi2.ppf((1 + LEVEL) / 2, 2 * moves + 2) / (2 * moves)
    return float(mean * low), float(mean * high)
