"""Mask images, drawn in arrays and read back from files."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from data_prep.errors import InputError
from data_prep.label_files.label_file import choose_defects
from data_prep.label_files.legend import Legend
from data_prep.label_files.masks import Mask
from data_prep.label_files.reading import read_labels
from data_prep.labels import IGNORE, LabelledFrame

SHAPE = (60, 90)
PERIOD_PX = 8.0
Disk = Callable[[tuple[float, float], float], NDArray[np.bool_]]
RED, GREEN = (255, 0, 0), (0, 255, 0)
COLOURS: Legend = (("vacancy", "#ff0000"), ("hole", "#00ff00"))


@pytest.fixture
def drawn(disk: Disk) -> NDArray[np.uint8]:
    """Two vacancies (1), one column above the other's right, a hole (3), and a rim that is unlabelled."""
    mask = np.zeros(SHAPE, np.uint8)
    mask[disk((10, 70), 3)] = 1
    mask[disk((30, 80), 3)] = 1
    mask[35:55, 10:40] = 3
    mask[:, :2] = IGNORE
    return mask


def label(path: Path, legend: Legend = (), frame: int = 0, frames: int = 1) -> LabelledFrame:
    mask = read_labels(path, legend, None)
    mask.check(SHAPE, frames)
    return mask.label(frame, choose_defects(mask, (), SHAPE, PERIOD_PX), SHAPE, PERIOD_PX)


def coloured(drawn: NDArray[np.uint8], background: tuple[int, ...] = (0, 0, 0)) -> NDArray[np.uint8]:
    image = np.zeros((*SHAPE, len(background)), np.uint8)
    image[:] = background
    image[drawn == 1, :3], image[drawn == 3, :3] = RED, GREEN
    image[(drawn == 1) | (drawn == 3), 3:] = 255
    return image


def write_png(path: Path, image: NDArray[np.uint8]) -> None:
    Image.fromarray(image).save(path)


def write_tiff(path: Path, image: NDArray[np.generic]) -> None:
    tifffile.imwrite(path, image, photometric="rgb" if image.shape[-1] in (3, 4) else "minisblack")


def write_npy(path: Path, image: NDArray[np.generic]) -> None:
    np.save(path, image)


WRITERS = {"mask.png": write_png, "mask.tif": write_tiff, "mask.npy": write_npy}


@pytest.mark.parametrize("name", WRITERS)
def test_class_indices_are_kept_pixel_by_pixel(tmp_path: Path, drawn: NDArray[np.uint8], name: str) -> None:
    WRITERS[name](tmp_path / name, drawn)
    labels = label(tmp_path / name)
    assert labels.class_names == ("class 1", "class 3")
    np.testing.assert_array_equal(labels.class_map, np.where(drawn == 3, 2, drawn))
    np.testing.assert_array_equal(labels.labelled, drawn != IGNORE)
    assert name in labels.made_by


def test_small_regions_are_points_and_large_ones_extended(tmp_path: Path, drawn: NDArray[np.uint8]) -> None:
    write_png(tmp_path / "mask.png", drawn)
    labels = label(tmp_path / "mask.png")
    assert labels.objects.positions == pytest.approx(np.array([(10, 70), (30, 80), (44.5, 24.5)]))
    assert labels.kinds.tolist() == [1, 1, 2]
    assert labels.objects.extended().tolist() == [False, False, True]
    np.testing.assert_array_equal(labels.objects.regions == 3, drawn == 3)


def test_a_long_streak_is_extended_and_its_diagonal_steps_hold_together(tmp_path: Path) -> None:
    mask = np.zeros(SHAPE, np.uint8)
    mask[np.arange(5, 55), np.arange(5, 55) + 20] = 1
    mask[np.arange(5, 55), np.arange(5, 55) + 21] = 1
    mask[50:52, 5] = mask[52, 6] = 1
    write_png(tmp_path / "mask.png", mask)
    labels = label(tmp_path / "mask.png")
    assert sorted(labels.objects.extended().tolist()) == [False, True]


def test_a_legend_names_class_indices(tmp_path: Path, drawn: NDArray[np.uint8]) -> None:
    write_tiff(tmp_path / "mask.tif", drawn.astype(np.uint16) * np.where(drawn == 3, 100, 1).astype(np.uint16))
    labels = label(tmp_path / "mask.tif", (("hole", 300), ("vacancy", 1)))
    assert labels.class_names == ("hole", "vacancy")
    np.testing.assert_array_equal(labels.class_map == 1, drawn == 3)
    np.testing.assert_array_equal(labels.class_map == 2, drawn == 1)


def test_a_legend_may_make_255_a_class(tmp_path: Path, drawn: NDArray[np.uint8]) -> None:
    write_png(tmp_path / "binary.png", np.where(drawn == 1, 255, 0).astype(np.uint8))
    np.testing.assert_array_equal(label(tmp_path / "binary.png", (("v", 255),)).class_map == 1, drawn == 1)
    with pytest.raises(InputError, match=r"binary\.png: no pixel is of any class.*--legend NAME=255"):
        label(tmp_path / "binary.png")


@pytest.mark.parametrize("background", [(0, 0, 0), (255, 255, 255), (17, 17, 17, 0)])
@pytest.mark.parametrize("name", ["mask.png", "mask.tif"])
def test_colours_are_classes_by_the_legend(
    tmp_path: Path, drawn: NDArray[np.uint8], background: tuple[int, ...], name: str
) -> None:
    WRITERS[name](tmp_path / name, coloured(drawn, background))
    labels = label(tmp_path / name, COLOURS)
    assert labels.class_names == ("vacancy", "hole")
    np.testing.assert_array_equal(labels.class_map, np.where(drawn == 3, 2, np.where(drawn == 1, 1, 0)))


@pytest.mark.parametrize("name", ["mask.png", "mask.tif", "mask.gif"])
def test_the_colours_of_a_palette_are_classes_by_the_legend(
    tmp_path: Path, drawn: NDArray[np.uint8], name: str
) -> None:
    Image.fromarray(coloured(drawn)).convert("P", palette=Image.Palette.ADAPTIVE).save(tmp_path / name)
    with Image.open(tmp_path / name) as saved:
        assert saved.mode == "P"
    labels = label(tmp_path / name, COLOURS)
    assert labels.class_names == ("vacancy", "hole")
    np.testing.assert_array_equal(labels.class_map, np.where(drawn == 3, 2, np.where(drawn == 1, 1, 0)))


def test_background_and_unlabelled_may_have_colours_of_their_own(tmp_path: Path, drawn: NDArray[np.uint8]) -> None:
    image = coloured(drawn, (40, 40, 40))
    image[drawn == IGNORE] = (128, 128, 128)
    write_png(tmp_path / "mask.png", image)
    labels = label(tmp_path / "mask.png", (*COLOURS, ("background", "#282828"), ("unlabelled", "#808080")))
    assert labels.class_names == ("vacancy", "hole")
    np.testing.assert_array_equal(labels.labelled, drawn != IGNORE)
    with pytest.raises(InputError, match=r"the legend does not name #282828 \(\d+ px\), #808080 \(120 px\)$"):
        label(tmp_path / "mask.png", COLOURS)


def test_white_drawn_on_black_is_not_taken_for_background(tmp_path: Path, drawn: NDArray[np.uint8]) -> None:
    image = coloured(drawn)
    image[2, 50] = 255
    write_png(tmp_path / "mask.png", image)
    with pytest.raises(InputError, match=r"the legend does not name #ffffff \(1 px\)"):
        label(tmp_path / "mask.png", COLOURS)


def test_a_stack_labels_each_frame_by_its_own_mask(tmp_path: Path, drawn: NDArray[np.uint8]) -> None:
    stack = np.stack([np.zeros_like(drawn), drawn, drawn[::-1, ::-1]])
    write_tiff(tmp_path / "masks.tif", stack)
    mask = read_labels(tmp_path / "masks.tif", (), None)
    assert mask.frames == {0, 1, 2}
    assert mask.counts == {"class 1": 4 * 29, "class 3": 2 * 600}
    for frame in range(3):
        labels = label(tmp_path / "masks.tif", (), frame, frames=3)
        np.testing.assert_array_equal(labels.class_map, np.where(stack[frame] == 3, 2, stack[frame]))
    with pytest.raises(InputError, match=r"masks\.tif: is a stack of 3 masks, the movie has 5 frames"):
        mask.check(SHAPE, 5)


def test_a_single_mask_does_not_tell_its_frame(tmp_path: Path, drawn: NDArray[np.uint8]) -> None:
    write_png(tmp_path / "mask.png", drawn)
    assert read_labels(tmp_path / "mask.png", (), None).frames is None
    assert label(tmp_path / "mask.png", (), frame=4, frames=6).kinds.tolist() == [1, 1, 2]


def test_a_mask_of_another_shape_is_refused_with_both(tmp_path: Path, drawn: NDArray[np.uint8]) -> None:
    write_png(tmp_path / "mask.png", drawn.T)
    with pytest.raises(InputError, match=r"mask of 90 x 60 px, the frame has 60 x 90 px .* it is transposed"):
        label(tmp_path / "mask.png")
    write_png(tmp_path / "mask.png", drawn[:-1])
    with pytest.raises(InputError, match=r"mask of 59 x 90 px, the frame has 60 x 90 px .*pixel for each"):
        label(tmp_path / "mask.png")


def smooth() -> NDArray[np.uint8]:
    """A disk whose edge was smoothed, as painting programs do."""
    picture = Image.new("RGB", (8 * SHAPE[1], 8 * SHAPE[0]))
    ImageDraw.Draw(picture).ellipse((100, 100, 400, 300), fill=RED)
    return np.asarray(picture.resize(SHAPE[::-1], Image.Resampling.LANCZOS))


def test_a_mask_in_colours_needs_a_legend_and_says_what_it_has(tmp_path: Path, drawn: NDArray[np.uint8]) -> None:
    write_png(tmp_path / "mask.png", coloured(drawn))
    with pytest.raises(
        InputError, match=r"--legend NAME=#rrggbb,.*#000000 \(4742 px\), #00ff00 \(600 px\), #ff0000 \(58"
    ):
        label(tmp_path / "mask.png")


def test_smoothed_edges_are_recognised(tmp_path: Path) -> None:
    write_png(tmp_path / "mask.png", smooth())
    with pytest.raises(InputError, match=r"does not name #.* and \d+ more; so many come of smoothed edges or JPEG"):
        label(tmp_path / "mask.png", COLOURS[:1])


@pytest.mark.parametrize(
    ("image", "legend", "words"),
    [
        (np.full(SHAPE, 2.5), (), "no class index"),
        (np.full(SHAPE, np.nan), (), "no class index"),
        (np.full(SHAPE, -1), (), "no class index"),
        (np.arange(5400).reshape(SHAPE), (), "5400 different values; is it a picture"),
        (np.ones(SHAPE, int), (("v", 2),), r"the legend does not name 1 \(5400 px\)"),
        (np.ones(SHAPE, int), COLOURS, r"mask of class indices, and the legend has colours; it has 1 \(5400 px\)"),
        (np.zeros((*SHAPE, 3)), COLOURS, "colours of float64"),
        (np.zeros((*SHAPE, 3), np.uint8), (("v", 2),), "mask of colours, and the legend has class indices"),
    ],
)
def test_what_is_no_mask_is_refused(tmp_path: Path, image: NDArray[np.generic], legend: Legend, words: str) -> None:
    np.save(tmp_path / "mask.npy", image)
    with pytest.raises(InputError, match=rf"mask\.npy: .*{words}") as raised:
        label(tmp_path / "mask.npy", legend)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(("name", "keep"), [("mask.png", 0), ("mask.png", 60), ("mask.tif", 0), ("mask.tif", 9)])
def test_empty_and_truncated_masks_are_refused(tmp_path: Path, drawn: NDArray[np.uint8], name: str, keep: int) -> None:
    path = tmp_path / name
    WRITERS[name](path, drawn)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(InputError, match=rf"{name}: ") as raised:
        label(path)
    assert "\n" not in str(raised.value)


def test_sixteen_bit_colours_are_those_of_eight(tmp_path: Path, drawn: NDArray[np.uint8]) -> None:
    write_tiff(tmp_path / "mask.tif", coloured(drawn).astype(np.uint16) * 257)
    assert label(tmp_path / "mask.tif", COLOURS).kinds.tolist() == [1, 1, 2]


def test_a_class_that_the_legend_names_and_nobody_drew_counts_nothing(tmp_path: Path, drawn: NDArray[np.uint8]) -> None:
    write_png(tmp_path / "mask.png", coloured(drawn))
    mask = read_labels(tmp_path / "mask.png", (*COLOURS, ("dopant", "#0000ff")), None)
    assert isinstance(mask, Mask)
    assert mask.counts == {"vacancy": 58, "hole": 600, "dopant": 0}
    assert mask.likely_defects(SHAPE, PERIOD_PX) == ("vacancy", "hole")


def test_a_folder_of_images_is_a_stack(tmp_path: Path, drawn: NDArray[np.uint8]) -> None:
    (tmp_path / "masks").mkdir()
    for number in range(9, 11):  # in natural order 9 is before 10
        write_png(tmp_path / "masks" / f"{number}.png", drawn * (number == 10))
    mask = read_labels(tmp_path / "masks", (), None)
    assert mask.frames == {0, 1}
    assert [len(label(tmp_path / "masks", (), frame, frames=2).objects) for frame in (0, 1)] == [0, 3]
