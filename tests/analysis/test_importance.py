"""What was planted is found, and noise is told as noise."""

from dataclasses import replace

import numpy as np
import pytest

from analysis.importance import FEWEST, gene_importance
from networks.genome import encode
from networks.space import sample
from search.evaluation import Status

RNG = np.random.default_rng(0)
SPECS = [sample(RNG) for _ in range(200)]


@pytest.fixture
def searched(evaluated):
    def make(fitness):
        return [
            evaluated(number, float(value), genome=encode(spec))
            for number, (spec, value) in enumerate(zip(SPECS, fitness, strict=True))
        ]

    return make


@pytest.mark.parametrize(
    ("planted", "value", "fitter"),
    [
        ("learning rate", lambda spec: np.log(spec.training.learning_rate), "more"),
        ("batch size", lambda spec: -spec.training.batch_size, "less"),
        ("loss", lambda spec: spec.training.loss == "focal", "focal"),
    ],
)
def test_the_gene_that_matters_is_found(searched, planted, value, fitter):
    worth = np.array([float(value(spec)) for spec in SPECS])
    fitness = (
        0.5 + 0.2 * (worth - worth.mean()) / np.ptp(worth) + 0.01 * np.random.default_rng(1).normal(size=len(worth))
    )
    found = gene_importance(searched(fitness))
    best = int(found.drop.argmax())
    assert found.names[best] == planted
    assert found.fitter[best] == fitter
    assert found.drop[best] > 10 * np.delete(found.drop, best).max()
    assert 0.2 < found.r2 <= 1
    assert found.networks == len(SPECS)


def test_noise_cannot_be_predicted(searched):
    found = gene_importance(searched(np.random.default_rng(2).random(len(SPECS))))
    assert found.r2 <= 0


def test_of_too_few_good_networks_nothing_is_learnt(searched):
    evaluations = searched(np.linspace(0, 1, len(SPECS)))
    failed = [replace(e, status=Status.CRASHED) for e in evaluations[FEWEST - 1 :]]
    assert gene_importance([*evaluations[: FEWEST - 1], *failed]) is None
