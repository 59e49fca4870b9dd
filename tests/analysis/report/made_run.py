"""A run folder as the pipeline leaves it, made from a simulated movie and its truth instead of a search."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image, ImageDraw
from scipy import ndimage

from analysis.detections import Detections
from analysis.library.kinds import Kind, save_kinds
from analysis.report.catalogue import FIGURES
from analysis.results import FrameResult, save_results
from analysis.run_results import save_targets
from analysis.scores import score
from analysis.summary import score_rows, write_scores
from analysis.tables import write_table
from analysis.target import Target, truth_of
from data_prep.movie import open_movie
from data_prep.objects import Objects, paint
from search.journal import Journal

KINDS = ("sulphur_vacancy", "molybdenum", "sulphur_pair_vacancy")
CLASSES = (*KINDS, "hole")
PERIOD_PX = 9.3  # of `tiny_movie`
RUN_FIGURES = ("defect_library", "surroundings", "confusion_matrix", "network", "search_history", "genealogy")


def make_run(
    folder, movie, truth, evaluations=(), frames=(1, 2, 3), *, timed=True, scored=True, empty=False, error=None
):
    """Make a run folder; `frames` of the movie are in it, `error` is why its first one could not be read."""
    folder.mkdir(parents=True)
    known = Target("tiny", Path(movie), frames, Path(truth), CLASSES, None, None, (), 1.0 if timed else None)
    with open_movie(known.movie) as opened:
        size = opened.pixel_size_nm
        results = [_result(known, opened, number, scored, empty) for number in frames]
    if error:
        results[0] = FrameResult("tiny", frames[0], error=error)
    save_results(iter(results), {"class_names": CLASSES}, folder / "maps.h5")
    defects = pd.concat([_rows(result, size, timed) for result in results], ignore_index=True)
    _link(defects)
    write_table(defects, folder / "defects")
    if scored:
        write_scores(score_rows(folder / "maps.h5"), {"tiny": size}, folder / "scores")
    _histories(folder, defects, timed)
    _library(folder, defects)
    with_journal = Journal(folder / "journal.sqlite")
    with_journal.append(evaluations)
    with_journal.close()
    for name in RUN_FIGURES:
        draw(folder / "figures" / f"{name}.png")
    for name in set(FIGURES) - set(RUN_FIGURES):
        draw(folder / "figures" / f"{name}_tiny.png")
    save_targets([known if scored else replace(known, truth=None, defects=())], folder / "targets.json")
    return folder


def draw(path):
    """A picture that says its name."""
    path.parent.mkdir(exist_ok=True)
    picture = Image.new("RGB", (1500, 600), "white")
    ImageDraw.Draw(picture).text((700, 290), path.stem, fill="black")
    picture.save(path)


def _result(target, movie, number, scored, empty):
    """What a network that misses every ninth defect would have found."""
    truth = truth_of(target, movie, number, PERIOD_PX)
    kept = np.arange(len(truth.objects)) % 9 != 4
    kept |= truth.objects.extended()
    kept &= not empty
    found = truth.objects.keep(kept)
    found = Objects(found.positions, np.linspace(0.6, 0.99, len(found)), found.regions)
    kinds = truth.kinds[kept]
    probability = ndimage.gaussian_filter((paint(found, 3.0) > 0).astype(np.float32), 1.0)
    classes = [truth.class_names[kind - 1] for kind in kinds]
    names = ("fourier", "network")
    scores = {name: score(found, truth, PERIOD_PX, classes if name == "network" else None) for name in names}
    areas = np.maximum(np.bincount(found.regions.ravel(), minlength=len(found) + 1)[1:], 25)
    network = Detections(found, kinds, areas, found.scores)
    return FrameResult("tiny", number, PERIOD_PX, probability, network, found, scores if scored else {})


COLUMNS = [
    *("movie", "frame", "time_s", "y_px", "x_px", "y_nm", "x_nm", "class", "probability", "mean_probability"),
    *("area_px", "area_nm2", "extended", "sublattice", "ratio", "kind", "track", "found_by"),
]


def _rows(result, size, timed):
    if result.network is None:
        return pd.DataFrame(columns=COLUMNS)
    objects, extended = result.network.objects, result.network.objects.extended()
    areas = result.network.areas_px
    rows = []
    for k, (y, x) in enumerate(objects.positions):
        name = CLASSES[result.network.kinds[k] - 1]
        time = float(result.frame) if timed else np.nan
        place = ["tiny", result.frame, time, y, x, y * size, x * size, name, objects.scores[k], objects.scores[k]]
        area = [areas[k], areas[k] * size**2, extended[k]]
        rows.append([*place, *area, "B", 0.5, "hole" if extended[k] else name, -1, "network"])
    return pd.DataFrame(rows, columns=COLUMNS)


def _link(defects):
    """Tracks: the same number for what is within half a period of it in the frame before."""
    count, before = 0, defects[:0]
    for _, here in defects.groupby("frame"):
        for row in here.itertuples():
            distance = np.hypot(before["y_px"] - row.y_px, before["x_px"] - row.x_px).to_numpy(float)
            near = len(distance) and distance.min() < PERIOD_PX / 2
            defects.loc[row.Index, "track"] = defects.loc[before.index[distance.argmin()], "track"] if near else count
            count += not near
        before = here
    defects["track"] = defects["track"].astype(int)


def _histories(folder, defects, timed):
    steps = max(defects["frame"].nunique() - 1, 0)
    kinds = KINDS if steps and len(defects) else ()
    unknown = 1.0 if timed else np.nan
    pairs = [(a, b) for a in kinds for b in kinds]
    write_table(
        pd.DataFrame(
            [("tiny", "column", a, b, 5, 20, 0.25, 0.1, 0.4) for a, b in pairs],
            columns=["movie", "process", "from", "to", "events", "at_risk", "probability", "low", "high"],
        ),
        folder / "histories" / "transitions",
    )
    columns = ["movie", "kind", "ends", "frames_at_risk", "mean_frames", "low_frames", "high_frames"]
    columns += ["mean_s", "low_s", "high_s"]
    stays = [("tiny", k, 4, 20, 5.0, 2.0, 9.0, 5.0 * unknown, 2.0 * unknown, 9.0 * unknown) for k in kinds]
    write_table(pd.DataFrame(stays, columns=columns), folder / "histories" / "dwell_times")
    columns = ["movie", "kind", "tracks", "steps", "moves", "coefficient_nm2_s", "low_nm2_s", "high_nm2_s"]
    moves = [("tiny", k, 4, 20, 2, 0.0123456, 0.01, 0.02) for k in kinds] if timed else []
    write_table(pd.DataFrame(moves, columns=columns), folder / "histories" / "diffusion")


def _library(folder, defects):
    points = defects[~defects["extended"].astype(bool)]
    counts = points["kind"].value_counts()
    rows = [(i, kind, "B", count, 0.5, 0.05, kind, 1.0) for i, (kind, count) in enumerate(counts.items(), start=1)]
    nothing = np.zeros((5, 5), np.float32)
    kinds = [Kind(*row[:4], nothing, nothing, nothing[None], 1.0, None, *row[4:]) for row in rows]
    save_kinds(kinds, folder / "library" / "library.h5")
    columns = ["number", "kind", "sublattice", "count", "ratio", "ratio_sd", "class", "class_share"]
    write_table(pd.DataFrame(rows, columns=columns), folder / "library" / "kinds")
