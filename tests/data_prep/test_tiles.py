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
from data_prep.tiles import TileSet, TileSizes, cut_tiles, load_balance, load_tiles, save_tiles

PERIOD_PX = 8.0
AUTO = TileSizes()


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


def cut(shape: tuple[int, int], *places: tuple[int, int], sizes: TileSizes = AUTO) -> TileSet:
    return cut_tiles({0: (numbered(shape), labelled(shape, *places))}, PERIOD_PX, 0.04, sizes)


def cut_one(image: NDArray[np.float32], labels: LabelledFrame, pixel_size_nm: float | None = None) -> TileSet:
    return cut_tiles({0: (image, labels)}, PERIOD_PX, pixel_size_nm, TileSizes())


SHAPES = st.tuples(st.integers(64, 190), st.integers(64, 190))
SPOTS = st.lists(st.tuples(st.floats(0, 0.999), st.floats(0, 0.999)), min_size=3, max_size=30)


@given(shape=SHAPES, spots=SPOTS, side=st.integers(16, 47), stride=st.integers(1, 60), frames=st.integers(1, 3))
@settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.filter_too_much])
def test_no_place_is_in_both_regions_and_a_margin_of_a_tile_parts_them(
    shape: tuple[int, int], spots: list[tuple[float, float]], side: int, stride: int, frames: int
) -> None:
    side = min(side, min(shape) // 4)
    places = [(int(y * shape[0]), int(x * shape[1])) for y, x in spots]
    area = shape[0] * shape[1]
    # Pixels tell their frame and their place; each frame has some of the defects.
    movie = {
        10 + k: (numbered(shape) + np.float32(k * area), labelled(shape, *places[k::frames])) for k in range(frames)
    }
    try:
        tiles = cut_tiles(movie, PERIOD_PX, None, TileSizes(size_px=side, stride_px=max(stride, side // 4)))
    except InputError:
        reject()
    trained, validated = tiles.train.astype(int).ravel(), tiles.validation.astype(int).ravel()
    assert tiles.train.shape[1:] == tiles.validation.shape[1:] == (side, side)
    assert len(set(validated)) == len(validated)
    # Along one axis the places of all frames are parted by a tile, so none is in both.
    gaps = []
    for kind in (lambda pixel: pixel % area // shape[1], lambda pixel: pixel % area % shape[1]):
        first, second = kind(trained), kind(validated)
        gaps.append(max(first.min() - second.max(), second.min() - first.max()) - 1)
    assert max(gaps) >= side
    assert set(trained // area) == set(validated // area) == set(range(frames))
    class_maps = np.concatenate([labels.class_map.ravel() for _, labels in movie.values()])
    np.testing.assert_array_equal(tiles.train_labels.ravel(), class_maps[trained])
    np.testing.assert_array_equal(tiles.validation_labels.ravel(), class_maps[validated])
    frame, y, x = tiles.validation_origins.T
    np.testing.assert_array_equal(tiles.validation[:, 0, 0], (frame - 10) * area + y * shape[1] + x)


@pytest.mark.parametrize("shape", [(128, 256), (256, 128), (192, 320)])
def test_validation_is_a_quarter_of_the_frame_and_training_fills_the_rest(shape: tuple[int, int]) -> None:
    tiles = cut(shape, *all_over(shape), sizes=TileSizes(size_px=32))
    area = shape[0] * shape[1]
    assert tiles.validation.size == pytest.approx(area / 4, rel=0.34)
    assert len(set(tiles.train.ravel())) > 0.49 * area


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
    origins = cut((140, 240), *along, *middle, sizes=TileSizes(size_px=32)).validation_origins[:, 1:]
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
    tiles = cut(shape, *all_over(shape), sizes=TileSizes(size_px=32))
    corners = tiles.train[:, 0, 0].astype(int)
    rows, columns = np.unique(corners // shape[1]), np.unique(corners % shape[1])
    assert set(np.diff(rows)) == set(np.diff(columns)) == {16}
    assert len(corners) == len(rows) * len(columns)


@pytest.mark.parametrize(
    ("sizes", "side", "stride"),
    [
        (TileSizes(size_px=20), 20, 10),
        (TileSizes(size_periods=3.0), 24, 12),
        (TileSizes(stride_px=5), 32, 5),
        (TileSizes(size_px=24, stride_periods=2.5), 24, 20),
        (TileSizes(stride_periods=0.01), 32, 1),
    ],
)
def test_side_and_stride_may_be_given_in_px_or_in_periods(sizes: TileSizes, side: int, stride: int) -> None:
    shape = (128, 192)
    tiles = cut(shape, *all_over(shape), sizes=sizes)
    rows = np.unique(tiles.train[:, 0, 0].astype(int) // shape[1])
    assert tiles.tile_px == side
    assert set(np.diff(rows)[:-1]) == {stride}  # the last is flush with the region's end


@pytest.mark.parametrize("sizes", [TileSizes(size_px=33), TileSizes(size_periods=4.2), TileSizes(size_periods=1.0)])
def test_tiles_that_do_not_fit_are_refused(sizes: TileSizes) -> None:
    with pytest.raises(InputError, match=r"tiles of (33|34|8) px do not fit frames of 128 x 192 px.*tiles\.size_px"):
        cut((128, 192), *all_over((128, 192)), sizes=sizes)


def test_the_validation_regions_are_put_together_as_they_were() -> None:
    shape = (130, 200)
    movie = {number: (numbered(shape) * (number + 1), labelled(shape, *all_over(shape))) for number in (3, 0)}
    tiles = cut_tiles(movie, PERIOD_PX, None, TileSizes())
    regions = tiles.validation_regions()
    assert sorted(number for number, _, _ in regions) == [0, 3]
    assert regions[0][1] == regions[1][1]
    for number, part, image in regions:
        assert 2 * image.size == tiles.validation.size
        np.testing.assert_array_equal(image, movie[number][0][part])


def test_the_balance_counts_what_each_region_holds(tmp_path: Path) -> None:
    shape = (128, 256)  # validation is 64 px wide, the margin 32 px
    here = {"left": (60, 20), "margin": (60, 80), "middle": (50, 150), "right": (70, 230)}
    first = labelled(shape, here["left"], here["margin"], *[here["middle"]] * 3, here["right"])
    second = replace(labelled(shape, here["right"]), class_names=("vacancy", "dopant"), kinds=np.array([2]))
    second.class_map[here["right"]] = 2
    first = replace(first, class_names=second.class_names)
    tiles = cut_tiles({0: (numbered(shape), first), 1: (numbered(shape), second)}, PERIOD_PX, None, TileSizes())
    # Two of seven lie on the right, one on the left.
    assert tiles.validation_origins[:, 2].min() == 192
    assert tiles.balance == {
        "train": {
            "background": {"pixels": 2 * (127 * 160) - 3, "objects": 0},
            "vacancy": {"pixels": 3, "objects": 5},
            "dopant": {"pixels": 0, "objects": 0},
        },
        "validation": {
            "background": {"pixels": 2 * (127 * 64) - 2, "objects": 0},
            "vacancy": {"pixels": 1, "objects": 1},
            "dopant": {"pixels": 1, "objects": 1},
        },
    }
    save_tiles(tiles, {}, tmp_path / "tiles.h5")
    assert load_balance(tmp_path / "tiles.h5") == tiles.balance == load_tiles(tmp_path / "tiles.h5").balance


@pytest.mark.parametrize(
    ("shape", "places", "words"),
    [
        ((128, 192), [], "no defect is labelled"),
        ((128, 192), [(60, 90), (62, 95)], "too few or too close together"),
        ((60, 192), [(30, 30), (30, 180)], "tiles of 16 px do not fit frames of 60 x 192 px"),
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
    assert cut_one(numbered(shape), labels).class_names == ("vacancy", "hole")
    with_holes = replace(labels, class_names=("hole", "vacancy"))
    assert cut_one(numbered(shape), with_holes).class_names == ("hole", "vacancy")


def test_the_dark_level_is_that_of_the_darkest_half_per_cent() -> None:
    shape = (130, 200)
    order = np.random.default_rng(1).permutation(130 * 200).reshape(shape).astype(np.float32)
    tiles = cut_one(order, labelled(shape, *all_over(shape)))
    assert np.mean(order < tiles.dark_level) == pytest.approx(0.005, rel=0.01)


@pytest.mark.parametrize("pixel_size_nm", [0.0398794, None])
def test_a_stored_tile_set_comes_back(tmp_path: Path, pixel_size_nm: float | None) -> None:
    shape, path = (128, 192), tmp_path / "tiles.h5"
    made = cut_one(numbered(shape), labelled(shape, *all_over(shape)), pixel_size_nm)
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
    tiles = cut_one(np.zeros((271, 300), np.float32), labels)
    assert (tiles.train_labels == 1).any()
