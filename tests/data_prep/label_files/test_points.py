"""Lists of columns in CSV."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from data_prep.errors import InputError
from data_prep.label_files.label_file import choose_defects
from data_prep.label_files.points import PointList
from data_prep.label_files.reading import read_labels
from data_prep.labels import IGNORE

SHAPE = (80, 130)
PERIOD_PX = 8.0


@pytest.fixture
def table(tmp_path: Path) -> Callable[[str], Path]:
    def write(text: str) -> Path:
        path = tmp_path / "atoms.csv"
        path.write_text(text, encoding="utf-8")
        return path

    return write


Table = Callable[[str], Path]


def read(path: Path, pixel_size_nm: float | None) -> PointList:
    points = read_labels(path, (), pixel_size_nm)
    assert isinstance(points, PointList)
    return points


def complete_list(names: Callable[[int], str], frame: int = 0) -> str:
    """Columns 8 px apart over rows 4 to 76 and columns 10 to 122, each named by its number."""
    places = [(y, x) for y in range(4, 80, 8) for x in range(10, 130, 8)]
    lines = [f"{frame},{y},{x},{names(number)}" for number, (y, x) in enumerate(places)]
    return "\n".join(["frame,y_px,x_px,site", *lines])


def disk(centre: tuple[float, float], radius: float) -> NDArray[np.bool_]:
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    return np.asarray((y - centre[0]) ** 2 + (x - centre[1]) ** 2 <= radius**2)


def test_positions_in_pixels_are_row_and_column(table: Table) -> None:
    points = read(table("x_px,frame,site,y_px\n90.5,2,vacancy,10\n3,0, dopant ,40\n"), None)
    assert points.positions.tolist() == [[10, 90.5], [40, 3]]
    assert points.frame.tolist() == [2, 0]
    assert points.names == ("vacancy", "dopant")
    assert points.groups == ("", "")


def test_positions_in_nm_are_scaled_by_the_pixel_size(table: Table) -> None:
    path = table("y_nm,x_nm,class\n1.0,2.5,vacancy\n")
    assert read(path, 0.05).positions == pytest.approx(np.array([[20, 50]]))
    with pytest.raises(InputError, match=r"atoms\.csv: positions are in nm.*--pixel-size"):
        read(path, None)


def test_pixels_go_before_nm(table: Table) -> None:
    assert read(table("y_nm,x_nm,y_px,x_px,site\n1,2,30,40,a\n"), 0.05).positions.tolist() == [[30, 40]]


def test_a_byte_order_mark_and_spaces_in_the_header_do_no_harm(table: Table) -> None:
    assert read(table("\ufeffy_px, x_px , site\n1,2,a\n"), None).positions.tolist() == [[1, 2]]


@pytest.mark.parametrize("column", ["site", "class", "label", "species", "type"])
def test_the_class_column_has_one_of_five_names(table: Table, column: str) -> None:
    assert read(table(f"y_px,x_px,{column}\n1,2,a\n"), None).names == ("a",)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("row,column,site\n1,2,a\n", "no columns 'y_px' and 'x_px' (or 'y_nm' and 'x_nm'); found: row, column, site"),
        ("y_px,x_nm,site\n1,2,a\n", "found: y_px, x_nm, site"),
        (
            "y_px,x_px,colour\n1,2,a\n",
            "no class column, one of site, class, label, species, type; found: y_px, x_px, c",
        ),
        ("", "is empty"),
        ("\n", "found: none"),
        ("y_px,x_px,site\n", "holds no labelled columns"),
        ("y_px,x_px,site\n1,2,a\n3,4,a\n5,six,a\n", "line 4 has no number for y_px or x_px"),
        ("y_px,x_px,site\n1\n", "line 2 has no number for y_px or x_px"),
        ("frame,y_px,x_px,site\n0,1,2,a\nlast,1,2,a\n", "line 3 has no number for y_px, x_px or frame"),
        ("y_px,x_px,site\n1,2,a\nnan,4,a\n", "line 3 has a position that is not a finite number"),
        ("frame,y_px,x_px,site\n0,1,2,a\n\n0.5,1,2,a\n", "line 4 is of frame 0.5; frames are 0, 1, 2, …"),
        ("frame,y_px,x_px,site\n-1,1,2,a\n", "line 2 is of frame -1; frames are"),
        ("frame,y_px,x_px,site\n1e30,1,2,a\n", "line 2 is of frame 1e+30; frames are"),
        (
            "y_px,x_px,site,object\n1,2,a,h\n9,2,b,h\n",
            "object 'h' has two classes in a frame, line 2 'a' and line 3 'b'",
        ),
        ("y_px,x_px,site\n1,2,a\n5,5,a\n1,2,b\n", "one place has two classes in a frame, line 2 'a' and line 4 'b'"),
        ("y_px,x_px,site\n1,2.004,a\n1,1.996,b\n", "one place has two classes in a frame, line 2 'a' and line 3 'b'"),
        ("y_px,x_px,site\n1,2,a\n3,4,background\n", "line 3 has the class 'background', which means no class"),
        ("index,axis-0,axis-1,axis-2\n0,-1,2,3\n", "line 2 is of frame -1; frames are"),
        ("index,axis-0,axis-1,label\n0,2,3,a\n1,2,3,b\n", "one place has two classes in a frame, line 2 'a'"),
        ("y_px,x_px,site\n1,inf,a\n", "line 2 has a position that is not a finite number"),
    ],
)
def test_a_bad_list_is_refused_with_its_name_and_place(table: Table, text: str, words: str) -> None:
    path = table(text)
    with pytest.raises(InputError) as raised:
        read(path, None)
    assert str(raised.value).startswith(f"{path}: ")
    assert words in str(raised.value)
    assert "\n" not in str(raised.value)


def test_what_differs_in_class_may_share_an_object_or_a_place_in_other_frames_or_be_near(table: Table) -> None:
    text = "frame,y_px,x_px,site,object\n0,1,2,a,c\n0,1,2,a,c\n1,1,2,b,c\n1,1,2.02,a,\n1,30,40,b,\n"
    assert read(table(text), None).names == ("a", "a", "b", "a", "b")


def test_columns_in_nm_that_a_wrong_pixel_size_puts_in_one_pixel_are_refused(table: Table) -> None:
    rows = "".join(f"{frame},{y},2.5,a\n" for frame, y in ((0, 1), (1, 1), (1, 2), (1, 3)))
    path = table("frame,y_nm,x_nm,class\n" + rows)
    with pytest.raises(InputError, match=r"all 3 columns of frame 1 lie within one pixel; check --pixel-size"):
        read(path, 1e9)
    assert read(path, 0.05).positions[:, 0] == pytest.approx(np.array([20, 20, 40, 60]))
    assert len(read(table("y_nm,x_nm,class\n1,2.5,a\n2,2.5,a\n"), 1e9).names) == 2  # of two there is no telling


def test_a_missing_or_binary_list_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.csv: no such file"):
        read(tmp_path / "none.csv", None)
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00\x81")
    with pytest.raises(InputError, match=r"binary\.csv: cannot be read as CSV"):
        read(tmp_path / "binary.csv", None)


def test_a_list_of_all_columns_is_complete_and_one_of_defects_is_not(table: Table) -> None:
    everything = read(table(complete_list(lambda _: "metal")), None)
    assert everything.is_complete(SHAPE, PERIOD_PX)
    few = read(table("y_px,x_px,site\n" + "10,20,vacancy\n" * 5), None)
    assert not few.is_complete(SHAPE, PERIOD_PX)


def test_in_a_complete_list_the_rare_classes_are_defects(table: Table) -> None:
    names = {0: "vacancy", 20: "vacancy", 40: "dopant"}
    points = read(table(complete_list(lambda k: names.get(k, "metal" if k % 3 else "pair"))), None)
    assert choose_defects(points, (), SHAPE, PERIOD_PX) == ("vacancy", "dopant")


def test_a_complete_list_without_rare_classes_asks_which_are_defects(table: Table) -> None:
    points = read(table(complete_list(lambda k: "metal" if k % 3 else "pair")), None)
    with pytest.raises(InputError, match=r"--defects; it has metal \(100\), pair \(50\)"):
        choose_defects(points, (), SHAPE, PERIOD_PX)
    assert choose_defects(points, ("pair",), SHAPE, PERIOD_PX) == ("pair",)


def test_in_a_list_of_defects_all_classes_are_defects(table: Table) -> None:
    points = read(table("y_px,x_px,site\n10,20,b\n30,40,a\n50,60,b\n"), None)
    assert choose_defects(points, (), SHAPE, PERIOD_PX) == ("b", "a")


def test_an_unknown_class_is_refused_with_those_there_are(table: Table) -> None:
    points = read(table("y_px,x_px,site\n10,20,b\n30,40,a\n50,60,b\n"), None)
    with pytest.raises(InputError, match=r"atoms\.csv: no class 'c'; it has b \(2\), a \(1\)"):
        choose_defects(points, ("a", "c"), SHAPE, PERIOD_PX)


def test_each_defect_of_the_frame_is_a_disk_of_its_class(table: Table) -> None:
    text = "frame,y_px,x_px,site\n1,20,100,a\n1,60,30.4,b\n1,40,60,other\n0,10,10,a\n"
    labels = read(table(text), None).label(1, ("b", "a"), SHAPE, PERIOD_PX)
    expected = np.where(disk((20, 100), 2.8), 2, np.where(disk((60, 30.4), 2.8), 1, 0))
    np.testing.assert_array_equal(labels.class_map, expected)
    assert labels.objects.positions.tolist() == [[20, 100], [60, 30.4]]
    assert labels.kinds.tolist() == [2, 1]
    assert labels.class_names == ("b", "a")
    assert labels.labelled.all()
    assert "atoms.csv" in labels.made_by


def test_a_frame_without_points_in_a_list_of_defects_has_none(table: Table) -> None:
    points = read(table("frame,y_px,x_px,site\n0,10,20,a\n"), None)
    assert [len(points.label(frame, ("a",), SHAPE, PERIOD_PX).objects) for frame in (0, 3)] == [1, 0]
    without = read(table("y_px,x_px,site\n10,20,a\n"), None)  # rows of whatever frame is meant
    assert [len(without.label(frame, ("a",), SHAPE, PERIOD_PX).objects) for frame in (0, 3)] == [1, 1]


def test_outside_the_rectangle_of_a_complete_list_nothing_is_known(table: Table) -> None:
    points = read(table(complete_list(lambda k: "vacancy" if k == 20 else "metal")), None)
    labels = points.label(0, ("vacancy",), SHAPE, PERIOD_PX)
    known = np.zeros(SHAPE, bool)
    known[4:77, 10:123] = True
    np.testing.assert_array_equal(labels.labelled, known)
    assert labels.objects.positions.tolist() == [[12, 50]]
    np.testing.assert_array_equal(labels.class_map == 1, disk((12, 50), 2.8))
    assert set(np.unique(labels.class_map)) == {0, 1, IGNORE}


@pytest.mark.parametrize(("y", "x"), [(100, 50), (-2, 5), (40, 130)])
def test_a_point_outside_the_frame_is_refused(table: Table, y: int, x: int) -> None:
    points = read(table(f"y_px,x_px,site\n10,20,a\n{y},{x},a\n"), None)
    with pytest.raises(InputError, match=rf"y = {y}\.0, x = {x}\.0 px lies outside frame 0 of 80 x 130 px.*exchanged"):
        points.check(SHAPE, 1)


def test_a_point_in_a_frame_that_the_movie_lacks_is_refused(table: Table) -> None:
    points = read(table("frame,y_px,x_px,site\n0,10,20,a\n5,10,20,a\n"), None)
    points.check(SHAPE, 6)
    with pytest.raises(InputError, match=r"atoms\.csv: has a column of frame 5, the movie has 5 frames"):
        points.check(SHAPE, 5)


def test_rows_of_one_object_become_one_region(table: Table) -> None:
    ring = [(40 + 8 * np.sin(k * np.pi / 3), 70 + 8 * np.cos(k * np.pi / 3)) for k in range(6)]
    rows = [f"0,{y},{x},hole,h1" for y, x in ring] + ["0,10,20,vacancy,c1", "0,12,100,vacancy,", "1,3,4,hole,h1"]
    points = read(table("\n".join(["frame,y_px,x_px,site,object", *rows])), None)
    labels = points.label(0, ("vacancy", "hole"), SHAPE, PERIOD_PX)
    assert labels.kinds.tolist() == [1, 1, 2]
    assert labels.objects.extended().tolist() == [False, False, True]
    assert labels.objects.positions[2] == pytest.approx([40, 70])
    hole = labels.class_map == 2
    np.testing.assert_array_equal(hole, labels.objects.regions == 3)
    assert hole[disk((40, 70), 8)].all()
    assert not hole[~disk((40, 70), 14.5)].any()
    np.testing.assert_array_equal(labels.class_map == 1, disk((10, 20), 2.8) | disk((12, 100), 2.8))


def test_a_single_row_with_an_object_is_a_point(table: Table) -> None:
    points = read(table("frame,y_px,x_px,site,object\n0,40,70,hole,h1\n1,40,70,hole,h1\n1,40,78,hole,h1\n"), None)
    assert points.label(0, ("hole",), SHAPE, PERIOD_PX).objects.extended().tolist() == [False]
    assert points.label(1, ("hole",), SHAPE, PERIOD_PX).objects.extended().tolist() == [True]


def test_a_frame_without_rows_in_a_complete_list_is_unlabelled() -> None:
    places = np.array([(y, x) for y in range(4, 80, 8) for x in range(10, 130, 8)], float)
    count = len(places)
    names = ("v",) + ("m",) * (count - 1)
    points = PointList(Path("p.csv"), np.zeros(count, np.int64), places, names, ("",) * count)
    assert not points.label(1, ("v",), (80, 130), 8.0).labelled.any()


@pytest.mark.parametrize("row", ["1,2", "1,2,"])
def test_a_row_without_a_class_is_refused(tmp_path: Path, row: str) -> None:
    (tmp_path / "p.csv").write_text(f"y_px,x_px,site\n{row}\n")
    with pytest.raises(InputError, match="line 2 has no class"):
        read(tmp_path / "p.csv", None)


def test_lines_are_numbered_as_an_editor_does(tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text("y_px,x_px,site\n\n\n1,2,a\nbad,3,a\n")
    with pytest.raises(InputError, match="line 5"):
        read(tmp_path / "p.csv", None)


def test_a_column_just_above_the_first_row_does_not_unlabel_the_frame() -> None:
    places = np.array([(y - 0.3, float(x)) for y in range(0, 80, 8) for x in range(10, 130, 8)])
    names = ("v",) + ("m",) * (len(places) - 1)
    points = PointList(Path("p.csv"), np.zeros(len(places), np.int64), places, names, ("",) * len(places))
    labelled = points.label(0, ("v",), (80, 130), 8.0).labelled
    assert labelled[0:70, 12:120].all()
