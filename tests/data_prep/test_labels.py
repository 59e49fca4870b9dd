from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from data_prep.fourier import FourierFilter
from data_prep.labels import IGNORE, LabelledFrame, from_fourier, load_labels, rename_classes, save_labels
from data_prep.objects import Objects

PERIOD_PX = 8.0
Waves = Callable[[tuple[int, int], float], NDArray[np.float64]]
Spot = Callable[[tuple[int, int], tuple[float, float], float], NDArray[np.float64]]


def test_the_fourier_method_labels_what_is_darker_and_what_is_brighter(plane_waves: Waves, spot: Spot) -> None:
    shape = (120, 170)
    marks = 4 * spot(shape, (85, 50), 3.0) - 4 * spot(shape, (40, 110), 3.0) - 4 * spot(shape, (90, 130), 3.0)
    frame = plane_waves(shape, PERIOD_PX) + marks + np.random.default_rng(8).normal(0, 1.0, shape)
    labels = from_fourier(frame, FourierFilter(PERIOD_PX, 9.0, 9.0))
    assert labels.class_names == ("darker", "brighter")
    found = {
        (round(y), round(x)): int(kind) for (y, x), kind in zip(labels.objects.positions, labels.kinds, strict=True)
    }
    assert sorted(found.values()) == [1, 1, 2]
    for place, kind in {(40, 110): 1, (90, 130): 1, (85, 50): 2}.items():
        nearest = min(found, key=lambda other: np.hypot(other[0] - place[0], other[1] - place[1]))
        assert np.hypot(nearest[0] - place[0], nearest[1] - place[1]) < 3
        assert found[nearest] == kind
        assert labels.class_map[place] == kind
    assert "9 darker, 9 brighter" in labels.made_by


def test_only_sides_that_were_found_are_classes(plane_waves: Waves, spot: Spot) -> None:
    shape = (120, 170)
    noise = np.random.default_rng(8).normal(0, 1.0, shape)
    frame = plane_waves(shape, PERIOD_PX) + 4 * spot(shape, (85, 50), 3.0) + noise
    labels = from_fourier(frame, FourierFilter(PERIOD_PX, 9.0, 9.0))
    assert labels.class_names == ("brighter",)
    assert labels.kinds.tolist() == [1]
    nothing = from_fourier(plane_waves(shape, PERIOD_PX) + noise, FourierFilter(PERIOD_PX, 9.0, 9.0))
    assert len(nothing.objects) == 0
    assert (nothing.class_map[nothing.labelled] == 0).all()


def test_the_fourier_method_says_nothing_of_the_border(plane_waves: Waves, spot: Spot) -> None:
    """The lattice ends there, and what the filter makes of that is no defect."""
    shape = (120, 170)
    frame = plane_waves(shape, PERIOD_PX) + np.random.default_rng(8).normal(0, 0.1, shape)
    frame -= 4 * spot(shape, (60, 80), 3.0)
    labels = from_fourier(frame, FourierFilter(PERIOD_PX, 6.0, 6.0))
    known = np.zeros(shape, bool)
    known[10:-10, 10:-10] = True
    np.testing.assert_array_equal(labels.labelled, known)
    assert labels.objects.positions == pytest.approx(np.array([[60, 80]]), abs=3)


def test_a_mark_in_the_border_leaves_no_label_beside_it(
    plane_waves: Callable[..., NDArray[np.float64]], spot: Callable[..., NDArray[np.float64]]
) -> None:
    shape = (120, 170)
    frame = plane_waves(shape, 8.0) + np.random.default_rng(8).normal(0, 0.1, shape)
    frame -= 4 * spot(shape, (60, 4), 3.0) + 4 * spot(shape, (60, 80), 3.0)
    (position,) = from_fourier(frame, FourierFilter(8.0, 9.0, 9.0)).objects.positions
    np.testing.assert_allclose(position, (60, 80), atol=1)


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
