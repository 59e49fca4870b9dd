from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from analysis.detections import choose_threshold, defect_score, find_defects
from data_prep.labels import LabelledFrame
from data_prep.objects import Objects

SHAPE = (100, 150)
PERIOD_PX = 10.0
Spots = Callable[..., NDArray[np.float64]]
Truth = Callable[..., LabelledFrame]
GRID = [(float(y), float(x)) for y in range(20, 90, 20) for x in range(20, 140, 20)]


def class_maps(*defects: NDArray[np.float64]) -> NDArray[np.float32]:
    """Probabilities (class, y, x): the defect classes as given, the background the rest."""
    return np.stack([1 - np.sum(defects, axis=0), *defects]).astype(np.float32)


def test_each_defect_has_its_place_its_class_and_its_probability(spots: Spots) -> None:
    first = spots(SHAPE, 3.0, {(20, 120): 0.9, (60, 40): 0.3})
    second = spots(SHAPE, 3.0, {(60, 40): 0.5, (80, 90): 0.95, (30, 30): 0.2})
    found = find_defects(class_maps(first, second), 0.5, PERIOD_PX)
    by_place = {
        tuple(place): (int(kind), score)
        for place, kind, score in zip(
            np.round(found.objects.positions).tolist(), found.kinds, found.objects.scores, strict=True
        )
    }
    assert {place: kind for place, (kind, _) in by_place.items()} == {(20, 120): 1, (60, 40): 2, (80, 90): 2}
    # Smoothing over 1.4 px lowers a peak 3 px wide by 9 / (9 + 1.96).
    assert by_place[20, 120][1] == pytest.approx(0.9 * 9 / 10.96, abs=0.01)
    assert by_place[60, 40][1] == pytest.approx(0.8 * 9 / 10.96, abs=0.01)


def test_a_hole_is_one_defect_with_its_region() -> None:
    defect = np.zeros(SHAPE)
    defect[30:60, 70:120] = 0.9
    found = find_defects(class_maps(0.2 * defect, 0.8 * defect), 0.5, PERIOD_PX)
    assert found.objects.positions == pytest.approx(np.array([[44.5, 94.5]]))
    assert found.kinds.tolist() == [2]
    assert found.objects.extended().tolist() == [True]


def test_no_defect_gives_no_kinds() -> None:
    found = find_defects(class_maps(np.full(SHAPE, 0.1)), 0.5, PERIOD_PX)
    assert len(found.objects) == len(found.kinds) == 0


def test_a_lone_bright_pixel_is_smoothed_away() -> None:
    defect = np.zeros(SHAPE)
    defect[40, 80] = 1.0
    score = defect_score(class_maps(defect), PERIOD_PX)
    assert score.sum() == pytest.approx(1.0, rel=1e-3)
    # The top of a normalised Gaussian of 1.4 px.
    assert score[40, 80] == score.max() == pytest.approx(1 / (2 * np.pi * 1.4**2), rel=0.05)


def logit(probability: float) -> float:
    return float(np.log(probability / (1 - probability)))


def test_the_threshold_parts_true_from_false_peaks_nearer_to_the_true(spots: Spots, truth: Truth) -> None:
    true, false = GRID[:12], GRID[12:]
    score = spots(SHAPE, 2.0, dict.fromkeys(true, 0.9) | dict.fromkeys(false, 0.3)).astype(np.float32)
    threshold, f1 = choose_threshold([(score, truth(SHAPE, *true))], PERIOD_PX)
    assert f1 == 1.0
    assert (logit(0.3) + logit(0.9)) / 2 < logit(threshold) < logit(0.9)


def counted_by_hand(heights: dict[tuple[float, float], float], true: list[tuple[float, float]], least: float) -> float:
    """F1 of calling every peak above `least` a defect; no two are near one another."""
    found = {place for place, height in heights.items() if height > least}
    return 2 * len(found & set(true)) / (len(found) + len(true))


@pytest.mark.parametrize("seed", range(4))
def test_the_threshold_is_as_good_as_the_best_within_a_standard_error(spots: Spots, truth: Truth, seed: int) -> None:
    rng = np.random.default_rng(seed)
    true = GRID[::2]
    heights = {place: float(rng.beta(*((5, 2) if place in true else (2, 5)))) for place in GRID}
    score = spots(SHAPE, 1.5, heights).astype(np.float32)
    threshold, f1 = choose_threshold([(score, truth(SHAPE, *true))], PERIOD_PX)
    best = max(counted_by_hand(heights, true, least) for least in np.linspace(0.02, 0.99, 400))
    assert f1 == pytest.approx(counted_by_hand(heights, true, threshold))
    # The thresholds tried are coarse, so the best of them may be a little below the best of all.
    assert f1 >= best - np.sqrt(best * (1 - best) / len(true)) - 0.03


def test_with_nothing_to_find_a_threshold_is_given_all_the_same(spots: Spots, truth: Truth) -> None:
    score = spots(SHAPE, 2.0, {(50, 60): 0.8}).astype(np.float32)
    threshold, f1 = choose_threshold([(score, truth(SHAPE))], PERIOD_PX)
    assert 0 < threshold < 1
    assert f1 == 0.0


def test_the_threshold_is_never_in_a_dip_of_the_curve() -> None:
    shape = (200, 300)
    grid = [(y, x) for y in range(20, 190, 20) for x in range(20, 290, 20)]
    score = np.zeros(shape, np.float32)
    for place, height in zip(grid, [0.98] * 5 + [0.93] * 6 + [0.08] * 5, strict=False):
        score[place] = height
    objects = Objects(np.array(grid[:5] + grid[11:16], float), np.ones(10), np.zeros(shape, np.int32))
    labels = LabelledFrame(np.zeros(shape, np.uint8), objects, np.ones(10, np.int64), ("v",), "hand")
    best = 20 / 26
    assert choose_threshold([(score, labels)], 10.0)[1] >= best - np.sqrt(best * (1 - best) / 10)


def test_the_threshold_holds_for_all_regions_together(spots: Spots, truth: Truth) -> None:
    """Alone, the first region asks for less than 0.5 and the second, of another shape, for more."""
    first = spots(SHAPE, 2.0, dict.fromkeys(GRID[:8], 0.4)).astype(np.float32)
    other = (90, 180)
    second = spots(other, 2.0, dict.fromkeys(GRID[:4], 0.9) | dict.fromkeys(GRID[8:10], 0.6)).astype(np.float32)
    regions = [(first, truth(SHAPE, *GRID[:8])), (second, truth(other, *GRID[:4]))]
    threshold, f1 = choose_threshold(regions, PERIOD_PX)
    # Below 0.4 all 12 are found and 2 false ones too; above 0.6 only 4 are, and no false one.
    assert threshold < 0.4
    assert f1 == pytest.approx(24 / 26)
    assert choose_threshold(regions[1:], PERIOD_PX)[0] > 0.6
    few = [(second, truth(other, *GRID[:4])), (first, truth(SHAPE))]  # now what the first region has is false
    assert choose_threshold(few, PERIOD_PX)[0] > 0.6


@pytest.mark.parametrize("seed", range(4))
def test_places_are_found_to_a_fraction_of_a_pixel(spots: Spots, seed: int) -> None:
    rng = np.random.default_rng(seed)
    true = np.array(GRID) + rng.uniform(-0.5, 0.5, (len(GRID), 2))
    heights = {tuple(place): float(rng.uniform(0.6, 0.95)) for place in true.tolist()}
    found = find_defects(class_maps(spots(SHAPE, 2.0, heights)), 0.3, PERIOD_PX).objects.positions
    apart = np.linalg.norm(found[:, None] - true, axis=2)
    assert sorted(apart.argmin(axis=1)) == list(range(len(true)))
    assert apart.min(axis=1).max() < 0.06
    assert np.linalg.norm(np.round(found)[:, None] - true, axis=2).min(axis=1).max() > 0.3  # pixels alone do not tell


def test_a_defect_at_the_edge_keeps_its_place(spots: Spots) -> None:
    found = find_defects(class_maps(spots(SHAPE, 2.0, {(0, 50): 0.9, (60, 149): 0.9})), 0.4, PERIOD_PX)
    assert len(found) == 2
    assert (found.objects.positions >= 0).all()
    assert (found.objects.positions <= np.array(SHAPE) - 1).all()
    assert np.linalg.norm(np.sort(found.objects.positions, axis=0) - [(0, 50), (60, 149)], axis=1).max() < 2.5


def owned_by_hand(score: NDArray[np.float32], positions: NDArray[np.float64], threshold: float) -> list[set]:
    """The pixels of each point: those above the threshold nearest to it, within two radii of a label."""
    owned: list[set] = [set() for _ in positions]
    for y, x in np.argwhere(score > threshold).tolist():
        away = np.hypot(positions[:, 0] - y, positions[:, 1] - x)
        if away.min() <= 0.7 * PERIOD_PX:
            owned[int(away.argmin())].add((y, x))
    return owned


@pytest.mark.parametrize("width", [1.5, 2.5])
def test_each_pixel_counts_for_the_nearest_defect_and_its_mean_is_that_of_its_pixels(
    spots: Spots, width: float
) -> None:
    """Two of the four are so near that what is above the threshold is one part."""
    maps = class_maps(spots(SHAPE, width, {(30.2, 40.4): 0.9, (30.6, 51.3): 0.5, (70, 100): 0.6, (70, 130): 0.35}))
    score = defect_score(np.clip(maps, 0, 1), PERIOD_PX)
    found = find_defects(maps, 0.15, PERIOD_PX)
    assert len(found) == 4
    assert not found.objects.extended().any()
    owned = owned_by_hand(score, found.objects.positions, 0.15)
    assert found.areas_px.tolist() == [len(pixels) for pixels in owned]
    means = [np.mean([score[pixel] for pixel in pixels]) for pixels in owned]
    assert found.mean_probability == pytest.approx(means, abs=1e-5)
    assert (found.mean_probability < found.objects.scores).all()


def test_the_area_of_a_disk_and_of_a_hole_is_theirs() -> None:
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    hole, disk = np.hypot(y - 50, x - 110) <= 16, np.hypot(y - 50, x - 40) <= 4
    found = find_defects(class_maps(0.9 * (hole | disk)), 0.45, PERIOD_PX)
    assert found.objects.extended().tolist() == [True, False]
    # Smoothing leaves what is above half of the height as large as it was, but for the curvature of its rim.
    assert found.areas_px == pytest.approx(np.array([np.pi * 16**2, np.pi * 4**2]), rel=0.16)
    assert found.areas_px[0] == pytest.approx(np.pi * 16**2, rel=0.03)
    assert 0.8 < found.mean_probability[0] < 0.9


def test_the_area_of_a_hole_has_what_is_not_sure_within_it() -> None:
    """The middle of a hole is as flat as nothing is, and not above the threshold."""
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    away = np.hypot(y - 50, x - 75)
    found = find_defects(class_maps(np.where(away <= 25, np.where(away < 8, 0.05, 0.9), 0.0)), 0.45, PERIOD_PX)
    assert found.objects.extended().tolist() == [True]
    assert found.areas_px[0] == pytest.approx(np.pi * 25**2, rel=0.03)
    assert found.areas_px[0] == (found.objects.regions == 1).sum()
    within = defect_score(class_maps(np.where(away <= 25, np.where(away < 8, 0.05, 0.9), 0.0)), PERIOD_PX)
    assert found.mean_probability[0] == pytest.approx(within[found.objects.regions == 1].mean(), abs=1e-5)


@pytest.mark.parametrize("radius", [2.5, 3.5])
def test_disks_as_networks_draw_them_have_their_place_better_than_pixels_tell(radius: float) -> None:
    rng = np.random.default_rng(7)
    true = np.array(GRID) + rng.uniform(-0.5, 0.5, (len(GRID), 2))
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    away = np.hypot(y[..., None] - true[:, 0], x[..., None] - true[:, 1]).min(axis=2)
    noise = rng.normal(0, 0.02, SHAPE)
    found = find_defects(class_maps(0.95 / (1 + np.exp((away - radius) / 0.5)) + 0.02 + noise), 0.4, PERIOD_PX)
    apart = np.linalg.norm(found.objects.positions[:, None] - true, axis=2).min(axis=1)
    pixels = np.linalg.norm(np.round(true) - true, axis=1)  # the nearest pixel, which no method knows
    assert len(found) == len(true)
    assert np.sqrt((apart**2).mean()) < 0.5 * np.sqrt((pixels**2).mean())
