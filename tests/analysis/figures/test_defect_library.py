from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

SIDE = 21


def kind(number, name, value, count=6, examples=6, sublattice="A", step_nm=0.02):
    """A kind whose mean image is of one value everywhere but in a corner."""
    mean = np.full((SIDE, SIDE), value, np.float32)
    mean[0, 0] = 0
    shown = np.repeat(mean[None], examples, axis=0)
    return SimpleNamespace(
        number=number, name=name, sublattice=sublattice, count=count, mean=mean, spread=np.full_like(mean, 0.5),
        examples=shown, step_px=1.0, step_nm=step_nm,
    )  # fmt: skip


def table(**ratios):
    return pd.DataFrame(
        [(name, ratio) for name, of_kind in ratios.items() for ratio in of_kind], columns=["kind", "ratio"]
    )


COLUMNS = 1 + 2 + 6 + 1


def rows_of(figure):
    return np.array(figure.axes).reshape(-1, COLUMNS)


def test_all_kinds_are_shown_on_one_scale_of_greys(shown):
    kinds = [kind(0, "dark", -2), kind(1, "bright", 3)]
    figure = shown("defect_library", kinds, table(dark=[0.2], bright=[1.5]))
    limits = set()
    for panels, one in zip(rows_of(figure), kinds, strict=True):
        for panel in [panels[1], *panels[3:9]]:
            (image,) = panel.get_images()
            limits.add(image.get_clim())
            assert (image.get_array() == one.mean).all()
        assert panels[2].get_images()[0].get_array().max() == 0.5
    assert limits == {(-2, 3)}


def test_a_row_says_name_count_and_sublattice(shown):
    figure = shown("defect_library", [kind(0, "vacancy", -2, 1234), kind(1, "dirt", 3, 1, sublattice="")], table())
    said = [[text.get_text() for text in panels[0].texts] for panels in rows_of(figure)]
    assert said == [["vacancy", "1,234 defects\nsublattice A"], ["dirt", "1 defect\noff the lattice"]]


def test_the_histogram_has_every_defect_whose_ratio_is_known(shown):
    ratios = [*np.random.default_rng(0).normal(0.5, 0.1, 300), 40.0, np.nan]
    figure = shown("defect_library", [kind(0, "vacancy", -2), kind(1, "dirt", 1)], table(vacancy=ratios))
    first, second = rows_of(figure)[:, -1]
    (stairs,) = first.patches
    assert stairs.get_data().values.sum() == 301
    assert first.texts[0].get_text() == f"{np.nanmean(ratios):.2f} ± {np.nanstd(ratios, ddof=1):.2f}"
    assert second.texts[0].get_text() == "not known"


def test_a_kind_with_few_examples_has_empty_places(shown):
    figure = shown("defect_library", [kind(0, "rare", -2, count=2, examples=2)], table(rare=[0.4]))
    (panels,) = rows_of(figure)
    assert [panel.axison for panel in panels[3:9]] == [True, True, False, False, False, False]
    assert panels[9].texts[0].get_text() == "0.40"  # of one there is no spread


@pytest.mark.parametrize(("step_nm", "bars"), [(0.02, ["0.1 nm"]), (None, [])])
def test_the_mean_has_a_scale_bar_where_the_scale_is_known(shown, step_nm, bars):
    (panels,) = rows_of(shown("defect_library", [kind(0, "a", 1, step_nm=step_nm)], table(a=[1.0])))
    assert [text.get_text() for text in panels[1].texts] == bars


def test_without_kinds_it_says_so(shown, said):
    assert said(shown("defect_library", [], table())).startswith("no kinds of defects")
