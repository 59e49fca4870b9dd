from pathlib import Path

import numpy as np

from data_prep.labels import IGNORE, LabelledFrame, load_labels, rename_classes, save_labels
from data_prep.objects import Objects

PERIOD_PX = 8.0


def labelled(names: tuple[str, ...], *kinds: int) -> LabelledFrame:
    """A hole and points of these classes, with a border that is unlabelled."""
    regions = np.zeros((80, 130), np.int32)
    regions[30:50, 60:90] = 1
    positions = np.array([(39.5 - 8 * k, 74.5 + k / 4) for k in range(len(kinds))]).reshape(-1, 2)
    class_map = np.where(regions, kinds[0] if kinds else 0, 0).astype(np.uint8)
    class_map[0] = IGNORE
    if not kinds:
        regions[:] = 0
    objects = Objects(positions, np.ones(len(kinds)), regions)
    return LabelledFrame(class_map, objects, np.array(kinds, np.int64), names, "by hand")


def same_labels(first: LabelledFrame, second: LabelledFrame) -> None:
    np.testing.assert_array_equal(first.class_map, second.class_map)
    np.testing.assert_array_equal(first.objects.positions, second.objects.positions)
    np.testing.assert_array_equal(first.objects.regions, second.objects.regions)
    np.testing.assert_array_equal(first.kinds, second.kinds)
    assert (first.class_names, first.made_by) == (second.class_names, second.made_by)


def test_stored_labels_of_several_frames_come_back(tmp_path: Path) -> None:
    made = {12: labelled(("hole", "vacancy"), 1, 2, 2), 7: labelled(("hole", "vacancy"))}
    save_labels(made, 8.25, tmp_path / "labels.h5")
    read, period = load_labels(tmp_path / "labels.h5")
    assert period == 8.25
    assert list(read) == [7, 12]
    for number, labels in made.items():
        same_labels(labels, read[number])


def test_renamed_classes_are_the_same_pixels_and_objects() -> None:
    before = labelled(("hole", "vacancy"), 1, 2)
    after = rename_classes(before, ("vacancy", "dopant", "hole"))
    assert after.class_names == ("vacancy", "dopant", "hole")
    assert after.kinds.tolist() == [3, 1]
    np.testing.assert_array_equal(after.class_map == 3, before.class_map == 1)
    np.testing.assert_array_equal(after.labelled, before.labelled)
    np.testing.assert_array_equal(after.objects.positions, before.objects.positions)
