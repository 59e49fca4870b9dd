"""`evostem label`: choose the thresholds of the Fourier method by eye."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from data_prep.errors import InputError
from data_prep.fourier.filters import FourierSteps, Reference, filter_frame
from data_prep.fourier.labeller import AUTO_BRIGHTER, AUTO_DARKER, FourierFilter, objects_of
from data_prep.movie import open_movie
from workflow.run import refused

DARKER = (3.0, 3.6, AUTO_DARKER, 5.0, 6.0)
BRIGHTER = (4.0, 5.0, AUTO_BRIGHTER, 8.0, 10.0)


def label(
    path: Path,
    out: Path,
    frame: int,
    reference: Reference,
    pixel_size_nm: float | None = None,
    dataset: str | None = None,
) -> int:
    """Draw the steps of the method and a contact sheet of thresholds for one frame; returns the exit status."""
    try:
        _label(path, out, frame, reference, pixel_size_nm, dataset)
    except InputError as error:
        return refused(error)
    return 0


def _label(
    path: Path, out: Path, number: int, reference: Reference, pixel_size_nm: float | None, dataset: str | None
) -> None:
    with open_movie(path, pixel_size_nm, dataset) as movie:
        frame, size = movie.frame(number), movie.pixel_size_nm
    try:
        steps = filter_frame(frame, reference)
    except InputError as error:
        raise InputError(f"{path}: frame {number} {error}; choose one that does with --frame") from None
    _draw(frame, steps, FourierFilter(reference=reference), out)
    period = steps.lattice.period_px
    print(f"frame {number}: lattice planes {period:.2f} px" + (f" ({period * size:.3f} nm)" if size else "") + " apart")
    if steps.lattice.note:
        print(f"note: the frame {steps.lattice.note}")
    for side, values in (("darker", DARKER), ("brighter", BRIGHTER)):
        filters = [FourierFilter(*((v, None) if side == "darker" else (None, v))) for v in values]
        counts = [len(objects_of(steps.residual, chosen, period)) for chosen in filters]
        print(f"{side:>8}: " + ", ".join(f"{v:g} -> {n}" for v, n in zip(values, counts, strict=True)))
    print(f"figures: {out / 'contact_sheet.png'}, {out / 'steps.png'}")
    print("put the chosen thresholds into a TOML file and give it to `evostem run` with --config:")
    print(
        f'\n[labels]\nframe = {number}\ndarker = {AUTO_DARKER}\nbrighter = {AUTO_BRIGHTER}\nreference = "{reference}"'
    )


def _draw(frame: NDArray[np.float32], steps: FourierSteps, settings: FourierFilter, out: Path) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    from analysis.figures.fourier_labels import draw_contact_sheet, draw_steps

    new = not out.exists()
    try:
        draw_contact_sheet(steps, DARKER, BRIGHTER, settings, out / "contact_sheet.png")
        draw_steps(frame, steps, settings, out / "steps.png")
    except (OSError, InputError) as error:
        if new and out.is_dir() and not any(out.iterdir()):
            out.rmdir()
        if isinstance(error, InputError):
            raise
        raise InputError(f"{out}: cannot hold the figures ({error.strerror}); see --out") from None
