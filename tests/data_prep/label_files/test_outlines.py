"""ROIs of ImageJ and layers of napari."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from roifile import ROI_OPTIONS, ROI_TYPE, ImagejRoi

from data_prep.errors import InputError
from data_prep.label_files.label_file import LabelFile, choose_defects
from data_prep.label_files.reading import read_labels
from data_prep.labels import LabelledFrame

SHAPE = (60, 90)
PERIOD_PX = 8.0
Disk = Callable[[tuple[float, float], float], NDArray[np.bool_]]
Rois = Callable[..., Path]


def box(rows: slice, columns: slice) -> NDArray[np.bool_]:
    mask = np.zeros(SHAPE, bool)
    mask[rows, columns] = True
    return mask


def label(path: Path, frame: int = 0, frames: int = 1) -> LabelledFrame:
    file = read_labels(path, (), None)
    file.check(SHAPE, frames)
    return file.label(frame, choose_defects(file, (), SHAPE, PERIOD_PX), SHAPE, PERIOD_PX)


def refused(path: Path, words: str, frames: int = 1) -> None:
    with pytest.raises(InputError, match=words) as raised:
        label(path, 0, frames)
    assert str(raised.value).startswith(f"{path}: ")
    assert "\n" not in str(raised.value)


def bounded(name: str, kind: ROI_TYPE, top: int, left: int, bottom: int, right: int, **changes: int) -> ImagejRoi:
    return ImagejRoi(name=name, roitype=kind, top=top, left=left, bottom=bottom, right=right, **changes)


def points(name: str, *places_yx: tuple[float, float], **changes: int) -> ImagejRoi:
    roi = ImagejRoi.frompoints([(x, y) for y, x in places_yx], name=name)
    roi.roitype = ROI_TYPE.POINT
    for key, value in changes.items():
        setattr(roi, key, value)
    return roi


def test_areas_of_imagej_fill_the_pixels_they_show(rois: Rois) -> None:
    """In ImageJ the corners of pixels have whole numbers."""
    path = rois(
        bounded("hole", ROI_TYPE.RECT, 10, 40, 30, 70),
        ImagejRoi.frompoints([(3, 40), (23, 40), (23, 55), (3, 55)], name="crack"),
    )
    labels = label(path)
    assert labels.class_names == ("hole", "crack")
    np.testing.assert_array_equal(labels.class_map == 1, box(slice(10, 30), slice(40, 70)))
    np.testing.assert_array_equal(labels.class_map == 2, box(slice(40, 55), slice(3, 23)))
    assert labels.objects.positions == pytest.approx(np.array([(19.5, 54.5), (47, 12.5)]))
    assert labels.objects.extended().all()
    assert "RoiSet.zip" in labels.made_by


def test_an_oval_is_the_ellipse_in_its_box(rois: Rois, disk: Disk) -> None:
    labels = label(rois(bounded("hole", ROI_TYPE.OVAL, 10, 40, 31, 61)))
    np.testing.assert_array_equal(labels.class_map == 1, disk((20, 50), 10.5))


def test_a_slanted_polygon_has_the_pixels_whose_centres_it_holds(rois: Rois) -> None:
    corners = [(5.25, 10.5), (52.0, 30.25), (30.5, 80.75)]  # y, x with the corner of the first pixel at 0, 0
    roi = ImagejRoi.frompoints(np.array([(x, y) for y, x in corners]), name="hole")
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]] + 0.5
    sides = []
    for (y0, x0), (y1, x1) in zip(corners, corners[1:] + corners[:1], strict=True):
        sides.append((x1 - x0) * (y - y0) - (y1 - y0) * (x - x0) > 0)
    inside = np.all(sides, axis=0) | ~np.any(sides, axis=0)
    assert 800 < inside.sum() < 1400
    np.testing.assert_array_equal(label(rois(roi)).class_map == 1, inside)


def test_points_of_imagej_are_at_the_centres_of_pixels(rois: Rois, disk: Disk) -> None:
    labels = label(rois(points("vacancy", (12, 70), (40, 20)), points("dopant", (30.25, 50.5))))
    assert labels.objects.positions.tolist() == [[12, 70], [40, 20], [30.25, 50.5]]
    assert labels.kinds.tolist() == [1, 1, 2]
    np.testing.assert_array_equal(labels.class_map == 1, disk((12, 70), 2.8) | disk((40, 20), 2.8))


def test_small_outlines_are_points_and_later_ones_lie_over_earlier(rois: Rois) -> None:
    path = rois(
        bounded("buried", ROI_TYPE.RECT, 20, 50, 22, 52),
        bounded("hole", ROI_TYPE.RECT, 10, 40, 30, 70),
        bounded("vacancy", ROI_TYPE.RECT, 28, 60, 32, 64),
    )
    labels = label(path)
    assert [labels.class_names[kind - 1] for kind in labels.kinds] == ["hole", "vacancy"]
    assert labels.objects.extended().tolist() == [True, False]
    np.testing.assert_array_equal(labels.class_map == 3, box(slice(28, 32), slice(60, 64)))
    np.testing.assert_array_equal(labels.objects.regions == 1, labels.class_map == 2)


@pytest.mark.parametrize(
    ("roi_name", "class_name"),
    [
        ("vacancy", "vacancy"),
        ("vacancy-3", "vacancy"),
        ("sulphur vacancy_012", "sulphur vacancy"),
        ("Mo-W-2-1", "Mo-W"),
        ("S2", "S2"),
        ("0012-0070", "RoiSet"),
        ("0001-0012-0070", "RoiSet"),
    ],
)
def test_a_roi_s_name_is_its_class_without_its_number(rois: Rois, roi_name: str, class_name: str) -> None:
    assert label(rois(points(roi_name, (12, 70)))).class_names == (class_name,)


def test_a_single_roi_is_read_too(tmp_path: Path) -> None:
    points("vacancy", (12, 70)).tofile(tmp_path / "0012-0070.roi")
    assert label(tmp_path / "0012-0070.roi").class_names == ("vacancy",)


def test_the_position_of_a_roi_is_its_frame_counted_from_one(rois: Rois) -> None:
    path = rois(
        points("a", (10, 70), position=1), points("a-1", (20, 70), position=3), points("a-2", (30, 70), t_position=5)
    )
    file = read_labels(path, (), None)
    assert file.frames == {0, 2, 4}
    assert label(path, 2, frames=5).objects.positions.tolist() == [[20, 70]]
    assert label(path, 4, frames=5).objects.positions.tolist() == [[30, 70]]
    assert len(label(path, 3, frames=5).objects) == 0
    refused(path, r"'a-2' is drawn in frame 4, the movie has 4 frames", frames=4)


def test_points_of_one_roi_may_lie_in_several_frames(rois: Rois) -> None:
    roi = points("a", (10, 70), (20, 70), (30, 60))
    roi.counters, roi.counter_positions = np.zeros(3, np.uint8), np.array([1, 4, 4], np.uint32)
    path = rois(roi)
    assert read_labels(path, (), None).frames == {0, 3}
    assert label(path, 3, frames=4).objects.positions.tolist() == [[20, 70], [30, 60]]


def test_a_roi_without_a_position_is_of_the_labelled_frame(rois: Rois) -> None:
    path = rois(points("a", (10, 70)))
    assert read_labels(path, (), None).frames is None
    assert len(label(path, 7, frames=9).objects) == 1


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ([], "holds no ROI"),
        ([bounded("gap", ROI_TYPE.LINE, 10, 10, 20, 20)], "'gap' is a line ROI; points, rectangles"),
        ([bounded("ring", ROI_TYPE.RECT, 0, 0, 9, 9, shape_roi_size=7)], "'ring' is a composite ROI"),
        ([points("a", (10, 20), position=2), points("b", (10, 20))], "'b' has no position"),
        ([points("a", (10, 20), z_position=2, t_position=3)], "'a' lies in slice 2 and frame 3"),
        ([points("a", (70, 20))], r"'a' at y = 70\.0, x = 20\.0 px lies outside a frame of 60 x 90 px"),
        ([bounded("far", ROI_TYPE.RECT, 10, 90, 30, 120)], r"'far' at y = 19\.5, x = 104\.5 px lies outside"),
        ([bounded("none", ROI_TYPE.OVAL, 10, 20, 10, 30)], "'none' covers the centre of no pixel"),
    ],
)
def test_rois_that_cannot_be_used_are_named(rois: Rois, members: list[ImagejRoi], words: str) -> None:
    if members and members[0].shape_roi_size:
        members[0].multi_coordinates = np.zeros(7, np.float32)
    refused(rois(*members), words)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.roi", b"", "is empty"),
        ("a.zip", b"", "is empty"),
        ("a.roi", b"a text, and no ROI at all" * 9, "cannot be read as ImageJ ROIs"),
        ("a.zip", b"PK\x03\x04" + b"\0" * 60, "cannot be read as ImageJ ROIs"),
    ],
)
def test_damaged_rois_are_refused(tmp_path: Path, name: str, content: bytes, words: str) -> None:
    (tmp_path / name).write_bytes(content)
    refused(tmp_path / name, words)


@pytest.mark.parametrize("keep", [50, 70, 130])
def test_a_cut_off_roi_is_refused(tmp_path: Path, keep: int) -> None:
    roi = ImagejRoi.frompoints([(x, 10 + x % 7) for x in range(10, 80)], name="hole")
    (tmp_path / "cut.roi").write_bytes(roi.tobytes()[:keep])
    refused(tmp_path / "cut.roi", "cannot be read as ImageJ ROIs")


def napari(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines) + "\n")
    return path


def test_points_of_napari_are_row_and_column(tmp_path: Path) -> None:
    path = napari(tmp_path / "vacancy.csv", "index,axis-0,axis-1", "0.0,12.0,70.5", "1.0,40.0,20.0")
    labels = label(path)
    assert labels.class_names == ("vacancy",)
    assert labels.objects.positions.tolist() == [[12, 70.5], [40, 20]]
    assert read_labels(path, (), None).frames is None


def test_with_three_axes_the_first_is_the_frame(tmp_path: Path) -> None:
    path = napari(tmp_path / "v.csv", "index,axis-0,axis-1,axis-2,label", "0,3.0,12.0,70.5,a", "1,0.0,40.0,20.0,b")
    file = read_labels(path, (), None)
    assert file.frames == {0, 3}
    assert file.counts == {"a": 1, "b": 1}
    assert label(path, 3, frames=4).objects.positions.tolist() == [[12, 70.5]]


def shape_rows(index: int, kind: str, *vertices: tuple[float, ...]) -> list[str]:
    return [f"{index}.0,{kind},{k}.0,{','.join(map(str, vertex))}" for k, vertex in enumerate(vertices)]


HEADER = "index,shape-type,vertex-index,axis-0,axis-1"


def test_shapes_of_napari_fill_the_pixels_whose_centres_they_hold(tmp_path: Path, disk: Disk) -> None:
    """In napari the centres of pixels have whole numbers."""
    path = napari(
        tmp_path / "hole.csv",
        HEADER,
        *shape_rows(0, "rectangle", (9.5, 4.5), (9.5, 30.5), (25.5, 30.5), (25.5, 4.5)),
        *shape_rows(1, "ellipse", (9.5, 59.5), (9.5, 80.5), (30.5, 80.5), (30.5, 59.5)),
        *shape_rows(2, "polygon", (39.5, 39.5), (39.5, 59.5), (54.5, 59.5), (54.5, 39.5)),
    )
    labels = label(path)
    assert labels.class_names == ("hole",)
    expected = box(slice(10, 26), slice(5, 31)) | disk((20, 70), 10.5) | box(slice(40, 55), slice(40, 60))
    np.testing.assert_array_equal(labels.class_map == 1, expected)
    assert labels.objects.positions == pytest.approx(np.array([(17.5, 17.5), (20, 70), (47, 49.5)]))


def test_an_ellipse_may_be_turned(tmp_path: Path) -> None:
    turn = np.radians(30)
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    corners = np.array([(-6.0, -20.0), (-6.0, 20.0), (6.0, 20.0), (6.0, -20.0)]) @ rotation.T + (30, 45)
    path = napari(tmp_path / "hole.csv", HEADER, *shape_rows(0, "ellipse", *map(tuple, corners.tolist())))
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    short = (y - 30) * np.cos(turn) + (x - 45) * np.sin(turn)
    long = -(y - 30) * np.sin(turn) + (x - 45) * np.cos(turn)
    np.testing.assert_array_equal(label(path).class_map == 1, (short / 6) ** 2 + (long / 20) ** 2 <= 1)


def test_shapes_belong_to_their_frames(tmp_path: Path) -> None:
    square = ((9.5, 4.5), (9.5, 30.5), (25.5, 30.5), (25.5, 4.5))
    rows = shape_rows(0, "polygon", *((2.0, *vertex) for vertex in square))
    path = napari(tmp_path / "hole.csv", f"{HEADER},axis-2", *rows)
    assert read_labels(path, (), None).frames == {2}
    np.testing.assert_array_equal(label(path, 2, frames=3).class_map == 1, box(slice(10, 26), slice(5, 31)))
    assert not label(path, 1, frames=3).class_map.any()


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (["index,axis-0", "0,1"], r"two axes \(y, x\) or three \(frame, y, x\); found: index, axis-0"),
        (["index,axis-0,axis-1,axis-2,axis-3", "0,1,2,3,4"], "two axes"),
        (["index,axis-0,axis-1"], "holds no points or shapes"),
        (["index,axis-0,axis-1", "0,1,two"], "line 2 has no number for axis-0 or axis-1"),
        (["index,axis-0,axis-1", "0,70,20"], "lies outside frame 0 of 60 x 90 px"),
        ([HEADER, *shape_rows(0, "line", (1, 2), (3, 4))], "shape 0 is a line; rectangles, ellipses and polygons"),
        ([HEADER, *shape_rows(4, "polygon", (1, 2), (3, 4))], "shape 4 has 2 vertices; is the file cut off"),
        ([HEADER, *shape_rows(0, "ellipse", (1, 2), (3, 4), (5, 6))], "shape 0 has 3 vertices"),
        ([HEADER, *shape_rows(0, "polygon", (1, 92), (3, 92), (3, 99))], "'shape 0' at .* lies outside a frame"),
        (
            [f"{HEADER},axis-2", *shape_rows(0, "polygon", (0, 1, 2), (1, 3, 4), (1, 9, 9))],
            "shape 0 reaches over several frames",
        ),
    ],
)
def test_layers_that_cannot_be_used_are_refused(tmp_path: Path, lines: list[str], words: str) -> None:
    refused(napari(tmp_path / "layer.csv", *lines), words)


def test_an_unknown_class_is_refused_with_those_there_are(rois: Rois) -> None:
    file: LabelFile = read_labels(rois(points("a", (10, 70), (12, 70)), points("b", (30, 60))), (), None)
    with pytest.raises(InputError, match=r"no class 'c'; it has a \(2\), b \(1\)"):
        choose_defects(file, ("c",), SHAPE, PERIOD_PX)


def test_a_sub_pixel_rectangle_keeps_its_sides(rois: Rois) -> None:
    roi = bounded("hole", ROI_TYPE.RECT, 10, 40, 31, 71, options=ROI_OPTIONS.SUB_PIXEL_RESOLUTION)
    roi.yd, roi.xd, roi.heightd, roi.widthd = 10.6, 40.4, 20.0, 30.0
    np.testing.assert_array_equal(label(rois(roi)).class_map == 1, box(slice(11, 31), slice(40, 70)))
