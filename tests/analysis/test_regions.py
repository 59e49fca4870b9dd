"""Windows ranked on simulated frames: what is there is read from the simulation's own table, row by row."""

import csv
from dataclasses import dataclass, replace

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray

from analysis.regions import MOST_OVERLAP, TERMS, rank_regions
from analysis.survey import Survey, survey_frame
from data_prep.errors import InputError
from data_prep.objects import Objects, disk_offsets, region_around
from data_prep.simulate import MovieSettings, simulate_movie

CLASSES = ("sulphur_vacancy", "molybdenum", "sulphur_pair_vacancy", "hole")
VACANCY = 1
SIDE = 81  # px, 2.5 nm
THRESHOLD = 0.5


@dataclass
class Made:
    """A simulated frame and its truth: places (y, x) by site."""

    frame: NDArray[np.float32]
    places: dict[str, NDArray[np.float64]]
    period_px: float

    @property
    def defects(self) -> NDArray[np.float64]:
        return np.concatenate([at for site, at in self.places.items() if site != "hole"])


def simulated(folder, **settings) -> Made:
    chosen = MovieSettings(
        frames=1, size_px=(300, 360), field_nm=11.0, jitter_px=0.1, hole_from_frame=0, hole_radius_nm=1.0, **settings
    )
    simulate_movie(folder / "m.tif", folder / "t.csv", chosen)
    places = {name: [] for name in CLASSES}
    with (folder / "t.csv").open() as file:
        for row in csv.DictReader(file):
            places[row["site"]].append((float(row["y_px"]), float(row["x_px"])))
    frame = tifffile.imread(folder / "m.tif").astype(np.float32)
    return Made(
        frame,
        {name: np.array(at, float).reshape(-1, 2) for name, at in places.items()},
        chosen.constant_px * np.sqrt(3) / 2,
    )


def maps_of(made: Made, places, sure=0.98) -> NDArray[np.float32]:
    """What a network that knows the truth would say: disks of the classes, the hole one region."""
    maps = np.full((len(CLASSES) + 1, *made.frame.shape), (1 - sure) / len(CLASSES), np.float32)
    maps[0] = sure
    for number, name in enumerate(CLASSES, 1):
        inside = np.zeros(made.frame.shape, bool)
        if name == "hole" and len(places.get(name, ())):
            inside = region_around(places[name], 0.6 * made.period_px, made.frame.shape)
        elif name != "hole":
            for at in places.get(name, ()):
                pixels = np.round(at).astype(int) + disk_offsets(0.35 * made.period_px)
                pixels = pixels[((pixels >= 0) & (pixels < made.frame.shape)).all(axis=1)]
                inside[pixels[:, 0], pixels[:, 1]] = True
        maps[:, inside] = (1 - sure) / len(CLASSES)
        maps[number, inside] = sure
    return maps


def surveyed(made: Made, places=None, sure=0.98) -> Survey:
    maps = maps_of(made, made.places if places is None else places, sure)
    return survey_frame(made.frame, maps, CLASSES, THRESHOLD, made.period_px)


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Made:
    return simulated(
        tmp_path_factory.mktemp("some"), dopant_share=0.006, vacancy_share=0.01, pair_vacancy_share=0.002, seed=4
    )


@pytest.fixture(scope="module")
def survey(made) -> Survey:
    return surveyed(made)


@pytest.fixture(scope="module")
def perfect(tmp_path_factory) -> Made:
    """A frame without defects, to put defects into the maps alone."""
    folder = tmp_path_factory.mktemp("perfect")
    return simulated(folder, dopant_share=0, vacancy_share=0, pair_vacancy_share=0, holes=0, seed=1)


def column_near(survey: Survey, y, x):
    return survey.columns[np.linalg.norm(survey.columns - (y, x), axis=1).argmin()]


def within(region, places, margin=0.0):
    """Those of the places (n, 2) in the window's pixels."""
    (top, left), side = region.corner, region.side
    return [
        (y, x)
        for y, x in places
        if top - 0.5 - margin <= y < top + side - 0.5 + margin and left - 0.5 - margin <= x < left + side - 0.5 + margin
    ]


def test_wanted_defects_are_true_ones_and_no_window_leaves_the_frame_or_touches_the_hole(made, survey):
    regions = rank_regions(survey, SIDE, VACANCY, 20)
    assert len(regions) >= 3
    assert len(made.places["hole"]) > 20
    for region in regions:
        away = np.linalg.norm(made.places["sulphur_vacancy"] - region.centre, axis=1)
        assert away.min() < 1.5
        assert np.abs(np.array(region.corner) + (SIDE - 1) / 2 - region.centre).max() <= 0.5
        assert min(region.corner) >= 0
        assert (np.array(region.corner) + SIDE <= made.frame.shape).all()
        assert not within(region, made.places["hole"])


def test_isolation_is_the_distance_to_the_nearest_true_defect_hole_or_edge(made, survey):
    for region in rank_regions(survey, SIDE, VACANCY, 20):
        own = min(np.hypot(y - region.centre[0], x - region.centre[1]) for y, x in made.defects)
        to_defect = sorted(np.hypot(y - region.centre[0], x - region.centre[1]) for y, x in made.defects)[1]
        to_hole = min(np.hypot(y - region.centre[0], x - region.centre[1]) for y, x in made.places["hole"])
        (y, x), (height, width) = region.centre, made.frame.shape
        to_edge = min(y + 0.5, height - 0.5 - y, x + 0.5, width - 0.5 - x)
        assert own < 1.5
        # A hole's rim counts to the hole.
        assert region.nearest_px <= min(to_defect + 2, to_edge + 0.01, to_hole)
        assert region.nearest_px >= min(to_defect - 2, to_edge - 0.01, to_hole - 4 * made.period_px)
        assert region.terms["isolation"] == pytest.approx(min(1, region.nearest_px / SIDE))


def test_the_others_inside_are_the_true_ones(made, survey):
    seen = 0
    for region in rank_regions(survey, SIDE, VACANCY, 20):
        there = survey.detections.objects.positions[list(region.others)]
        surely, perhaps = within(region, made.defects, -1.5), within(region, made.defects, 1.5)
        assert len(surely) - 1 <= len(there) <= len(perhaps) - 1
        assert all(min(np.hypot(y - p, x - q) for p, q in made.defects) < 1.5 for y, x in there)
        seen += len(there)
    assert seen > 0


@pytest.mark.parametrize("side", [40, 61])
def test_clean_windows_hold_no_true_defect(made, survey, side):
    regions = rank_regions(survey, side, None, 10)
    assert len(regions) == 10
    for region in regions:
        assert not within(region, np.concatenate([made.defects, made.places["hole"]]), margin=1.0)
        assert region.defect is None
        assert region.others == ()
        assert region.terms["wanted"] == 1.0
        assert region.terms["lattice"] > 0.85
    assert regions[0].nearest_px >= regions[-1].nearest_px


@pytest.mark.parametrize("wanted", [VACANCY, None])
def test_windows_are_in_order_of_their_scores_and_overlap_little(survey, wanted):
    regions = rank_regions(survey, 50, wanted, 30)
    scores = [region.score for region in regions]
    assert scores == sorted(scores, reverse=True)
    for i, one in enumerate(regions):
        assert one.score == pytest.approx(float(np.prod(list(one.terms.values()))) ** 0.25)
        assert list(one.terms) == list(TERMS)
        assert all(0 <= term <= 1 for term in one.terms.values())
        for other in regions[:i]:
            down, across = (max(0, 50 - abs(a - b)) for a, b in zip(one.corner, other.corner, strict=True))
            assert down * across <= MOST_OVERLAP * 50**2


def test_a_shorter_list_is_the_head_of_a_longer_one(survey):
    longer = rank_regions(survey, 50, None, 12)
    assert rank_regions(survey, 50, None, 5) == longer[:5]


def test_lattice_and_certainty_are_what_a_plain_count_gives(survey):
    uneven = replace(survey, doubt=np.random.default_rng(0).random(len(survey.columns)))
    for wanted in (VACANCY, None):
        for region in rank_regions(uneven, 60, wanted, 8):
            (top, left), side = region.corner, region.side
            columns, good, squares = 0, 0, 0.0
            for (y, x), fine, doubt in zip(uneven.columns, uneven.in_order, uneven.doubt, strict=True):
                if top <= round(y) < top + side and left <= round(x) < left + side:
                    squares += doubt**2
                    columns += 1
                    good += bool(fine)
            share = good / columns
            if wanted:  # its own column, which is a vacancy, is not to be in order
                share = good / (columns - 1)
            assert region.terms["certainty"] == pytest.approx(1 - (squares / columns) ** 0.5)
            assert region.terms["lattice"] == pytest.approx(share**10)


def test_an_isolated_vacancy_is_before_a_crowded_one(perfect):
    bare = surveyed(perfect, {})
    alone, crowded = column_near(bare, 150, 90), column_near(bare, 150, 270)
    beside = column_near(bare, crowded[0] + 20, crowded[1])
    survey = surveyed(perfect, {"sulphur_vacancy": [crowded, alone], "molybdenum": [beside]})
    first, second = rank_regions(survey, SIDE, VACANCY, 5)
    assert np.linalg.norm(first.centre - alone) < 1.5
    assert np.linalg.norm(second.centre - crowded) < 1.5
    assert first.terms["isolation"] == pytest.approx(1.0, abs=0.12)
    assert second.terms["isolation"] == pytest.approx(np.linalg.norm(crowded - beside) / SIDE, abs=0.03)
    assert [survey.class_names[survey.detections.kinds[i] - 1] for i in second.others] == ["molybdenum"]


def two_alike(perfect):
    """A vacancy on the left, and one on the right, as far from all edges."""
    bare = surveyed(perfect, {})
    return column_near(bare, 150, 90), column_near(bare, 150, 269)


def test_where_the_network_is_unsure_windows_sink(perfect):
    left, right = two_alike(perfect)
    maps = maps_of(perfect, {"sulphur_vacancy": [left, right]})
    for good in (0, 1):
        unsure = maps.copy()
        half = np.s_[:, :, :180] if good else np.s_[:, :, 180:]
        unsure[half] = 0.75 * maps[half] + 0.25 / len(maps)
        survey = survey_frame(perfect.frame, unsure, CLASSES, THRESHOLD, perfect.period_px)
        first, second = rank_regions(survey, SIDE, VACANCY, 5)
        assert np.linalg.norm(first.centre - (left, right)[good]) < 1.5
        assert first.terms["certainty"] > second.terms["certainty"] + 0.1
        assert first.terms["wanted"] > second.terms["wanted"]


def test_where_the_lattice_is_in_disorder_windows_sink(perfect):
    left, right = two_alike(perfect)
    rng = np.random.default_rng(0)
    for good, half in ((0, np.s_[:, 200:340]), (1, np.s_[:, 20:160])):
        spoilt = perfect.frame.copy()
        noise = rng.normal(0, perfect.frame.std(), spoilt[half].shape).repeat(3, 0).repeat(3, 1)
        spoilt[half] += 1.5 * noise[: spoilt[half].shape[0], : spoilt[half].shape[1]]
        survey = surveyed(replace(perfect, frame=spoilt), {"sulphur_vacancy": [left, right]})
        first, second = rank_regions(survey, SIDE, VACANCY, 5)
        assert np.linalg.norm(first.centre - (left, right)[good]) < 1.5
        assert first.terms["lattice"] > second.terms["lattice"] + 0.2


def test_columns_out_of_order_are_the_true_defects(made, survey):
    bad = survey.columns[~survey.in_order]
    inner = made.defects[((made.defects > 15) & (made.defects < np.array(made.frame.shape) - 15)).all(axis=1)]
    found = [min(np.hypot(y - p, x - q) for p, q in bad) < 3 for y, x in inner]
    assert np.mean(found) > 0.95
    known = np.concatenate([made.defects, made.places["hole"]])
    far = [min(np.hypot(y - p, x - q) for p, q in known) > 1.5 * made.period_px for y, x in survey.columns]
    assert survey.in_order[far].mean() > 0.99
    assert survey.hole[tuple(np.round(made.places["hole"]).astype(int).T)].all()


# What is done to images, to positions (n, 2) in a frame of this shape, to the corner of a window.
TURNS = {
    "upside down": (
        lambda image: image[..., ::-1, :],
        lambda at, shape: at * (-1, 1) + (shape[0] - 1, 0),
        lambda corner, shape: (shape[0] - SIDE - corner[0], corner[1]),
    ),
    "left to right": (
        lambda image: image[..., ::-1],
        lambda at, shape: at * (1, -1) + (0, shape[1] - 1),
        lambda corner, shape: (corner[0], shape[1] - SIDE - corner[1]),
    ),
    "transposed": (
        lambda image: image.swapaxes(-1, -2),
        lambda at, _: at[:, ::-1],
        lambda corner, _: (corner[1], corner[0]),
    ),
}


@pytest.mark.parametrize("turn", TURNS)
def test_the_ranking_does_not_depend_on_how_the_frame_lies(made, survey, turn):
    turned, _, corner = TURNS[turn]
    frame, maps = (np.ascontiguousarray(turned(image)) for image in (made.frame, survey.maps))
    other = survey_frame(frame, maps, CLASSES, THRESHOLD, made.period_px)
    expected = {corner(r.corner, survey.shape): r.score for r in rank_regions(survey, SIDE, VACANCY, 30)}
    found = {r.corner: r.score for r in rank_regions(other, SIDE, VACANCY, 30)}
    assert list(found) == list(expected)
    assert list(found.values()) == pytest.approx(list(expected.values()), abs=0.02)


@pytest.mark.parametrize("turn", TURNS)
def test_nor_does_that_of_clean_windows(survey, turn):
    turned, moved, corner = TURNS[turn]
    # As in life, no two windows are equally good.
    survey = replace(survey, doubt=0.3 * np.random.default_rng(0).random(len(survey.columns)))
    objects = survey.detections.objects
    there = Objects(moved(objects.positions, survey.shape), objects.scores, turned(objects.regions))
    other = replace(
        survey,
        maps=turned(survey.maps),
        hole=turned(survey.hole),
        columns=moved(survey.columns, survey.shape),
        detections=replace(survey.detections, objects=there),
    )
    expected = [corner(r.corner, survey.shape) for r in rank_regions(survey, SIDE, None, 6)]
    assert len(expected) >= 2
    assert [r.corner for r in rank_regions(other, SIDE, None, 6)] == expected


def test_where_nothing_is_to_be_had_the_list_is_empty(perfect):
    bare = surveyed(perfect, {})
    assert rank_regions(bare, SIDE, VACANCY, 5) == []
    at_edge = surveyed(perfect, {"sulphur_vacancy": [column_near(bare, 20, 150)]})
    assert len(at_edge.detections.kinds) == 1
    assert rank_regions(at_edge, SIDE, VACANCY, 5) == []
    many = [column_near(bare, y, x) for y in range(15, 300, 30) for x in range(15, 360, 30)]
    assert rank_regions(surveyed(perfect, {"molybdenum": many}), SIDE, None, 5) == []
    whole = rank_regions(bare, 300, None, 5)
    assert [region.corner[0] for region in whole] == [0]


def test_a_frame_without_lattice_is_refused(made):
    noise = np.random.default_rng(0).poisson(9, made.frame.shape).astype(np.float32)
    with pytest.raises(InputError, match="shows no lattice"):
        survey_frame(noise, maps_of(made, {}), CLASSES, THRESHOLD, made.period_px)


def test_a_frame_of_hardly_more_than_two_lattice_planes_is_no_failure(survey):
    bare = replace(survey, columns=survey.columns[:0], in_order=survey.in_order[:0], doubt=survey.doubt[:0])
    assert rank_regions(bare, SIDE, VACANCY, 5) == []
    assert rank_regions(bare, 40, None, 5) == []
