"""Weights stay as long as they may be wanted, and not longer."""

from apps.weights import WeightsFolder, kept_weights
from search.evaluation import Evaluation, Request, Status


def evaluation(index, fitness):
    return Evaluation(Request(index, "evolution", 0, b"", 0), Status.OK, fitness=fitness)


def leave(folder, index):
    kept_weights(folder, index).write_text("weights")


def there(folder):
    return sorted(int(path.stem) for path in folder.glob("*.safetensors"))


def test_the_best_and_the_parents_stay(tmp_path):
    folder = WeightsFolder(tmp_path, 2)
    for index, value in enumerate([0.5, 0.9, 0.1, 0.7, 0.6]):
        leave(tmp_path, index)
        folder.told(evaluation(index, value), parents={0, 2})
    assert there(tmp_path) == [0, 1, 2, 3]
    folder.told(evaluation(5, 0.0), parents=set())
    assert there(tmp_path) == [1, 3]


def test_networks_that_are_not_told_yet_keep_theirs(tmp_path):
    folder = WeightsFolder(tmp_path, 1)
    leave(tmp_path, 0)
    leave(tmp_path, 1)
    folder.told(evaluation(0, 0.5), parents=set())
    leave(tmp_path, 2)
    folder.told(evaluation(1, 0.4), parents=set())
    assert there(tmp_path) == [0, 2]


def test_a_later_life_knows_the_best_of_the_earlier_ones(tmp_path):
    for index in range(4):
        leave(tmp_path, index)
    before = [evaluation(index, value) for index, value in enumerate([0.2, 0.8, 0.3])]
    folder = WeightsFolder(tmp_path, 1, before)  # 3 was left by one that was under way
    folder.told(evaluation(4, 0.1), parents=set())
    assert there(tmp_path) == [1]
