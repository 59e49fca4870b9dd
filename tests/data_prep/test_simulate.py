"""Movies and tables against each other and against what was asked for."""

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from scipy.spatial import KDTree

from data_prep.errors import InputError
from data_prep.label_files.reading import read_labels
from data_prep.simulate import MovieSettings, simulate_movie

Rows = list[dict[str, str]]
Simulated = Callable[..., tuple[NDArray[np.uint16], Rows]]
Columns = Callable[..., Rows]


def places(rows: Rows, site: str, frame: int = 0) -> NDArray[np.float64]:
    """Positions (n, 2) of the columns of a kind in a frame."""
    here = [(row["y_px"], row["x_px"]) for row in rows if row["site"] == site and int(row["frame"]) == frame]
    return np.array(here, float).reshape(-1, 2)


def inner(positions: NDArray[np.float64], shape: tuple[int, ...], margin: int = 8) -> NDArray[np.float64]:
    return positions[((positions > margin) & (positions < np.array(shape) - 1 - margin)).all(axis=1)]


def counts_at(image: NDArray[np.uint16], positions: NDArray[np.float64]) -> NDArray[np.float64]:
    y, x = np.round(inner(positions, image.shape)).astype(int).T
    return np.mean([image[y + i, x + j] for i in (-1, 0, 1) for j in (-1, 0, 1)], axis=0)


def centroid(image: NDArray[np.uint16], at: NDArray[np.float64], half: int = 3) -> NDArray[np.float64]:
    """Centre of mass (y, x) around a place, above the darkest pixel there."""
    row, column = np.round(at).astype(int)
    patch = image[row - half : row + half + 1, column - half : column + half + 1].astype(float)
    patch -= patch.min()
    offset = np.arange(-half, half + 1)
    return np.array([row + patch.sum(axis=1) @ offset / patch.sum(), column + patch.sum(axis=0) @ offset / patch.sum()])


def test_the_file_holds_its_scale_and_the_tables_their_columns(tmp_path: Path) -> None:
    settings = MovieSettings(frames=3, size_px=(90, 120), field_nm=4.8, frame_interval_s=0.25, hole_radius_nm=0.8)
    simulate_movie(tmp_path / "m.tif", tmp_path / "t.csv", settings, tmp_path / "all.csv")
    with tifffile.TiffFile(tmp_path / "m.tif") as tiff:
        assert tiff.series[0].shape == (3, 90, 120)
        assert tiff.pages[0].dtype == np.uint16
        assert tiff.imagej_metadata is not None
        assert tiff.imagej_metadata["unit"] == "nm"
        assert tiff.imagej_metadata["finterval"] == 0.25
        count, per = tiff.pages[0].tags["XResolution"].value
        assert per / count == pytest.approx(0.04)
    with (tmp_path / "t.csv").open(newline="") as rows:
        truth = list(csv.DictReader(rows))
    with (tmp_path / "all.csv").open(newline="") as rows:
        columns = list(csv.DictReader(rows))
    assert list(truth[0]) == ["frame", "y_px", "x_px", "site", "object", "species", "identity", "state"]
    assert list(columns[0]) == ["frame", "y_px", "x_px", "site", "species", "identity"]
    assert {row["site"] for row in truth} <= {"molybdenum", "sulphur_vacancy", "sulphur_pair_vacancy", "hole"}
    for row in truth + columns:
        assert 0 <= float(row["y_px"]) <= 89
        assert 0 <= float(row["x_px"]) <= 119


def test_the_seed_decides_all(tmp_path: Path) -> None:
    def files(name: str, seed: int) -> list[bytes]:
        paths = [tmp_path / f"{name}{end}" for end in (".tif", ".csv", "_all.csv")]
        simulate_movie(paths[0], paths[1], MovieSettings(frames=3, size_px=(64, 90), field_nm=3.0, seed=seed), paths[2])
        return [path.read_bytes() for path in paths]

    assert files("first", 3) == files("again", 3)
    assert all(one != other for one, other in zip(files("first", 3), files("other", 4), strict=True))


@pytest.mark.parametrize(
    ("host", "names"),
    [
        ("WS2", {"tungsten": "W", "molybdenum": "Mo", "sulphur_pair": "S2", "sulphur_vacancy": "S"}),
        ("MoSe2", {"molybdenum": "Mo", "tungsten": "W", "selenium_pair": "Se2", "selenium_vacancy": "Se"}),
    ],
)
def test_the_columns_table_tells_what_is_in_every_column(
    all_columns: Columns, host: str, names: dict[str, str]
) -> None:
    chalcogen = "sulphur" if host == "WS2" else "selenium"
    rows = all_columns(host=host, dopant_share=0.1, vacancy_share=0.2, pair_vacancy_share=0.1, seed=2)
    assert {row["site"]: row["species"] for row in rows} == names | {f"{chalcogen}_pair_vacancy": "none"}
    first = [row for row in rows if row["frame"] == "0"]
    assert len({row["identity"] for row in first}) == len(first)


@pytest.mark.parametrize(
    ("host", "constant_nm"), [("WS2", 0.3153), ("WSe2", 0.3282), ("MoS2", 0.316), ("MoSe2", 0.329)]
)
def test_the_lattice_is_that_of_the_host(all_columns: Columns, host: str, constant_nm: float) -> None:
    rows = all_columns(host=host, frames=1, size_px=(150, 210), field_nm=7.0, dose=10.0)
    metal = places(rows, {"W": "tungsten", "M": "molybdenum"}[host[0]]) * 7.0 / 210
    chalcogen = places(rows, "sulphur_pair" if host.endswith("S2") else "selenium_pair") * 7.0 / 210
    cells = 5.0 * 7.0 / (constant_nm**2 * np.sqrt(3) / 2)
    assert len(metal) == pytest.approx(cells, rel=0.05)
    assert len(chalcogen) == pytest.approx(cells, rel=0.05)
    assert KDTree(metal).query(metal, k=2)[0][:, 1] == pytest.approx(constant_nm, rel=0.002)
    centre = chalcogen[np.argmin(np.hypot(*(chalcogen - metal.mean(axis=0)).T))]
    assert KDTree(metal).query(centre, k=3)[0] == pytest.approx(constant_nm / np.sqrt(3), rel=0.002)


@pytest.mark.parametrize("size_px", [(128, 192), (192, 128)])
def test_columns_are_drawn_where_the_truth_says_in_every_frame(
    simulated: Simulated, tmp_path: Path, size_px: tuple[int, int]
) -> None:
    """Metal columns alone, drifting by px within a frame as well."""
    frames, _ = simulated(
        size_px=size_px, field_nm=0.032 * size_px[1], frames=4, pair_vacancy_share=1.0, dose=2e5,
        drift_px=3.0, jitter_px=0.2, seed=2,
    )  # fmt: skip
    with (tmp_path / "columns.csv").open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    for number, image in enumerate(frames):
        wanted = inner(places(rows, "tungsten", number), size_px)
        assert len(wanted) > 100
        errors = np.array([centroid(image, place, 4) - place for place in wanted])
        assert np.abs(errors.mean(axis=0)).max() < 0.02
        assert np.sqrt(np.mean(errors**2)) < 0.2


def test_scan_distortion_moves_a_column_along_its_row_as_the_truth_does(simulated: Simulated) -> None:
    (first, second), rows = simulated(dopant_share=0.3, dose=60000.0, jitter_px=0.8, seed=3)
    before, after = ({row["object"]: row for row in rows if row["frame"] == number} for number in ("0", "1"))
    true, seen = [], []
    for name in before.keys() & after.keys():
        start, end = (np.array([row["y_px"], row["x_px"]], float) for row in (before[name], after[name]))
        assert start[0] == end[0]
        if len(inner(np.array([start, end]), first.shape)) == 2:
            true.append(end[1] - start[1])
            seen.append(centroid(second, end, 2)[1] - centroid(first, start, 2)[1])
    assert len(true) > 20
    assert np.std(true) > 0.5
    assert np.corrcoef(true, seen)[0, 1] > 0.7


def test_drift_shears_a_frame_and_goes_on_where_the_last_one_ended(simulated: Simulated) -> None:
    """Between two frames a column moves by an amount that depends on its row alone, and evenly."""
    _, rows = simulated(frames=4, vacancy_share=0.1, drift_px=3.0, seed=7)
    by_frame = [
        {row["object"]: (float(row["y_px"]), float(row["x_px"])) for row in rows if row["frame"] == str(frame)}
        for frame in range(4)
    ]
    lines = []
    for frame in (1, 2, 3):
        common = sorted(by_frame[frame - 1].keys() & by_frame[frame].keys())
        assert len(common) > 10
        start, end = (np.array([by_frame[number][name] for name in common]) for number in (frame - 1, frame))
        design = np.stack([start[:, 0], np.ones(len(start))], axis=1)
        slope, left, *_ = np.linalg.lstsq(design, end - start, rcond=None)
        assert left.max() < 0.01
        lines.append(slope)
    assert max(np.abs(line[1]).max() for line in lines) > 1.0
    assert max(np.abs(line[0]).max() * 128 for line in lines) > 1.0


def test_brightness_follows_what_a_column_holds(simulated: Simulated) -> None:
    (image, _), rows = simulated(dopant_share=0.1, vacancy_share=0.1, pair_vacancy_share=0.1, seed=1)
    one_missing = counts_at(image, places(rows, "sulphur_vacancy")).mean()
    both_missing = counts_at(image, places(rows, "sulphur_pair_vacancy")).mean()
    molybdenum = counts_at(image, places(rows, "molybdenum")).mean()
    tungsten = np.percentile(image, 99)
    assert both_missing < one_missing < molybdenum < tungsten
    assert 0.4 < molybdenum / tungsten < 0.75  # (42 / 74) ** 1.1 = 0.54, and the neighbours' tails


def test_a_wider_source_spreads_a_column_and_keeps_its_electrons(simulated: Simulated) -> None:
    sharp, wide = (simulated(source_size_nm=size, frames=1, seed=1)[0][0].astype(float) for size in (0.0, 0.12))
    assert np.percentile(wide, 99.5) < 0.75 * np.percentile(sharp, 99.5)
    assert wide.mean() == pytest.approx(sharp.mean(), rel=0.02)


def test_counts_follow_the_dose_and_scatter_as_electrons_do(simulated: Simulated) -> None:
    """Two frames of a still, calm scene differ by shot noise alone: the variance is the mean."""
    for dose in (2000.0, 20000.0):
        first, second = simulated(dose=dose)[0].astype(float)
        assert np.var(first - second) / 2 == pytest.approx(first.mean(), rel=0.05)
    faint, bright = (simulated(dose=dose)[0].mean() for dose in (2000.0, 20000.0))
    assert bright == pytest.approx(10 * faint, rel=0.01)


def test_counts_past_sixteen_bits_are_refused_and_nothing_is_written(tmp_path: Path) -> None:
    settings = MovieSettings(frames=1, size_px=(40, 50), field_nm=2.0, dose=2e6, holes=0)
    with pytest.raises(InputError, match="give a lower dose"):
        simulate_movie(tmp_path / "m.tif", tmp_path / "t.csv", settings)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"host": "NbSe2"}, "choose one of WS2"),
        ({"frames": 0}, "frames = 0 is not positive"),
        ({"dose": float("nan")}, "dose = nan is not positive"),
        ({"size_px": (0, 10)}, "holds no pixel"),
        ({"drift_px": -1.0}, "drift_px = -1.0 is negative"),
        ({"drift_px": 20.0, "size_px": (100, 400)}, "more than a tenth of the 100 rows"),
        ({"dopant_share": 1.2}, "dopant_share = 1.2 is no probability"),
        ({"release": 0.6, "switching": 0.6}, "release \\+ switching = 1.2"),
        ({"knock_on": 0.6}, "knock_on \\+ knock_on = 1.2"),
    ],
)
def test_what_cannot_be_simulated_is_refused(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        MovieSettings(**wrong)  # type: ignore[arg-type]


def test_holes_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="9 holes of"):
        simulate_movie(tmp_path / "m.tif", tmp_path / "t.csv", MovieSettings(holes=9))


def test_shares_are_those_asked_for(simulated: Simulated) -> None:
    cells = 12.0 * 8.0 / (0.3153**2 * np.sqrt(3) / 2)
    wide = {"size_px": (200, 300), "field_nm": 12.0, "frames": 1, "seed": 9}
    _, rows = simulated(**wide, vacancy_share=0.3, pair_vacancy_share=0.1)
    _, doped = simulated(**wide, dopant_share=0.2)
    for kind, site, share in (
        (doped, "molybdenum", 0.2),
        (rows, "sulphur_vacancy", 0.3),
        (rows, "sulphur_pair_vacancy", 0.1),
    ):
        expected = share * cells
        assert len(places(kind, site)) == pytest.approx(expected, abs=4 * np.sqrt(expected))


def test_the_hole_opens_grows_and_is_one_dark_object(simulated: Simulated) -> None:
    frames, rows = simulated(frames=5, hole_from_frame=2, hole_radius_nm=1.0, seed=6)
    counts = [len(places(rows, "hole", frame)) for frame in range(5)]
    assert counts[:2] == [0, 0]
    assert 0 < counts[2] < counts[3] < counts[4]
    assert len({(row["object"], row["identity"]) for row in rows if row["site"] == "hole"}) == 1
    columns = places(rows, "hole", 4)
    centre = columns.mean(axis=0)
    radius_nm = np.linalg.norm(columns - centre, axis=1).max() * 6.0 / 192
    assert radius_nm == pytest.approx(1.0, abs=0.35)
    y, x = np.round(centre).astype(int)
    core = np.s_[y - 8 : y + 9, x - 8 : x + 9]
    assert frames[4][core].mean() < 0.1 * frames[0][core].mean()


def test_two_holes_are_two_extended_objects_to_a_reader_of_the_truth(simulated: Simulated, tmp_path: Path) -> None:
    simulated(frames=2, holes=2, hole_from_frame=1, hole_radius_nm=0.4, seed=1)
    points = read_labels(tmp_path / "made.csv", (), None)
    labels = points.label(1, ("hole",), (128, 192), 8.7)
    assert labels.objects.regions.max() == 2
    assert list(labels.kinds) == [1, 1]


def test_contamination_builds_up(simulated: Simulated) -> None:
    frames, _ = simulated(frames=4, contamination=1.0)
    darkest = [float(np.percentile(frame, 20)) for frame in frames]
    assert darkest == sorted(darkest)
    assert darkest[3] > darkest[0] + 20
