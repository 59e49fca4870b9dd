"""On real microscope images: learn from one area's expert labels, find the defects of another."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from analysis.detections import Detections
from analysis.library.build import build_library, kinds_of
from analysis.library.names import Decisions
from analysis.results import FrameResult, MovieFacts, load_results
from analysis.scores import precision_recall_f1
from analysis.target import Target, truth_of
from analysis.views import columns_seen, look
from apps.analyse import labelled_frames
from apps.detect import cell_of, detect_frames
from apps.finish import Finalist, train_finalist
from apps.prepare import Source, label_frames, make_tiles, tune_baseline
from data_prep.movie import open_movie
from data_prep.normalise import local_contrast
from networks.genome import encode
from networks.space import LEARNING_RATES, Convolution, NetworkSpec, Training

DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "tmd_expert"
DEFECTS = ("chalcogen_vacancy", "dopant_or_metal_vacancy")


@pytest.mark.data
@pytest.mark.skipif(not DATA.exists(), reason="the shared real STEM images are not here")
def test_a_plain_network_and_the_tuned_fourier_filter_find_the_defects_of_another_area(tmp_path):
    source = Source(DATA / "area11_maadf.dm4", (0,), DATA / "area11_atoms.csv", DEFECTS, None, None)
    labels = label_frames(source, tmp_path / "labels.h5")
    tiles = make_tiles(source, labels, tmp_path / "tiles.h5")
    fourier = tune_baseline(source, labels, None, tmp_path / "fourier.json")
    layers = [Convolution(16, 5, 5, 1, 1, "zeros", "relu", "batch", 0.0, skip=False)]
    layers += [Convolution(16, 3, 3, 1, d, "zeros", "relu", "batch", 0.0, skip=False) for d in (1, 2, 1)]
    training = Training("adamw", LEARNING_RATES[-7], 1e-4, 0.9, 8, "cross_entropy", 2.0, 1.0)
    finalist = Finalist(encode(NetworkSpec(tuple(layers), training)), 0, 0)
    trained = train_finalist(finalist, tiles, labels, 350, 200, tmp_path / "d.safetensors")
    assert trained["path"] == str(tmp_path / "d.safetensors")
    target = Target("area02", DATA / "area02_maadf.dm4", (0,), DATA / "area02_atoms.csv", DEFECTS, None, None)
    (result,) = load_results(detect_frames(target, Path(trained["path"]), fourier, tmp_path / "part.h5"))
    f1 = {name: precision_recall_f1(score.counts)[2] for name, score in result.scores.items()}
    # Published for these files: 0.849 for a tuned Fourier filter, 0.80 for a hand-made network.
    assert f1["fourier"] > 0.85
    assert f1["network"] > 0.85


@pytest.mark.data
@pytest.mark.skipif(not DATA.exists(), reason="the shared real STEM images are not here")
@pytest.mark.parametrize(("detector", "brightest"), [("maadf", "chalcogen_vacancy"), ("haadf", DEFECTS[1])])
def test_vacancies_and_dopants_of_another_area_are_kinds_as_experts_label_them(tmp_path, detector, brightest):
    """Of 141 vacancies and 5 metal sites, by their places alone: as if the network took all for vacancies.

    None was mistaken when this was written. The experts' labels have some noise, so two may be.
    """
    source = Source(DATA / f"area11_{detector}.dm4", (0,), DATA / "area11_atoms.csv", DEFECTS, None, None)
    labelled = labelled_frames(source, label_frames(source, tmp_path / "labels.h5"), DEFECTS)
    target = Target("area02", DATA / f"area02_{detector}.dm4", (0,), DATA / "area02_atoms.csv", DEFECTS, None, None)
    with open_movie(target.movie) as movie:
        cell = cell_of(movie)
        period = cell.lattice.period_px
        truth = truth_of(target, movie, 0, period)
        count = len(truth.kinds)
        found = Detections(truth.objects, np.ones(count, np.int64), np.zeros(count, np.int64), np.ones(count))
        levelled = local_contrast(movie.frame(0), period)
        columns = columns_seen(levelled, cell)
        views = look(levelled, columns, cell, found, period, 0)
        facts = {"area02": MovieFacts(movie.pixel_size_nm, None, cell)}
    result = FrameResult("area02", 0, period, network=found, columns=columns, views=views)
    library = build_library(lambda: iter([result]), labelled, facts, DEFECTS, Decisions())
    kinds = [library.kinds[number - 1] for number in kinds_of(result, library.groups, library.numbers)]
    sites = [DEFECTS[kind - 1] for kind in truth.kinds]
    named = Counter(zip(sites, (kind.name.split(" (")[0] for kind in kinds), strict=True))
    assert sum(named.values()) == 146
    assert sum(number for (site, name), number in named.items() if site != name) <= 2
    for site in DEFECTS:
        own = [kind.sublattice for kind, known in zip(kinds, sites, strict=True) if known == site]
        assert own.count("A" if site == brightest else "B") >= len(own) - 2
    vacancies = [kind for kind in library.kinds if kind.name.startswith("chalcogen_vacancy")]
    assert all(0.1 < kind.ratio < 0.7 for kind in vacancies)  # one selenium of two
