"""The Fourier filter as it is used by hand: tuned on one frame, then applied to the rest."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from analysis.plateau import on_plateau
from analysis.scores import match, matching_f1
from data_prep.fourier.filters import Reference, filter_frame
from data_prep.fourier.labeller import FourierFilter, objects_of
from data_prep.labels import LabelledFrame

CANDIDATES = np.arange(1.4, 8.01, 0.2)


def tune_fourier(frame: NDArray[np.generic], truth: LabelledFrame, reference: Reference = "lattice") -> FourierFilter:
    """The filter with the best detection F1 on a labelled frame (y, x), as far as that can be told.

    First the threshold for darker spots, by the rule that also chooses the network's threshold; then, where it
    helps, one for brighter ones. Raises InputError if the frame shows no lattice.
    """
    steps = filter_frame(frame, reference)
    period = steps.lattice.period_px

    def f1(darker: float, brighter: float | None) -> float:
        found = objects_of(steps.residual, FourierFilter(darker, brighter, reference), period)
        return matching_f1(match(found, truth, period))

    curve = np.array([f1(threshold, None) for threshold in CANDIDATES])
    darker = CANDIDATES[on_plateau(curve, len(truth.objects))]
    alone = f1(darker, None)
    brighter = max(CANDIDATES[::2], key=lambda threshold: f1(darker, threshold))
    return FourierFilter(float(darker), float(brighter) if f1(darker, brighter) > alone else None, reference)
