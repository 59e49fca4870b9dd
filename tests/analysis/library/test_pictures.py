"""Mean, spread and examples gathered in parts, against those of all pictures at once."""

import itertools

import numpy as np
import pytest

from analysis.library.cutouts import SIDE
from analysis.library.kinds import Kind, kinds_table, load_kinds, save_kinds
from analysis.library.pictures import EXAMPLES, KindPictures


def gathered(parts):
    rng = np.random.default_rng(0)
    images = rng.normal(2, 1, (sum(parts), SIDE, SIDE)).astype(np.float32)
    ratios = np.where(rng.random(len(images)) < 0.2, np.nan, rng.normal(0.5, 0.1, len(images)))
    classes = rng.integers(1, 4, len(images))
    seen, ends = KindPictures(rng), np.cumsum([0, *parts])
    for start, end in itertools.pairwise(ends):
        seen.add(images[start:end], ratios[start:end], classes[start:end])
    return seen, images, ratios, classes


@pytest.mark.parametrize("parts", [(1,), (7,), (3, 0, 20, 1), (40, 40)])
def test_what_is_gathered_in_parts_is_that_of_all(parts):
    seen, images, ratios, classes = gathered(parts)
    assert seen.count == len(images)
    assert seen.mean() == pytest.approx(images.mean(axis=0), abs=1e-5)
    assert seen.spread() == pytest.approx(images.std(axis=0), abs=1e-3)
    known = ratios[np.isfinite(ratios)]
    assert seen.ratio() == pytest.approx((known.mean(), known.std()), abs=1e-6)
    assert [seen.classes[number] for number in (1, 2, 3)] == [(classes == number).sum() for number in (1, 2, 3)]
    examples = seen.examples()
    assert len(examples) == min(EXAMPLES, len(images))
    assert all((example == images).all(axis=(1, 2)).any() for example in examples)


def test_nothing_is_gathered():
    seen = KindPictures(np.random.default_rng(0))
    assert (seen.mean() == 0).all()
    assert (seen.spread() == 0).all()
    assert seen.examples().shape == (0, SIDE, SIDE)
    assert np.isnan(seen.ratio()).all()


def test_kinds_are_kept_in_the_order_of_their_numbers(tmp_path):
    rng = np.random.default_rng(0)

    def kind(number):
        picture = rng.normal(size=(SIDE, SIDE)).astype(np.float32)
        examples = rng.normal(size=(number % 3, SIDE, SIDE)).astype(np.float32)
        size, ratio = (None, np.nan) if number % 2 else (0.1, 0.5)
        return Kind(
            number, f"kind {number}", "A", number, picture, picture + 1, examples, 1.5, size, ratio, 0.1, "x", 0.7,
            number == 3,
        )  # fmt: skip

    kinds = [kind(number) for number in range(1, 13)]  # 10 comes before 2 by its letters
    save_kinds(kinds, tmp_path / "library.h5")
    kept = load_kinds(tmp_path / "library.h5")
    for one, stored in zip(kinds, kept, strict=True):
        for name, value in vars(one).items():
            np.testing.assert_equal(getattr(stored, name), value)
    table = kinds_table(kinds)
    assert table["number"].tolist() == list(range(1, 13))
    assert table["kind"].tolist() == [one.name for one in kinds]
    assert len(kinds_table([])) == 0
