"""The Fourier filter as it is used by hand: tuned on one frame, then applied to the rest."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from analysis.plateau import on_plateau
from analysis.scores import match, overall_f1
from data_prep.fourier.filters import Reference, filter_frame
from data_prep.fourier.labeller import FourierFilter, objects_of
from data_prep.labels import LabelledFrame

CANDIDATES = np.arange(1.4, 8.01, 0.2)


def tune_fourier(
    frames: Sequence[tuple[NDArray[np.generic], LabelledFrame]], reference: Reference = "lattice"
) -> FourierFilter:
    """The filter with the best detection F1 on labelled frames (y, x), as far as that can be told.

    First the threshold for darker spots, by the rule that also chooses the network's threshold; then, where it
    helps, one for brighter ones. Raises InputError if a frame shows no lattice.
    """
    filtered = [(filter_frame(frame, reference), truth) for frame, truth in frames]

    def f1(darker: float, brighter: float | None) -> float:
        chosen = FourierFilter(darker, brighter, reference)
        return overall_f1(
            match(objects_of(steps.residual, chosen, steps.lattice.period_px), truth, steps.lattice.period_px)
            for steps, truth in filtered
        )

    curve = np.array([f1(threshold, None) for threshold in CANDIDATES])
    darker = CANDIDATES[on_plateau(curve, sum(len(truth.objects) for _, truth in frames))]
    alone = f1(darker, None)
    brighter = max(CANDIDATES[::2], key=lambda threshold: f1(darker, threshold))
    return FourierFilter(float(darker), float(brighter) if f1(darker, brighter) > alone else None, reference)
