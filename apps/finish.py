"""The stages after the search: full training, and the choice of the detector."""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from apps.placement import threads
from data_prep.balance import Region
from data_prep.files import whole_file
from data_prep.labels import LabelledFrame, load_labels
from data_prep.objects import Objects


@dataclass(frozen=True)
class Finalist:
    """A network to be trained in full: its genome, seed, the evaluation it comes from, and weights to begin with."""

    genome: bytes
    seed: int
    evaluation: int
    weights: Path | None = None


def try_finalist(
    finalist: Finalist, tiles: Path, labels: Path, iterations: int, seconds: float, out: Path
) -> dict[str, Any]:
    """`train_finalist`, with a `path` of None and the `reason` where it fails: the others may do better."""
    try:
        return train_finalist(finalist, tiles, labels, iterations, seconds, out)
    except Exception as error:
        return {"path": None, "fitness": 0.0, "detection_f1": 0.0, "reason": f"{type(error).__name__}: {error}"}


def train_finalist(
    finalist: Finalist, tiles: Path, labels: Path, iterations: int, seconds: float, out: Path
) -> dict[str, Any]:
    """Train a network in full, choose its threshold on the validation regions, write it to `out`.

    Returns `path`, `fitness` (pixel F1) and `detection_f1`, both on validation data; `path` is
    None if training diverged.
    """
    import torch

    from analysis.detections import choose_threshold, defect_score
    from analysis.inference import network_probabilities
    from networks.detector import Detector
    from networks.genome import decode
    from networks.space import Limits
    from networks.train import default_device, tiles_on_device, train

    torch.set_num_threads(threads())
    data = tiles_on_device(tiles, default_device())
    spec = decode(finalist.genome, Limits())
    started = time.time()
    trained = train(
        spec, data, iterations, seconds, finalist.seed, [] if finalist.weights is None else [finalist.weights]
    )
    if trained.diverged:
        return {"path": None, "fitness": 0.0, "detection_f1": 0.0, "reason": trained.diverged}
    labelled = load_labels(labels)[0]
    made_by = next(iter(labelled.values())).made_by
    provenance: dict[str, Any] = {
        "tiles": os.fspath(tiles),
        "labels": made_by,
        "evaluation": finalist.evaluation,
        "seed": finalist.seed,
        "inherited": trained.inherited,
        "iterations": trained.iterations,
        "validation": trained.scores,
        "trained": time.strftime("%Y-%m-%d", time.gmtime(started)),
    }
    period = data.tiles.period_px
    detector = Detector(
        trained.model,
        spec,
        finalist.genome,
        data.tiles.class_names,
        period,
        data.tiles.pixel_size_nm,
        threshold=0.5,  # until the validation region has its say
        provenance=provenance,
    )
    regions = [
        (defect_score(network_probabilities(detector, image), period), crop(labelled[frame], region))
        for frame, region, image in data.tiles.validation_regions()
    ]
    threshold, detection_f1 = choose_threshold(regions, period)
    provenance["validation_detection_f1"] = detection_f1
    replace(detector, threshold=threshold).save(out)
    return {"path": str(out), "fitness": trained.scores["f1"], "detection_f1": detection_f1, "reason": ""}


def crop(labels: LabelledFrame, region: Region) -> LabelledFrame:
    """The labels of a region of a frame: objects whose centres lie in it, positions from its corner."""
    corner, end = [part.start for part in region], [part.stop for part in region]
    objects = labels.objects
    inside = np.asarray(((objects.positions >= corner) & (objects.positions < end)).all(axis=1), bool)
    kept = objects.keep(inside)
    moved = Objects(kept.positions - corner, kept.scores, kept.regions[region])
    return LabelledFrame(labels.class_map[region], moved, labels.kinds[inside], labels.class_names, labels.made_by)


def keep_best(out: Path, *trained: dict[str, Any]) -> Path:
    """Write the finalist that did best on validation data as the run's detector.

    Raises RuntimeError if none of them could be trained.
    """
    good = [result for result in trained if result["path"]]
    if not good:
        raise RuntimeError("no finalist could be trained: " + json.dumps([result["reason"] for result in trained]))
    best = max(good, key=lambda result: (result["fitness"], result["detection_f1"]))
    with whole_file(out) as temporary:
        temporary.write_bytes(Path(best["path"]).read_bytes())
    return out
