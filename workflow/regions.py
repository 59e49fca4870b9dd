"""`evostem regions`: where in a frame to look next, as a table, a file and a picture."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from data_prep.errors import InputError
from data_prep.files import whole_file
from data_prep.labels import HOLE
from data_prep.movie import open_movie
from workflow.run import refused

if TYPE_CHECKING:
    from analysis.regions import Region
    from analysis.survey import Survey
    from networks.detector import Detector

FORMAT = "evostem regions 1"
FEWEST_PERIODS = 2.0  # across a window: less is no piece of a lattice


@dataclass(frozen=True)
class Question:
    """What is asked: the frame's number, the side of windows in nm, the wanted class, how many at most."""

    frame: int
    size_nm: float
    want: str | None
    count: int
    pixel_size_nm: float | None = None
    dataset: str | None = None


def regions(model: Path, path: Path, out: Path, question: Question) -> int:
    """Rank windows of a frame and write what was found to the folder `out`; returns the exit status."""
    try:
        _regions(model, path, out, question)
    except InputError as error:
        return refused(error)
    return 0


def _regions(model: Path, path: Path, out: Path, question: Question) -> None:
    for name, value in (("--size", question.size_nm), ("--count", question.count)):
        if not 0 < value < math.inf:
            raise InputError(f"{name} {value:g}: is not a positive number")
    _check_folder(out)
    from networks.detector import load_detector

    model = _detector_file(model)
    detector = load_detector(model)
    wanted = _class_number(question.want, detector, model)
    with open_movie(path, question.pixel_size_nm, question.dataset) as movie:
        frame, pixel_nm, notes = movie.frame(question.frame), movie.pixel_size_nm, movie.notes
    if pixel_nm is None:
        raise InputError(f"{path}: does not tell its pixel size, so that no window in nm can be cut; give --pixel-size")
    survey, side = _surveyed(frame, detector, pixel_nm, path, question)
    from analysis.regions import rank_regions

    found = rank_regions(survey, side, wanted, question.count)
    record = _record(model, path, question, pixel_nm, side, survey, found)
    _write(out, frame, survey, found, record, question.size_nm)
    for note in (*notes, *([f"the frame {survey.note}"] if survey.note else ())):
        print(f"note: {note}")
    _tell(question, survey, found, pixel_nm, wanted)
    print(f"files: {out / 'regions.json'}, {out / 'regions.png'}, {out / 'regions.pdf'}")


def _check_folder(out: Path) -> None:
    """Raise InputError if what would be written over is not this command's own."""
    try:
        there = [path for path in (out / f"regions.{kind}" for kind in ("json", "png", "pdf")) if path.exists()]
        with (out / "regions.json").open() as file:
            ours = isinstance(stored := json.load(file), dict) and stored.get("format") == FORMAT
    except (OSError, ValueError):
        ours = False
    if there and not ours:
        raise InputError(f"{there[0]}: is there already, not made by this command; choose another folder with --out")


def _detector_file(model: Path) -> Path:
    if not model.is_dir():
        return model
    file = model / "detector.safetensors"
    if not file.exists():
        raise InputError(f"{model}: holds no detector.safetensors; give the folder of a finished run, or a detector")
    return file


def _class_number(name: str | None, detector: Detector, model: Path) -> int | None:
    """The 1-based class of this name. A hole is no single defect that a window could be centred on."""
    if name is None:
        return None
    known = [known for known in detector.class_names if known != HOLE]
    if name not in known:
        raise InputError(f"--want {name}: is none of the defects that {model} knows: {', '.join(known)}")
    return detector.class_names.index(name) + 1


def _surveyed(
    frame: NDArray[np.float32], detector: Detector, pixel_nm: float, path: Path, question: Question
) -> tuple[Survey, int]:
    """What is known of the frame, and the side of windows in px."""
    from analysis.inference import class_probabilities, scaled_period
    from analysis.survey import survey_frame
    from data_prep.fourier.lattice import lattice_period

    try:
        period = lattice_period(frame)
    except InputError as error:
        raise InputError(f"{path}: frame {question.frame} {error}; choose one that does with --frame") from None
    side, shortest = round(question.size_nm / pixel_nm), min(frame.shape)
    if side > shortest:
        raise InputError(
            f"--size {question.size_nm:g}: is more than the frame's {shortest * pixel_nm:.3g} nm; give a smaller one"
        )
    if side < FEWEST_PERIODS * period:
        least = math.ceil(FEWEST_PERIODS * period) * pixel_nm
        raise InputError(
            f"--size {question.size_nm:g}: is less than {FEWEST_PERIODS:g} lattice planes; give {least:.2g} or more"
        )
    maps = class_probabilities(detector, frame, pixel_nm)
    scaled = scaled_period(detector, pixel_nm)
    return survey_frame(frame, maps, detector.class_names, detector.threshold, scaled), side


def _record(
    model: Path, path: Path, question: Question, pixel_nm: float, side: int, survey: Survey, found: list[Region]
) -> dict[str, Any]:
    """All that was asked and found, as plain numbers."""
    from analysis.regions import SCORE, TERMS

    return {
        "format": FORMAT,
        "model": str(model),
        "movie": str(path),
        "frame": question.frame,
        "shape_px": list(survey.shape),
        "pixel_size_nm": pixel_nm,
        "size_nm": round(side * pixel_nm, 4),
        "size_px": side,
        "wanted": question.want,
        "score": SCORE,
        "terms": TERMS,
        "regions": [_row(rank, region, survey, pixel_nm) for rank, region in enumerate(found, 1)],
    }


def _row(rank: int, region: Region, survey: Survey, pixel_nm: float) -> dict[str, Any]:
    objects, (top, left) = survey.detections.objects, region.corner
    own = region.defect
    return {
        "rank": rank,
        "score": round(region.score, 4),
        **{name: round(value, 4) for name, value in region.terms.items()},
        "centre_y_px": round(region.centre[0], 2),
        "centre_x_px": round(region.centre[1], 2),
        "centre_y_nm": round(region.centre[0] * pixel_nm, 4),
        "centre_x_nm": round(region.centre[1] * pixel_nm, 4),
        "top_px": top,
        "left_px": left,
        "bottom_px": top + region.side,
        "right_px": left + region.side,
        "nearest_nm": round(region.nearest_px * pixel_nm, 4),
        "class": None if own is None else _name(survey, own),
        "defect_probability": None if own is None else round(float(objects.scores[own]), 4),
        "others": [
            {"class": _name(survey, i), "y_px": round(float(y), 2), "x_px": round(float(x), 2)}
            for i, (y, x) in ((i, objects.positions[i]) for i in region.others)
        ],
    }


def _name(survey: Survey, number: int) -> str:
    return str(survey.class_names[survey.detections.kinds[number] - 1])


def _write(
    out: Path, frame: NDArray[np.float32], survey: Survey, found: list[Region], record: dict[str, Any], size_nm: float
) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    from analysis.figures.regions import draw_regions

    about = record["wanted"].replace("_", " ") if record["wanted"] else "clean lattice"
    title = f"{Path(record['movie']).name}, frame {record['frame']}: windows of {size_nm:g} nm, {about}"
    try:
        with whole_file(out / "regions.json") as temporary:
            temporary.write_text(json.dumps(record, indent=2) + "\n")
        draw_regions(frame, record["pixel_size_nm"], survey, found, title, out / "regions.png")
    except OSError as error:
        raise InputError(f"{out}: cannot hold the files ({error.strerror}); see --out") from None


def _tell(question: Question, survey: Survey, found: list[Region], pixel_nm: float, wanted: int | None) -> None:
    """The ranked windows, a line each; or a sentence on why there is none."""
    if not found:
        print(_nothing(question, survey, wanted))
        return
    print("rank  score  y, x in nm      lattice  certainty  isolation  wanted  others")
    for rank, region in enumerate(found, 1):
        y, x = (length * pixel_nm for length in region.centre)
        lattice, certainty, isolation, probability = region.terms.values()
        print(
            f"{rank:4}  {region.score:5.3f}  {f'{y:.2f}, {x:.2f}':14}  {lattice:7.2f}  {certainty:9.2f}  "
            f"{isolation:9.2f}  {probability:6.2f}  {len(region.others) or '-':>6}"
        )


def _nothing(question: Question, survey: Survey, wanted: int | None) -> str:
    if wanted is None:
        return f"no window of {question.size_nm:g} nm is free of defects; a smaller --size may find one"
    seen = int((survey.detections.kinds == wanted).sum())
    if not seen:
        return f"no {question.want} was found in this frame; --frame takes another"
    return (
        f"{seen} {question.want} found, but each window of {question.size_nm:g} nm around one leaves the frame or "
        "touches a hole; a smaller --size may not"
    )
