from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from data_prep.errors import InputError
from data_prep.labels import IGNORE, LabelledFrame, from_objects
from data_prep.objects import Objects
from data_prep.tiles import TileSet, cut_tiles, load_tiles, save_tiles

PERIOD_PX = 8.0


def labelled(shape: tuple[int, int], *places: tuple[int, int]) -> LabelledFrame:
    """One pixel of class 1 at each place; the first row is unlabelled."""
    class_map = np.zeros(shape, np.uint8)
    class_map[0] = IGNORE
    for place in places:
        class_map[place] = 1
    positions = np.array(places, float).reshape(-1, 2)
    objects = Objects(positions, np.ones(len(places)), np.zeros(shape, np.int32))
    return LabelledFrame(class_map, objects, np.ones(len(places), np.int64), ("vacancy",), "by hand")


def numbered(shape: tuple[int, int]) -> NDArray[np.float32]:
    """An image whose pixels tell where they are from."""
    return np.arange(shape[0] * shape[1], dtype=np.float32).reshape(shape)


def all_over(shape: tuple[int, int]) -> list[tuple[int, int]]:
    return [(y, x) for y in range(5, shape[0], 11) for x in range(7, shape[1], 13)]


def cut(shape: tuple[int, int], *places: tuple[int, int], tile_px: int | None = None) -> TileSet:
    return cut_tiles(numbered(shape), labelled(shape, *places), PERIOD_PX, 0.04, tile_px)


SHAPES = st.tuples(st.integers(64, 150), st.integers(64, 150))


@given(shape=SHAPES, spots=st.lists(st.tuples(st.floats(0, 0.999), st.floats(0, 0.999)), min_size=3, max_size=30))
@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.filter_too_much])
def test_no_pixel_is_in_both_regions_and_a_margin_parts_them(
    shape: tuple[int, int], spots: list[tuple[float, float]]
) -> None:
    places = [(int(y * shape[0]), int(x * shape[1])) for y, x in spots]
    try:
        tiles = cut(shape, *places, tile_px=16)
    except InputError:
        reject()
    trained, validated = tiles.train.astype(int).ravel(), tiles.validation.astype(int).ravel()
    assert not set(trained) & set(validated)
    assert len(set(validated)) == len(validated)
    # The regions are parted along one axis, by half a tile at the least.
    gaps = []
    for kind in (lambda pixel: pixel // shape[1], lambda pixel: pixel % shape[1]):
        first, second = kind(trained), kind(validated)
        gaps.append(max(first.min() - second.max(), second.min() - first.max()) - 1)
    assert max(gaps) >= 8
    class_map = labelled(shape, *places).class_map.ravel()
    np.testing.assert_array_equal(tiles.train_labels.ravel(), class_map[trained])
    np.testing.assert_array_equal(tiles.validation_labels.ravel(), class_map[validated])
    np.testing.assert_array_equal(tiles.validation[:, 0, 0], tiles.validation_origins @ [shape[1], 1])


@pytest.mark.parametrize("shape", [(128, 256), (256, 128), (192, 320)])
def test_validation_is_a_quarter_of_the_frame_and_training_fills_the_rest(shape: tuple[int, int]) -> None:
    tiles = cut(shape, *all_over(shape), tile_px=32)
    area = shape[0] * shape[1]
    assert tiles.validation.size == pytest.approx(area / 4, rel=0.34)
    assert len(set(tiles.train.ravel())) > 0.55 * area


@pytest.mark.parametrize(
    ("edge", "along"),
    [
        ("right", [(50 + 5 * k, 220) for k in range(5)]),
        ("left", [(50 + 5 * k, 20) for k in range(5)]),
        ("top", [(10, 90 + 10 * k) for k in range(5)]),
        ("bottom", [(130, 90 + 10 * k) for k in range(5)]),
    ],
)
def test_validation_is_on_the_side_with_nearest_to_a_quarter_of_the_defects(
    edge: str, along: list[tuple[int, int]]
) -> None:
    """One defect in four lies along one edge, the others in the middle of the frame."""
    middle = [(60 + 2 * k, 90 + 3 * k) for k in range(15)]
    origins = cut((140, 240), *along, *middle, tile_px=32).validation_origins
    sides = {
        "right": origins[:, 1].min() >= 120,
        "left": origins[:, 1].max() < 60,
        "top": origins[:, 0].max() < 40,
        "bottom": origins[:, 0].min() >= 70,
    }
    assert [name for name, there in sides.items() if there] == [edge]


@pytest.mark.parametrize(
    ("shape", "side"), [((256, 300), 64), ((300, 255), 48), ((128, 500), 32), ((70, 90), 16), ((64, 64), 16)]
)
def test_tiles_are_as_large_as_the_frame_allows(shape: tuple[int, int], side: int) -> None:
    tiles = cut(shape, *all_over(shape))
    assert tiles.tile_px == side
    assert tiles.train.shape[1:] == tiles.validation.shape[1:] == tiles.train_labels.shape[1:] == (side, side)


def test_training_tiles_overlap_by_half() -> None:
    shape = (128, 192)
    tiles = cut(shape, *all_over(shape), tile_px=32)
    corners = tiles.train[:, 0, 0].astype(int)
    rows, columns = np.unique(corners // shape[1]), np.unique(corners % shape[1])
    assert set(np.diff(rows)) == set(np.diff(columns)) == {16}
    assert len(corners) == len(rows) * len(columns)


def test_the_validation_region_is_put_together_as_it_was() -> None:
    shape = (130, 200)
    tiles = cut(shape, *all_over(shape), tile_px=32)
    image, labels = tiles.validation_region()
    y, x = tiles.validation_origins.min(axis=0)
    part = np.s_[y : y + image.shape[0], x : x + image.shape[1]]
    assert image.size == tiles.validation.size
    np.testing.assert_array_equal(image, numbered(shape)[part])
    np.testing.assert_array_equal(labels, labelled(shape, *all_over(shape)).class_map[part])


@pytest.mark.parametrize(
    ("shape", "places", "words"),
    [
        ((128, 192), [], "no defect is labelled"),
        ((128, 192), [(60, 90), (62, 95)], "too few or too close together"),
        ((60, 192), [(30, 30), (30, 180)], "at least 64 px a side"),
    ],
)
def test_what_cannot_be_learnt_from_is_refused(
    shape: tuple[int, int], places: list[tuple[int, int]], words: str
) -> None:
    with pytest.raises(InputError, match=words):
        cut(shape, *places)


def test_holes_are_a_class_whether_labelled_or_not() -> None:
    shape = (128, 192)
    labels = labelled(shape, *all_over(shape))
    assert cut_tiles(numbered(shape), labels, PERIOD_PX, None).class_names == ("vacancy", "hole")
    with_holes = replace(labels, class_names=("hole", "vacancy"))
    assert cut_tiles(numbered(shape), with_holes, PERIOD_PX, None).class_names == ("hole", "vacancy")


def test_the_dark_level_is_that_of_the_darkest_half_per_cent() -> None:
    shape = (130, 200)
    order = np.random.default_rng(1).permutation(130 * 200).reshape(shape).astype(np.float32)
    tiles = cut_tiles(order, labelled(shape, *all_over(shape)), PERIOD_PX, None)
    assert np.mean(order < tiles.dark_level) == pytest.approx(0.005, rel=0.01)


@pytest.mark.parametrize("pixel_size_nm", [0.0398794, None])
def test_a_stored_tile_set_comes_back(tmp_path: Path, pixel_size_nm: float | None) -> None:
    shape, path = (128, 192), tmp_path / "tiles.h5"
    made = cut_tiles(numbered(shape), labelled(shape, *all_over(shape)), PERIOD_PX, pixel_size_nm)
    save_tiles(made, {"movie": "a.tif"}, path)
    read = load_tiles(path)
    for name in ("train", "train_labels", "validation", "validation_labels", "validation_origins"):
        before, after = getattr(made, name), getattr(read, name)
        assert after.dtype == before.dtype
        np.testing.assert_array_equal(after, before)
    assert read.class_names == made.class_names == ("vacancy", "hole")
    assert (read.period_px, read.pixel_size_nm, read.dark_level) == (PERIOD_PX, pixel_size_nm, made.dark_level)


def test_a_tile_set_of_another_schema_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "tiles.h5"
    save_tiles(cut((128, 192), *all_over((128, 192))), {}, path)
    with h5py.File(path, "a") as stored:
        stored.attrs["schema_version"] = 99
    with pytest.raises(InputError, match=r"tiles\.h5: tile set of schema 99"):
        load_tiles(path)


def test_no_part_of_the_training_region_is_left_out() -> None:
    places = np.array([(266, 20), (266, 60), (268, 100), (100, 280)], float)
    objects = Objects(places, np.ones(4), np.zeros((271, 300), np.int32))
    labels = from_objects(objects, np.ones(4, np.int64), ("v",), 8.0, "hand")
    tiles = cut_tiles(np.zeros((271, 300), np.float32), labels, 8.0, None)
    assert (tiles.train_labels == 1).any()
