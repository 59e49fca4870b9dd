"""The library of simulated movies against what every defect is."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from analysis.library.build import build_library, kinds_of
from analysis.library.cutouts import PER_PERIOD, SIDE
from analysis.library.names import Decisions, load_decisions, save_decisions
from analysis.library.places import EXTENDED, OFF_LATTICE, place_name, placed
from analysis.results import FrameResult, MovieFacts
from tests.analysis.library.movies import CLASSES, Movie, called, found_at, looked_at

DOPANT, VACANCY, PAIR_VACANCY, HOLE = CLASSES
PLACES = {DOPANT: "A", VACANCY: "B", PAIR_VACANCY: "B", HOLE: ""}


def library_of(frames, labelled, facts, decisions=None):
    movies = {"one": facts} if isinstance(facts, MovieFacts) else facts
    return build_library(lambda: iter(frames), labelled, movies, CLASSES, decisions or Decisions())


def told(library, movie: Movie):
    """The names of all defects of a movie, and their sites."""
    numbers = np.concatenate([kinds_of(frame, library.groups, library.numbers) for frame in movie.frames])
    return np.array(library.names, dtype=object)[numbers - 1], np.concatenate(movie.sites)


@pytest.fixture(scope="module")
def library(movie):
    """Labelled is the first frame; the network calls all defects of all frames by the name of the last class."""
    return library_of(called(movie.frames, len(CLASSES)), movie.frames[:1], movie.facts)


def common(names, sites, site):
    values, counts = np.unique(names[sites == site].astype(str), return_counts=True)
    return values[counts.argmax()]


def test_kinds_are_the_true_sites(library, movie):
    names, sites = told(library, movie)
    assert adjusted_rand_score(sites.astype(str), names.astype(str)) >= 0.9
    assert len({common(names, sites, site) for site in (DOPANT, VACANCY, PAIR_VACANCY)}) == 3


def test_kinds_are_named_after_the_labelled_frames(library, movie):
    names, sites = told(library, movie)
    for site in (DOPANT, VACANCY, PAIR_VACANCY):
        assert common(names, sites, site).startswith(site)
        kind = library.kinds[library.names.index(common(names, sites, site))]
        assert (kind.class_name, kind.class_share) == (HOLE, 1.0)  # what the network calls them is told beside


def test_without_labelled_frames_the_network_names_them(movie):
    names, sites = told(library_of(movie.frames, [], movie.facts), movie)
    for site in (DOPANT, VACANCY, PAIR_VACANCY):
        assert common(names, sites, site).startswith(site)


def test_what_is_told_of_kinds(library, movie):
    names, sites = told(library, movie)
    assert [kind.number for kind in library.kinds] == list(range(1, len(library.kinds) + 1))
    assert len(set(library.names)) == len(library.names)
    for kind in library.kinds:
        assert kind.count == (names == kind.name).sum()
        assert kind.mean.shape == kind.spread.shape == (SIDE, SIDE)
        assert kind.step_px == pytest.approx(movie.facts.cell.lattice.period_px / PER_PERIOD)
        assert kind.step_nm == pytest.approx(kind.step_px * movie.facts.pixel_size_nm)
    assert sum(kind.count for kind in library.kinds) == len(sites)
    for site in (DOPANT, VACANCY, PAIR_VACANCY):
        assert library.kinds[library.names.index(common(names, sites, site))].sublattice == PLACES[site]
    ratio = {
        site: library.kinds[library.names.index(common(names, sites, site))].ratio for site in PLACES if site != HOLE
    }
    assert ratio[PAIR_VACANCY] < 0.25 < ratio[VACANCY] < 0.75
    assert 0.2 < ratio[DOPANT] < 0.7
    places = [kind.sublattice for kind in library.kinds if kind.sublattice]
    assert places == sorted(places)
    of_one = [kind.ratio for kind in library.kinds if kind.sublattice == "B"]
    assert of_one == sorted(of_one, reverse=True)


def test_the_same_frames_give_the_same_library(library, movie):
    again = library_of(called(movie.frames, len(CLASSES)), movie.frames[:1], movie.facts)
    assert again.names == library.names
    for one, other in zip(library.kinds, again.kinds, strict=True):
        assert (one.mean == other.mean).all()
        assert (one.examples == other.examples).all()


def test_movies_that_are_turned_share_kinds(movie, other):
    facts = {"one": movie.facts, "two": other.facts}
    library = library_of([*movie.frames, *other.frames], movie.frames[:1], facts)
    names, sites = (np.concatenate(part) for part in zip(told(library, movie), told(library, other), strict=True))
    assert adjusted_rand_score(sites.astype(str), names.astype(str)) >= 0.9
    for site in (DOPANT, VACANCY, PAIR_VACANCY):
        assert common(*told(library, movie), site) == common(*told(library, other), site)


def test_a_name_is_found_again_in_another_movie(library, movie, other, tmp_path):
    names, sites = told(library, movie)
    number = library.names.index(common(names, sites, VACANCY)) + 1
    decisions = Decisions()
    for one in library.signatures[number]:
        decisions.name(one, "my own name")
    save_decisions(decisions, tmp_path / "names.json")
    again = library_of(other.frames, other.frames[:1], {"two": other.facts}, load_decisions(tmp_path / "names.json"))
    names, sites = told(again, other)
    assert common(names, sites, VACANCY) == "my own name"
    assert (sites[names == "my own name"] == VACANCY).mean() > 0.95


def test_kinds_of_one_name_are_one(library, movie):
    names, sites = told(library, movie)
    decisions = Decisions()
    for site in (VACANCY, PAIR_VACANCY):
        for one in library.signatures[library.names.index(common(names, sites, site)) + 1]:
            decisions.name(one, "sulphur is missing")
    merged = library_of(movie.frames, movie.frames[:1], movie.facts, decisions)
    names, sites = told(merged, movie)
    assert merged.names.count("sulphur is missing") == 1
    assert common(names, sites, VACANCY) == common(names, sites, PAIR_VACANCY) == "sulphur is missing"
    number = merged.names.index("sulphur is missing") + 1
    decisions.split(merged.signatures[number])
    parted, sites = told(library_of(movie.frames, movie.frames[:1], movie.facts, decisions), movie)
    assert common(parted, sites, VACANCY) != common(parted, sites, PAIR_VACANCY)
    assert "sulphur is missing" not in parted


def test_a_kind_that_is_to_be_split_is_two(library, movie):
    names, sites = told(library, movie)
    number = library.names.index(common(names, sites, DOPANT)) + 1
    decisions = Decisions()
    decisions.split(library.signatures[number][:1])
    split = library_of(called(movie.frames, len(CLASSES)), movie.frames[:1], movie.facts, decisions)
    assert len(split.kinds) == len(library.kinds) + 1
    assert len(set(split.names)) == len(split.names)
    untouched = {kind.count for kind in library.kinds if kind.number != number}
    assert untouched <= {kind.count for kind in split.kinds}


def test_a_hole_is_a_kind_apart(with_hole):
    library = library_of(with_hole.frames, with_hole.frames[:1], {"hole": with_hole.facts})
    names, sites = told(library, with_hole)
    assert HOLE in sites
    assert len(set(names[sites == HOLE])) == 1
    assert not set(names[sites == HOLE]) & set(names[sites != HOLE])
    assert names[sites == HOLE][0].startswith(HOLE)
    for frame, of in zip(with_hole.frames, with_hole.sites, strict=True):
        assert ((placed(frame).place == EXTENDED) == (of == HOLE)).all()


def only(frame: FrameResult, chosen) -> FrameResult:
    """A frame with some of its defects."""
    network, views = frame.network, frame.views
    found = replace(
        network,
        objects=network.objects.keep(chosen),
        **{name: getattr(network, name)[chosen] for name in ("kinds", "areas_px", "mean_probability")},
    )
    parts = {name: getattr(views, name)[chosen] for name in ("column", "images", "alone")}
    return replace(frame, network=found, views=replace(views, **parts))


def test_only_extended_ones(with_hole):
    pairs = zip(with_hole.frames, with_hole.sites, strict=True)
    frames = [only(frame, sites == HOLE) for frame, sites in pairs]
    library = library_of(frames, [], {"hole": with_hole.facts})
    assert library.names == [HOLE]
    assert library.kinds[0].sublattice == ""
    assert np.isnan(library.kinds[0].ratio)
    assert library.kinds[0].count == sum((sites == HOLE).sum() for sites in with_hole.sites)
    assert library.kinds[0].class_name == HOLE


def test_one_defect(movie):
    frames = [only(movie.frames[0], np.arange(len(movie.sites[0])) == 0)]
    library = library_of(frames, [], movie.facts)
    assert library.names == [movie.sites[0][0]]
    assert [kind.count for kind in library.kinds] == [1]


def test_no_defects(movie):
    frames = [only(frame, np.zeros(len(frame.network), bool)) for frame in movie.frames]
    assert library_of(frames, movie.frames[:1], movie.facts) is None
    assert library_of([], [], movie.facts) is None
    assert library_of([FrameResult("one", 0, error="is damaged")], [], movie.facts) is None


def test_frames_that_could_not_be_read_are_left_out(library, movie):
    broken = [FrameResult("one", 90, error="is damaged"), *called(movie.frames, len(CLASSES))]
    again = library_of(broken, movie.frames[:1], movie.facts)
    assert again.names == library.names
    assert [kind.count for kind in again.kinds] == [kind.count for kind in library.kinds]


@pytest.mark.parametrize("count", [1, 5, 40])
def test_no_lattice_at_all(count):
    rng = np.random.default_rng(0)
    frame = rng.poisson(100, (96, 96)).astype(float)
    result = looked_at("one", 0, frame, found_at(rng.uniform(5, 90, (count, 2)), [2] * count, frame.shape), None, 8.0)
    assert result.columns is None
    library = library_of([result], [], MovieFacts(None, None, None))
    assert all(VACANCY in name for name in library.names)
    assert sum(kind.count for kind in library.kinds) == count
    assert all(kind.sublattice == "" and np.isnan(kind.ratio) and kind.step_nm is None for kind in library.kinds)
    assert library.kinds[0].step_px == pytest.approx(8 / PER_PERIOD)
    assert (placed(result).place == OFF_LATTICE).all()


def test_what_is_no_defect_is_called_perfect(movie):
    """The network sees defects where there are perfect columns."""
    frames = []
    for frame in movie.frames:
        at = frame.columns.positions[frame.views.reference]
        views = frame.views
        seen = replace(views, column=views.reference, images=views.reference_images, alone=views.reference_alone)
        found = found_at(at, [2] * len(at), frame.network.objects.regions.shape)
        frames.append(replace(frame, network=found, views=seen))
    library = library_of(frames, [], movie.facts)
    assert library.names == ["perfect A", "perfect B"]
    assert all(kind.perfect and kind.ratio == pytest.approx(1, abs=0.05) for kind in library.kinds)


def test_place_names():
    assert [place_name(place) for place in (0, 1, 2, OFF_LATTICE, EXTENDED)] == ["A", "B", "C", "", ""]


def test_what_nobody_calls_anything_is_odd(movie):
    """Many dopants stand out by their intensity alone, but one vacancy only, which is no kind."""
    dopants = [
        only(called([frame], 0)[0], sites == DOPANT) for frame, sites in zip(movie.frames, movie.sites, strict=True)
    ]
    assert sum(len(frame.network) for frame in dopants) >= 3
    library = library_of(dopants, [], movie.facts)
    assert all(kind.name.startswith("odd column (A 0.") for kind in library.kinds)
    assert {(kind.class_name, kind.class_share) for kind in library.kinds} == {("", 0.0)}
    vacancies = np.flatnonzero(movie.sites[0] == VACANCY)[:1]
    one = [
        only(frame, np.isin(np.arange(len(sites)), vacancies))
        for frame, sites in zip(called(movie.frames[:1], 0), movie.sites, strict=False)
    ]
    assert library_of(one, [], movie.facts).names == ["odd column (B)"]
