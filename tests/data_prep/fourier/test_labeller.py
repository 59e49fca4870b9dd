from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from data_prep.errors import InputError
from data_prep.fourier.filters import filter_frame
from data_prep.fourier.labeller import FourierFilter, departures, fourier_objects, from_fourier

SHAPE = (120, 170)
PERIOD_PX = 8.0
Image = NDArray[np.float64]
Waves = Callable[[tuple[int, int], float], Image]
Spot = Callable[[tuple[int, int], tuple[float, float], float], Image]
Simulated = Callable[..., tuple[NDArray[np.uint16], list[dict[str, str]]]]


@pytest.fixture
def spoilt(plane_waves: Waves, spot: Spot) -> Image:
    """A lattice with dark marks at (40, 110) and (90, 130) and a bright one at (85, 50)."""
    marks = 4 * spot(SHAPE, (85, 50), 3.0) - 4 * spot(SHAPE, (40, 110), 3.0) - 4 * spot(SHAPE, (90, 130), 3.0)
    return plane_waves(SHAPE, PERIOD_PX) + marks + np.random.default_rng(8).normal(0, 1.0, SHAPE)


@pytest.mark.parametrize(("darker", "brighter"), [(9.0, None), (None, 9.0), (9.0, 9.0), (None, None)])
def test_each_threshold_looks_at_its_own_side(spoilt: Image, darker: float | None, brighter: float | None) -> None:
    defect = departures(filter_frame(spoilt).residual, FourierFilter(darker, brighter)) > 1
    assert bool(defect[40, 110]) == (darker is not None)
    assert bool(defect[85, 50]) == (brighter is not None)
    assert not defect[10:30, 20:80].any()


def test_a_departure_is_counted_in_thresholds(spoilt: Image) -> None:
    left = filter_frame(spoilt).residual
    beyond = departures(left, FourierFilter(5.0, 10.0))
    assert beyond[40, 110] == pytest.approx(-left[40, 110] / 5, rel=1e-5)
    assert beyond[85, 50] == pytest.approx(left[85, 50] / 10, rel=1e-5)


def test_what_is_darker_and_what_is_brighter_is_labelled(spoilt: Image) -> None:
    labels = from_fourier(spoilt, FourierFilter(9.0, 9.0))
    assert labels.class_names == ("darker", "brighter")
    true = np.array([(40, 110), (90, 130), (85, 50)])
    away, nearest = cKDTree(true).query(labels.objects.positions)
    assert sorted(nearest) == [0, 1, 2]
    assert away.max() < 3
    for place, kind in zip(nearest, labels.kinds, strict=True):
        assert kind == (2 if place == 2 else 1)
        assert labels.class_map[tuple(true[place])] == kind
    assert "9 darker, 9 brighter" in labels.made_by


def test_only_sides_that_were_found_are_classes(plane_waves: Waves, spot: Spot) -> None:
    noise = np.random.default_rng(8).normal(0, 1.0, SHAPE)
    frame = plane_waves(SHAPE, PERIOD_PX) + 4 * spot(SHAPE, (85, 50), 3.0) + noise
    labels = from_fourier(frame, FourierFilter(9.0, 9.0))
    assert labels.class_names == ("brighter",)
    assert labels.kinds.tolist() == [1]
    nothing = from_fourier(plane_waves(SHAPE, PERIOD_PX) + noise, FourierFilter(9.0, 9.0))
    assert len(nothing.objects) == 0
    assert (nothing.class_map[nothing.labelled] == 0).all()


def test_nothing_is_said_of_the_border(plane_waves: Waves, spot: Spot) -> None:
    """The lattice ends there, and what the filter makes of that is no defect."""
    frame = plane_waves(SHAPE, PERIOD_PX) + np.random.default_rng(8).normal(0, 0.1, SHAPE)
    frame -= 4 * spot(SHAPE, (60, 80), 3.0) + 4 * spot(SHAPE, (60, 4), 3.0)
    labels = from_fourier(frame, FourierFilter(9.0, 9.0))
    known = np.zeros(SHAPE, bool)
    known[10:-10, 10:-10] = True
    np.testing.assert_array_equal(labels.labelled, known)
    (position,) = labels.objects.positions
    np.testing.assert_allclose(position, (60, 80), atol=1)


def test_hot_pixels_are_cleaned_away_and_columns_are_not(plane_waves: Waves, spot: Spot) -> None:
    """Both stand out as far; only their sizes differ."""
    frame = plane_waves(SHAPE, 10.0) + np.random.default_rng(8).normal(0, 0.1, SHAPE)
    hot = [(30, 40), (64, 120), (90, 60)]
    for place in hot:
        frame[place] += 20
    frame += 2 * spot(SHAPE, (60, 80), 2.0)
    settings = FourierFilter(None, 8.0)
    left = filter_frame(frame).residual
    assert all(left[place] > 8 for place in hot)
    (position,) = fourier_objects(frame, settings).positions
    np.testing.assert_allclose(position, (60, 80), atol=1)


@pytest.mark.parametrize("size_px", [(160, 224), (224, 160)])
def test_missing_sulphur_is_found_and_little_else(simulated: Simulated, size_px: tuple[int, int]) -> None:
    frames, rows = simulated(
        size_px=size_px, field_nm=7.0, pair_vacancy_share=0.06, dose=6500.0, contamination=0.5, jitter_px=0.2, seed=4
    )
    true = np.array([(float(r["y_px"]), float(r["x_px"])) for r in rows if r["frame"] == "1"])
    period = filter_frame(frames[1]).lattice.period_px
    found = fourier_objects(frames[1], FourierFilter(5.0, None)).positions
    inner = true[((true > 1.5 * period) & (true < np.array(size_px) - 1 - 1.5 * period)).all(axis=1)]
    assert len(inner) > 10
    assert np.mean(cKDTree(found).query(inner)[0] < 0.4 * period) > 0.9
    assert np.mean(cKDTree(true).query(found)[0] < 0.4 * period) > 0.9


def test_a_frame_without_a_lattice_is_reported_not_labelled() -> None:
    frame = np.random.default_rng(1).poisson(20, (100, 140))
    with pytest.raises(InputError, match="shows no lattice"):
        from_fourier(frame, FourierFilter())


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("dose", [1500.0, 10000.0])
def test_a_perfect_crystal_has_hardly_a_label_although_lines_of_the_scan_jump(
    simulated: Simulated, dose: float, seed: int
) -> None:
    frames, _ = simulated(size_px=(300, 400), field_nm=12.0, dose=dose, contamination=0.5, jitter_px=0.35, seed=seed)
    assert len(fourier_objects(frames[1], FourierFilter())) <= 8  # of 1,650 columns


def test_neighbours_of_a_missing_column_are_not_too_bright(plane_waves: Waves, spot: Spot) -> None:
    frame = plane_waves(SHAPE, PERIOD_PX) + np.random.default_rng(8).normal(0, 0.03, SHAPE)
    missing = [(30, 40), (64, 120), (90, 60)]
    frame -= np.sum([3 * spot(SHAPE, place, 1.8) for place in missing], axis=0)
    steps = filter_frame(frame)
    # There are such ghosts, an order of magnitude fainter.
    assert 6.5 < steps.residual.max() < -steps.residual.min() / 5
    found = fourier_objects(frame, FourierFilter()).positions
    np.testing.assert_allclose(sorted(found.tolist()), sorted(missing), atol=1)
