"""Runs without a search: a small detector, and all that the pipeline makes of what it finds."""

import json
import shutil
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import tifffile

from analysis.population import Rules
from analysis.target import Target
from apps.analyse import analyse, collect
from apps.detect import detect_frames
from apps.draw import draw_figures, write_report
from apps.finish import Finalist, train_finalist
from apps.prepare import Source, label_frames, make_tiles
from networks.genome import encode
from networks.space import LEARNING_RATES, Convolution, NetworkSpec, Training, sample
from search.evaluation import Evaluation, Request, Status
from search.journal import Journal
from workflow.config import load_config
from workflow.inputs import source_of, targets_of
from workflow.run_folder import RunFolder

POINTS = ("molybdenum", "sulphur_vacancy", "sulphur_pair_vacancy")
HISTORIES = ("counts", "diffusion", "displacements", "drift", "dwell_times", "stays", "surroundings", "transitions")
TABLES = dict.fromkeys(("confusion", "defects", "scores"), "") | {"kinds": "library"}
TABLES |= dict.fromkeys(HISTORIES, "histories")


@dataclass(frozen=True)
class SmallRun:
    """A run's folder, and what it learnt from and was applied to."""

    folder: Path
    source: Source
    targets: tuple[Target, ...]

    @property
    def maps(self):
        return self.folder / "maps.h5"

    def detect(self):
        """What the workers and `collect` leave."""
        files = (self.folder / "detector.safetensors", self.folder / "fourier.json")
        parts = [detect_frames(target, *files, self.folder / "parts" / f"{target.name}.h5") for target in self.targets]
        collect(self.folder, self.targets, *parts)
        return self

    def analyse(self):
        return analyse(self.folder, self.source, self.maps)

    def draw(self):
        return draw_figures(self.folder, self.targets, Rules(3), self.maps)

    def report(self):
        return write_report(self.folder)

    def tables(self):
        """All tables that ought to be there, by their names."""
        return {name: pd.read_parquet(self.folder / inner / f"{name}.parquet") for name, inner in TABLES.items()}

    def elsewhere(self, folder, *targets):
        """The same detector for other targets."""
        folder.mkdir(parents=True)
        for name in ("labels.h5", "detector.safetensors", "fourier.json", "config.toml", "inputs.json"):
            shutil.copy(self.folder / name, folder / name)
        return replace(self, folder=folder, targets=targets)

    def copied(self, folder):
        return replace(self, folder=Path(shutil.copytree(self.folder, folder)))


def prepare(folder, movie, truth):
    """A folder as it is when the search is over, but for the journal: labels, tiles, a trained detector."""
    run = RunFolder(folder)
    labels = {"file": str(truth), "defects": list(POINTS)}
    config = load_config(None, {"movie": str(movie), "truth": [str(truth)], "labels": labels})
    with run.claimed(config):
        source = source_of(config)
        label_frames(source, run.labels)
        make_tiles(source, run.labels, run.tiles)
        run.fourier.write_text(json.dumps(asdict(source.fourier)))
        layers = [Convolution(16, 5, 5, 1, 1, "zeros", "relu", "batch", 0.0, skip=False)]
        layers += [Convolution(16, 3, 3, 1, d, "zeros", "relu", "batch", 0.0, skip=False) for d in (1, 2, 1)]
        training = Training("adamw", LEARNING_RATES[-7], 1e-4, 0.9, 8, "cross_entropy", 2.0, 1.0)
        finalist = Finalist(encode(NetworkSpec(tuple(layers), training)), 0, 0)
        trained = train_finalist(finalist, run.tiles, run.labels, 120, 60.0, run.detector)
        assert trained["path"] is not None
    return SmallRun(run.path, source, targets_of(config, source))


def check_tables(folder):
    """Check that the tables of a run are CSV and Parquet with the same content; returns folder and name of each."""
    found = set()
    for path in folder.rglob("*.parquet"):
        table = pd.read_parquet(path)
        written = pd.read_csv(path.with_suffix(".csv"), keep_default_na=False, na_values=[""])
        assert list(written.columns) == list(table.columns), path
        assert len(written) == len(table), path
        for column in table.columns:
            if pd.api.types.is_numeric_dtype(table[column]):
                np.testing.assert_allclose(written[column].astype(float), table[column].astype(float), rtol=1e-5)
            else:
                assert written[column].fillna("").astype(str).tolist() == table[column].astype(str).tolist(), path
        found.add((path.parent.name if path.parent != folder else "", path.stem))
    assert {path.stem for path in folder.rglob("*.csv")} - {"genealogy"} == {name for _, name in found}
    return found


def journal_of(folder, evaluations):
    with closing(Journal(folder / "journal.sqlite")) as journal:
        journal.append(evaluations)


def networks(stage="evolution"):
    """What a search of two networks leaves in the journal, the second a child of the first."""
    genomes = [encode(sample(np.random.default_rng(seed))) for seed in (0, 1)]
    requests = [Request(0, stage, 0, genomes[0], 1), Request(1, stage, 1, genomes[1], 2, (0,), "change_genes")]
    facts = {"inference_s_per_megapixel": 0.1, "host": "n1", "worker": "0", "started": 10.0, "ended": 12.0}
    return [Evaluation(one, Status.OK, fitness=0.5 + one.index / 10, **facts) for one in requests]


def edited(movie, path, frames, *, empty=(), scale=True):
    """These frames of a movie, those in `empty` without any contrast; `scale`: with pixel size and interval."""
    with tifffile.TiffFile(movie) as stored:
        pixels = stored.asarray()[list(frames)]
        resolution = np.divide(*stored.pages[0].tags["XResolution"].value)
    pixels[list(empty)] = 7
    told = {"metadata": {"axes": "TYX", "unit": "nm", "finterval": 1.0}, "resolution": (resolution, resolution)}
    tifffile.imwrite(path, pixels, imagej=True, **(told if scale else {"metadata": {"axes": "TYX"}}))
    return path
