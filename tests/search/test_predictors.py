"""What every predictor must do, whichever it is; and that each is what it says to be.

In the manner of Optuna's `optuna/testing/pytest_samplers.py`: one suite for all.
"""

import io
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from networks.genes import LENGTH, Gene
from networks.hyperparameters import Hyperparameter, Hyperparameters
from search.predictors import CHOOSERS, PREDICTORS, Svm, Trees
from search.predictors.predictor import Choice, NothingLearntError

GOOD_SHARE = 0.25
every_predictor = pytest.mark.parametrize("kind", PREDICTORS.values(), ids=PREDICTORS.keys())
every_chooser = pytest.mark.parametrize("kind", CHOOSERS.values(), ids=CHOOSERS.keys())


def space_of(*tables, held=()):
    """A space of tables of choices, those of the numbers `held` with one choice that is certain and others never."""
    vary = []
    for number, table in enumerate(tables):
        chances = np.eye(len(table))[-1] if number in held else np.full(len(table), 1 / len(table))
        gene = Gene(f"h{number}", table, 5)
        vary.append(Hyperparameter(gene.name, (number,), gene, table, tuple(chances.tolist())))
    return Hyperparameters(bytes(LENGTH), tuple(vary))


numbers = st.integers(1, 24).map(lambda count: tuple(range(count)))
names = st.integers(1, 5).map(lambda count: tuple("abcde"[:count]))


@st.composite
def spaces(draw):
    tables = draw(st.lists(st.one_of(numbers, names, st.just((False, True))), min_size=1, max_size=90))
    return space_of(*tables, held=draw(st.sets(st.integers(0, len(tables) - 1), max_size=len(tables))))


SPACE = space_of(*[tuple(range(12))] * 3, (False, True), *[tuple("abcd")] * 2)  # numbers and names


def place(sets, number):
    """From 0 to 1, where sets (n, hyperparameter) have an ordered one."""
    return sets[:, number] / (len(SPACE.vary[number].choices) - 1)


# Fitness of sets (n, hyperparameter) by rules that a predictor can find out.
RULES = {
    "two numbers have a good region": lambda sets: -abs(place(sets, 0) - 0.7) - abs(place(sets, 2) - 0.3),
    "a name decides": lambda sets: (sets[:, 4] == 2) + 0.1 * place(sets, 0),
    "a name and a number interact": lambda sets: np.where(sets[:, 5] < 2, place(sets, 1), 1 - place(sets, 1)),
}


def told(rule, count, seed, space=SPACE):
    """Random sets (count, hyperparameter) and their fitness (count,), which is somewhat noisy and above 0."""
    rng = np.random.default_rng(seed)
    sets = space.draw(count, rng)
    return sets, 2 + rule(sets) + rng.normal(0, 0.03, count)


def proposals(predictor, count, space=SPACE, seed=0):
    return np.stack([predictor.propose(space, np.random.default_rng([seed, n])).chosen for n in range(count)])


def sent(predictor):
    """As a worker has it."""
    file = io.BytesIO()
    np.savez(file, **predictor.arrays())
    file.seek(0)
    with np.load(file, allow_pickle=False) as arrays:
        return type(predictor).from_arrays(dict(arrays))


def is_inside(space, chosen):
    """Whether a set is of the space, as one of its random ones would be."""
    possible = [np.flatnonzero(h.chances) for h in space.vary]
    return chosen.dtype == np.uint8 and all(choice in some for choice, some in zip(chosen, possible, strict=True))


@every_predictor
@settings(deadline=None, max_examples=12)
@given(space=spaces(), seed=st.integers(0, 2**32 - 1))
def test_proposes_only_sets_of_the_space(kind, space, seed):
    rng = np.random.default_rng(seed)
    predictor = kind.learn(space, space.draw(20, rng), rng.random(20), GOOD_SHARE, seed=1)
    for _ in range(3):
        proposal = predictor.propose(space, rng)
        assert is_inside(space, proposal.chosen)
        assert proposal.draws >= 1


@every_predictor
def test_the_same_results_and_seed_teach_and_propose_the_same(kind):
    first, again = (kind.learn(SPACE, *told(RULES["a name decides"], 40, 3), GOOD_SHARE, seed=5) for _ in range(2))
    for name, values in first.arrays().items():
        np.testing.assert_array_equal(values, again.arrays()[name])
    proposals(again, 3, seed=9)  # what was proposed before makes no difference
    some = proposals(first, 8)
    np.testing.assert_array_equal(some, proposals(again, 8))
    assert len(np.unique(some, axis=0)) > 4  # and workers with other seeds do not all train the same


@every_predictor
@settings(deadline=None, max_examples=6)
@given(seed=st.integers(0, 2**32 - 1), count=st.integers(16, 60))
def test_a_worker_gets_all_that_was_learnt(kind, seed, count):
    predictor = kind.learn(SPACE, *told(RULES["a name and a number interact"], count, seed), GOOD_SHARE, seed)
    there = sent(predictor)
    assert there.arrays().keys() == predictor.arrays().keys()
    for name, values in predictor.arrays().items():
        np.testing.assert_array_equal(there.arrays()[name], values)
    np.testing.assert_array_equal(proposals(there, 3), proposals(predictor, 3))


@every_predictor
@pytest.mark.parametrize("rule", RULES.values(), ids=RULES.keys())
def test_finds_the_good_ones_twice_as_often_as_chance(kind, rule):
    good_from = np.quantile(rule(SPACE.draw(20_000, np.random.default_rng(0))), 1 - GOOD_SHARE)
    shares = []
    for seed in range(3):
        predictor = kind.learn(SPACE, *told(rule, 120, seed), GOOD_SHARE, seed)
        shares.append(np.mean(rule(proposals(predictor, 20)) >= good_from))
    assert np.mean(shares) >= 2 * GOOD_SHARE


@every_predictor
def test_learns_although_most_results_are_failures(kind):
    """Most networks of one name failed, with fitness 0, and so did some of the others."""
    sets, fitness = told(RULES["two numbers have a good region"], 80, 1)
    fails = (sets[:, 4] != 3) | (np.random.default_rng(2).random(80) < 0.2)
    predictor = kind.learn(SPACE, sets, np.where(fails, 0, fitness), GOOD_SHARE, seed=0)
    assert np.mean(proposals(predictor, 20)[:, 4] == 3) >= 2 * 0.25


@every_predictor
@pytest.mark.parametrize(
    ("fitness", "reason"),
    [
        ([], "0 results are too few, {fewest} are needed"),
        ([0.1, 0.5, 0.9], "3 results are too few, {fewest} are needed"),
        ([0.3] * 40, "all 40 results are the same"),
        ([0.0] * 40, "all 40 results are the same"),
    ],
)
def test_says_why_nothing_can_be_learnt(kind, fitness, reason):
    sets = SPACE.draw(len(fitness), np.random.default_rng(0))
    with pytest.raises(NothingLearntError) as refused:
        kind.learn(SPACE, sets, np.array(fitness, np.float64), GOOD_SHARE, seed=0)
    assert str(refused.value) == reason.format(fewest=kind.fewest(GOOD_SHARE))


@pytest.mark.parametrize(
    ("fitness", "reason"),
    [
        ([0.0] * 38 + [0.4, 0.5], "of 40 results 2 are good and 38 bad; 4 of each are needed"),
        ([0.5] * 39 + [0.4], "of 40 results 39 are good and 1 bad; 4 of each are needed"),
    ],
)
def test_the_svm_needs_some_of_each_kind(fitness, reason):
    sets = SPACE.draw(len(fitness), np.random.default_rng(0))
    with pytest.raises(NothingLearntError) as refused:
        Svm.learn(SPACE, sets, np.array(fitness), GOOD_SHARE, seed=0)
    assert str(refused.value) == reason


@every_predictor
@pytest.mark.parametrize("good_share", [0.05, 0.25, 0.5, 0.9])
def test_with_the_fewest_results_something_is_learnt(kind, good_share):
    fewest = kind.fewest(good_share)
    sets = SPACE.draw(fewest, np.random.default_rng(0))
    assert kind.learn(SPACE, sets, np.linspace(0, 1, fewest), good_share, seed=0)


@every_predictor
def test_learns_from_sets_that_are_all_the_same_or_came_twice(kind):
    fitness = np.random.default_rng(4).random(24)
    same = np.repeat(SPACE.draw(1, np.random.default_rng(5)), 24, axis=0)
    twice = np.repeat(SPACE.draw(12, np.random.default_rng(6)), 2, axis=0)
    for sets in (same, twice):
        predictor = kind.learn(SPACE, sets, fitness, GOOD_SHARE, seed=0)
        assert all(is_inside(SPACE, chosen) for chosen in proposals(predictor, 5))


@every_predictor
def test_a_worker_proposes_without_scikit_learn(kind, tmp_path):
    space = Hyperparameters.around_genome(bytes(LENGTH))
    sets = space.draw(40, np.random.default_rng(7))
    predictor = kind.learn(space, sets, sets[:, 0] / 23, GOOD_SHARE, seed=0)
    np.savez(tmp_path / "it.npz", **predictor.arrays())
    code = f"""
import sys
import numpy as np
from networks.hyperparameters import Hyperparameters
from search.predictors import PREDICTORS
with np.load({str(tmp_path / "it.npz")!r}, allow_pickle=False) as arrays:
    predictor = PREDICTORS[{kind.name!r}].from_arrays(dict(arrays))
space = Hyperparameters.around_genome(bytes({LENGTH}))
print(*predictor.propose(space, np.random.default_rng(8)).chosen)
assert "sklearn" not in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert [int(choice) for choice in done.stdout.split()] == predictor.propose(
        space, np.random.default_rng(8)
    ).chosen.tolist()


def some_features(count, seed):
    """Features (count, 3) on scales that differ by 10,000, and fitness (count,) that two of them decide."""
    rng = np.random.default_rng(seed)
    features = rng.normal(0, (1, 100, 0.01), (count, 3)) + np.array([0, 1000, 0])
    return features, -(features[:, 0] ** 2) - (features[:, 1] / 100 - 10.5) ** 2


@every_chooser
def test_of_candidates_one_is_chosen_whatever_the_scale_of_features(kind):
    features, fitness = some_features(80, 0)
    candidates, truth = some_features(400, 1)
    chooser = kind.learn_features(features, fitness, GOOD_SHARE, 0)
    wider = kind.learn_features(1024 * features, fitness, GOOD_SHARE, 0)
    good = []
    for start in range(0, 400, 12):
        some = candidates[start : start + 12]
        choice = chooser.choose(some)
        assert 0 <= choice.number < choice.draws <= len(some)
        assert wider.choose(1024 * some) == choice
        good.append(truth[start + choice.number] >= np.quantile(truth, 1 - GOOD_SHARE))
    assert np.mean(good) >= 2 * GOOD_SHARE


@pytest.mark.parametrize("seed", range(3))
def test_the_svm_is_scikit_learns_with_the_best_c_and_gamma_of_cross_validation(seed):
    from sklearn.model_selection import StratifiedKFold, cross_val_score
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVC

    features, fitness = some_features(80, seed)
    good = fitness >= np.sort(fitness)[-20]
    scaler = StandardScaler().fit(features)
    folds = StratifiedKFold(4, shuffle=True, random_state=seed)
    pairs = [(c, width / 3) for c in (1, 10, 100) for width in (0.1, 0.3, 1, 3)]
    scores = [
        cross_val_score(
            SVC(C=c, gamma=gamma), scaler.transform(features), good, cv=folds, scoring="average_precision"
        ).mean()
        for c, gamma in pairs
    ]
    c, gamma = pairs[int(np.argmax(scores))]
    theirs = SVC(C=c, gamma=gamma).fit(scaler.transform(features), good)
    ours = Svm.learn_features(features, fitness, GOOD_SHARE, seed)
    others = some_features(500, 9)[0]
    assert ours.gamma == pytest.approx(gamma)
    margin = theirs.decision_function(scaler.transform(others))
    np.testing.assert_allclose(ours.margin(others), margin, rtol=0, atol=1e-9)
    accepted = np.flatnonzero(margin > 0)
    assert ours.choose(others) == Choice(accepted[0], accepted[0] + 1)
    rejected = np.flatnonzero(margin < 0)
    assert ours.choose(others[rejected]) == Choice(margin[rejected].argmax(), len(rejected), rejected=True)


def test_a_name_counts_no_more_than_a_number_to_the_svm():
    """Two sets that differ in a name of four are about as far from each other as two that differ in a number."""
    space = space_of((0, 1), tuple("ab"), tuple("abcd"))
    sets = space.draw(4000, np.random.default_rng(0))
    svm = Svm.learn(space, sets[:200], sets[:200, 0] + 0.1 * np.random.default_rng(1).random(200), GOOD_SHARE, 0)
    scaled = (space.features(sets) - svm.mean) / svm.scale
    variances = [scaled[:, of].var(axis=0).sum() for of in ([0], [1, 2], [3, 4, 5, 6])]
    assert variances == pytest.approx([1, 1, 1], rel=0.15)


@pytest.mark.parametrize("columns", [[0], [0, 1, 2]])
def test_the_trees_predict_as_scikit_learns_forest(columns):
    from sklearn.ensemble import ExtraTreesRegressor

    features, fitness = some_features(60, 2)
    forest = ExtraTreesRegressor(100, min_samples_leaf=2, max_features=0.5, random_state=4)
    forest.fit(features[:, columns], fitness)
    ours = Trees.learn_features(features[:, columns], fitness, GOOD_SHARE, 4)
    at_thresholds = np.repeat(np.concatenate([tree.tree_.threshold for tree in forest.estimators_])[:, None], 3, axis=1)
    others = np.concatenate([some_features(300, 3)[0], features, at_thresholds])[:, columns]
    np.testing.assert_allclose(ours.predict(others), forest.predict(others), rtol=1e-12)
    assert ours.choose(others) == Choice(forest.predict(others).argmax(), len(others))
