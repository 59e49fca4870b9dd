"""What was planted is found, and noise is told as noise."""

from dataclasses import replace

import numpy as np
import pytest

from analysis.importance import FEWEST, gene_importance
from networks.genome import decode, encode
from networks.hyperparameters import Hyperparameters
from networks.space import Convolution, FullyConnected, Limits, NetworkSpec, sample
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


@pytest.fixture
def tuned(evaluated):
    """Random sets of one topology, whose fitness goes by hyperparameters."""

    def make(layers, worth):
        space = Hyperparameters.around_genome(encode(NetworkSpec(layers, SPECS[0].training)))
        if layers[0].kernel_height == layers[0].kernel_width:
            height, width = (next(h for h in space.vary if h.name.endswith(name)) for name in ("height", "width"))
            both = replace(height, name="layer 1 kernel_size", genes=height.genes + width.genes)
            space = replace(space, vary=(both, *(h for h in space.vary if h not in (height, width))))
        sets = [space.genome(one) for one in replace(space, around=False).draw(120, np.random.default_rng(3))]
        values = [worth(decode(genome, Limits())) for genome in sets]
        return [
            evaluated(number, 0.5 + value, stage="tuning", origin="random", genome=genome)
            for number, (genome, value) in enumerate(zip(sets, values, strict=True))
        ]

    return make


@pytest.mark.parametrize(
    ("side", "worth", "planted", "fitter"),
    [
        (3, lambda spec: -spec.layers[0].kernel_height / 20, "layer 1 kernel_size", "less"),
        ((3, 5), lambda spec: spec.layers[0].kernel_width / 20, "layer 1 kernel_width", "more"),
        (3, lambda spec: spec.layers[1].dropout, "layer 2 dropout", "more"),
        (3, lambda spec: 0.3 * (spec.layers[1].activation == "leaky_relu"), "layer 2 activation", "leaky relu"),
        (3, lambda spec: spec.training.momentum / 10, "momentum", "more"),
    ],
)
def test_in_a_tuning_the_hyperparameter_that_matters_is_found_by_its_name(tuned, side, worth, planted, fitter):
    height, width = (side, side) if isinstance(side, int) else side
    convolution = Convolution(8, height, width, 1, 1, "zeros", "relu", "batch", 0.0, skip=False)
    found = gene_importance(tuned((convolution, FullyConnected(16, "relu", 0.0)), worth))
    best = int(found.drop.argmax())
    assert (found.names[best], found.fitter[best]) == (planted, fitter)
    assert ("layer 1 kernel_size" in found.names) == isinstance(side, int)
    assert ("layer 1 kernel_height" in found.names) != isinstance(side, int)


def test_noise_cannot_be_predicted(searched):
    found = gene_importance(searched(np.random.default_rng(2).random(len(SPECS))))
    assert found.r2 <= 0


def test_of_too_few_good_networks_nothing_is_learnt(searched):
    evaluations = searched(np.linspace(0, 1, len(SPECS)))
    failed = [replace(e, status=Status.CRASHED) for e in evaluations[FEWEST - 1 :]]
    assert gene_importance([*evaluations[: FEWEST - 1], *failed]) is None
