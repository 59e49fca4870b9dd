"""A standard deviation that a few outliers do not widen."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

OF_NORMAL = 1.4826  # its standard deviation beside the median of its absolute values


def robust_deviation(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Standard deviation (...) of values (n, ...), by their median absolute deviation."""
    return np.asarray(OF_NORMAL * np.median(np.abs(values - np.median(values, axis=0)), axis=0))
