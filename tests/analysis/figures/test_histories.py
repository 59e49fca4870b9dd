"""Figures of what becomes of defects show what the tables say."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex

from analysis.figures.panels import kind_style
from analysis.figures.transition_matrix import rounded

KINDS = ["molybdenum", "vacancy"]
COUNTS = ["movie", "frame", "time_s", "kind", "count", "area_nm2", "area_px"]
TRANSITIONS = ["movie", "process", "from", "to", "events", "at_risk", "probability", "low", "high"]
DWELL = [
    "movie",
    "kind",
    "ends",
    "frames_at_risk",
    "mean_frames",
    "low_frames",
    "high_frames",
    "mean_s",
    "low_s",
    "high_s",
]
DIFFUSION = ["movie", "kind", "tracks", "steps", "moves", "coefficient_nm2_s", "low_nm2_s", "high_nm2_s"]
DISPLACEMENTS = ["movie", "kind", "lag_frames", "lag_s", "msd_nm2", "low_nm2", "high_nm2", "pairs"]
NOT_KNOWN = float("nan")


def line_of(panel, label):
    (line,) = [line for line in panel.get_lines() if line.get_label() == label]
    return line


def counts(interval_s=2.0, hole_nm2=0.5):
    rows = [("m", frame, frame * interval_s, "vacancy", 5 + frame, 1.0, 9.0) for frame in (0, 1, 3)]
    rows += [("m", 1, interval_s, "molybdenum", 7, 1.0, 9.0)]  # in the other frames there is none
    rows += [("m", frame, frame * interval_s, "hole", 1, frame * hole_nm2, 40.0 * frame) for frame in (0, 1, 3)]
    return pd.DataFrame(rows, columns=COUNTS)


def test_counts_are_those_of_the_table_and_none_where_there_is_no_row(shown):
    above, below = shown("counts_over_time", counts(), KINDS).axes
    assert list(line_of(above, "vacancy").get_xdata()) == [0, 2, 6]
    assert list(line_of(above, "vacancy").get_ydata()) == [5, 6, 8]
    assert list(line_of(above, "molybdenum").get_ydata()) == [0, 7, 0]
    assert to_hex(line_of(above, "molybdenum").get_color()) == kind_style(0).colour
    (area,) = below.get_lines()
    assert list(area.get_ydata()) == [0, 0.5, 1.5]
    assert (below.get_ylabel(), below.get_xlabel()) == ("area of holes, nm²", "time, s")


def test_without_scales_counts_are_over_frames_and_holes_in_pixels(shown):
    above, below = shown("counts_over_time", counts(NOT_KNOWN, NOT_KNOWN), KINDS).axes
    assert list(line_of(above, "vacancy").get_xdata()) == [0, 1, 3]
    assert list(below.get_lines()[0].get_ydata()) == [0, 40, 120]
    assert (below.get_ylabel(), below.get_xlabel()) == ("area of holes, px²", "frame")


def test_without_holes_there_is_no_panel_of_their_area(shown):
    table = counts()
    assert len(shown("counts_over_time", table[table["kind"] != "hole"], KINDS).axes) == 1


def test_many_kinds_do_not_crowd_one_panel(shown):
    rows = [("m", frame, frame, f"kind {number}", number, 0.0, 0.0) for frame in (0, 1) for number in range(13)]
    panels = shown("counts_over_time", pd.DataFrame(rows, columns=COUNTS), []).axes
    drawn = [line.get_label() for panel in panels for line in panel.get_lines()]
    assert sorted(drawn) == sorted({row[3] for row in rows})
    assert max(len(panel.get_lines()) for panel in panels) <= 6


def transitions(*rows, process="column"):
    """Rows of from, to, events, at_risk; the interval is ten per cent to each side."""
    whole = [("m", process, *row, row[2] / row[3], 0.9 * row[2] / row[3], 1.1 * row[2] / row[3]) for row in rows]
    return pd.DataFrame(whole, columns=TRANSITIONS)


STEPS = transitions(
    ("vacancy", "vacancy", 60, 100), ("vacancy", "perfect B", 36, 100), ("vacancy", "hole", 4, 100),
    ("perfect B", "perfect B", 776, 800), ("perfect B", "vacancy", 24, 800), ("perfect B", "hole", 0, 800),
)  # fmt: skip


def test_a_field_of_the_matrix_says_probability_interval_and_events(shown):
    (panel,) = shown("transition_matrix", STEPS).axes
    fields = {}
    for text in panel.texts:
        x, y = text.get_position()
        fields.setdefault((round(y), round(x)), []).append(text)
    said = {place: [text.get_text() for text in texts] for place, texts in fields.items()}
    names = [label.get_text() for label in panel.get_yticklabels()]
    assert names == ["vacancy", "perfect B", "hole"]
    assert said[0, 1] == ["0.36", "0.32 to 0.40\n36"]
    assert said[1, 0] == ["0.030", "0.027 to 0.033\n24"]
    assert said[1, 2][0] == "0"
    assert not {(2, 0), (2, 1), (2, 2)} & set(said)  # nothing is known of what becomes of holes
    pale = {place for place, texts in fields.items() if texts[0].get_color() == "0.55"}
    assert pale == {(0, 2), (1, 2)}


def test_each_process_has_a_matrix(shown):
    both = pd.concat([STEPS, transitions(("Mo", "Mo + 1", 9, 90), ("Mo + 1", "Mo", 8, 20), process="complex")])
    titles = [panel.get_title() for panel in shown("transition_matrix", both).axes]
    assert titles == ["columns of atoms", "dopants and bound vacancies"]


@pytest.mark.parametrize("states", [3, 12])
def test_in_a_matrix_no_text_leaves_its_field(shown, states):
    names = [f"state {number} with a long name" for number in range(states)]
    steps = [(a, b, 123, 456_789) if a != b else (a, b, 400_123, 456_789) for a in names for b in names]
    figure = shown("transition_matrix", transitions(*steps))
    (panel,) = figure.axes
    for text in panel.texts:
        box = text.get_window_extent().transformed(panel.transData.inverted())
        x, y = (round(at) for at in text.get_position())
        assert x - 0.5 < box.x0 < box.x1 < x + 0.5
        assert y - 0.5 < min(box.y0, box.y1) < max(box.y0, box.y1) < y + 0.5
    labels = [label.get_window_extent() for label in panel.get_yticklabels()]
    assert not any(box.count_overlaps(labels[number + 1 :]) for number, box in enumerate(labels))


@pytest.mark.parametrize(
    ("probability", "said"),
    [(0, "0"), (0.00042, "4e-4"), (0.0042, "0.0042"), (0.04, "0.040"), (0.963, "0.96"), (0.9934, "0.993"),
     (0.99999, "> 0.999"), (1.0, "1"), (NOT_KNOWN, "?")],
)  # fmt: skip
def test_probabilities_are_rounded_to_what_can_be_read(probability, said):
    assert rounded(probability) == said


def test_the_pathways_are_the_frequent_transitions(shown):
    figure = shown("pathways", STEPS)
    (panel,) = figure.axes
    said = {text.get_text() for text in panel.texts}
    assert said == {"0.36", "0.030", "vacancy\n100 frames", "perfect B\n800 frames"}
    assert panel.get_title() == "columns of atoms\nleft out: 1 rare edge"
    busy, rare = (patch.get_linewidth() for patch in panel.patches)
    assert busy > rare


def overlaps(figure):
    """Pairs of labels, and of labels and nodes, that lie on one another."""
    pairs = []
    for panel in figure.axes:
        texts = [(text.get_text(), text.get_window_extent()) for text in panel.texts]
        nodes = [("node", line.get_window_extent()) for line in panel.get_lines()]
        boxes = texts + nodes
        pairs += [
            (name, other)
            for number, (name, box) in enumerate(boxes)
            for other, second in boxes[number + 1 :]
            if box.count_overlaps([second])
        ]
    return pairs


@pytest.mark.parametrize("states", [2, 3, 6, 12])
def test_no_label_of_the_pathways_lies_on_another_or_on_a_node(shown, states):
    names = [f"a state with a long name {number}" for number in range(states)]
    steps = [(a, b, 10 + 7 * i * j, 100_000) for i, a in enumerate(names) for j, b in enumerate(names) if a != b]
    figure = shown("pathways", transitions(*steps))
    assert overlaps(figure) == []
    (panel,) = figure.axes
    assert len(panel.patches) == states * (states - 1)
    missing = states * states - len(panel.texts)
    assert ("no room for" in panel.get_title()) == (missing > 0)


@pytest.mark.parametrize(
    ("figure", "words"), [("transition_matrix", "no transitions"), ("pathways", "no transition was seen 5 times")]
)
def test_without_transitions_it_says_so(shown, said, figure, words):
    assert words in said(shown(figure, transitions()))
    few = shown("pathways", transitions(("a", "b", 4, 9)))
    assert "no transition was seen 5 times" in said(few)


def dwell_row(kind, ends, mean, interval_s=2.0):
    times = [mean, 0.8 * mean, 1.2 * mean]
    return ("m", kind, ends, ends * mean, *times, *(interval_s * time for time in times))


def test_the_survival_is_that_of_kaplan_and_meier(shown):
    durations = {"vacancy": (np.array([1, 2, 2, 4]), np.array([False, False, True, False]))}
    table = pd.DataFrame([dwell_row("vacancy", 3, 3.0)], columns=DWELL)
    (panel,) = shown("dwell_times", durations, table, KINDS).axes
    seen, fit = line_of(panel, "seen"), line_of(panel, "exponential")
    # Of four one ends at 1 frame, of three one at 2, and the one left at 4; a frame takes 2 s.
    assert list(seen.get_xdata()) == [0, 2, 4, 8]
    assert list(seen.get_ydata()) == pytest.approx([1, 3 / 4, 3 / 4 * 2 / 3, 0])
    assert list(line_of(panel, "out of sight").get_xdata()) == [4]
    at = dict(zip(fit.get_xdata(), fit.get_ydata(), strict=True))
    assert np.interp(2, list(at), list(at.values())) == pytest.approx(2 / 3, abs=1e-3)  # one of three ends in a frame
    assert np.interp(4, list(at), list(at.values())) == pytest.approx(4 / 9, abs=1e-3)
    assert panel.get_title() == "vacancy\n6 (4.8 to 7.2) s, 3 ends"


def test_the_exponential_lies_in_the_interval_of_what_it_was_drawn_from(shown):
    rng = np.random.default_rng(1)
    life, followed = rng.geometric(0.1, 2000), rng.integers(1, 60, 2000)
    length, censored = np.minimum(life, followed), life > followed
    table = pd.DataFrame([dwell_row("vacancy", int((~censored).sum()), 10.0, NOT_KNOWN)], columns=DWELL)
    figure = shown("dwell_times", {"vacancy": (length, censored)}, table, KINDS)
    (panel,) = figure.axes
    seen = line_of(panel, "seen")
    expected = 0.9 ** np.asarray(seen.get_xdata())
    assert np.abs(seen.get_ydata() - expected).max() < 0.05
    assert figure.get_supxlabel().endswith("frames")


def test_kinds_that_never_end_or_were_seen_once_are_drawn(shown):
    durations = {
        "molybdenum": (np.array([5, 9]), np.array([True, True])),
        "vacancy": (np.array([1]), np.array([False])),
        "dirt": (np.array([], int), np.array([], bool)),
    }
    table = pd.DataFrame([("m", "molybdenum", 0, 14, *[NOT_KNOWN] * 6), dwell_row("vacancy", 1, 1.0)], columns=DWELL)
    panels = shown("dwell_times", durations, table, KINDS).axes
    assert [panel.get_title() for panel in panels] == [
        "molybdenum\nnone was seen to end",
        "vacancy\n2 (1.6 to 2.4) s, 1 end",
    ]
    assert list(line_of(panels[0], "seen").get_ydata()) == [1, 1, 1]


def test_without_durations_it_says_so(shown, said):
    assert "no dwell times" in said(shown("dwell_times", {}, pd.DataFrame(columns=DWELL), KINDS))


def test_the_diffusion_is_a_line_of_slope_4_d(shown):
    curve = [("m", "vacancy", lag, 2.0 * lag, 0.1 * lag, 0.09 * lag, 0.12 * lag, 50) for lag in (1, 2, 3)]
    fits = [("m", "vacancy", 9, 90, 7, 0.0125, 0.01, 0.02)]
    (panel,) = shown(
        "diffusion", pd.DataFrame(curve, columns=DISPLACEMENTS), pd.DataFrame(fits, columns=DIFFUSION), KINDS
    ).axes
    (bars,) = panel.containers
    points, _, (segments,) = bars.lines
    assert list(points.get_xdata()) == [2, 4, 6]
    assert list(points.get_ydata()) == pytest.approx([0.1, 0.2, 0.3])
    assert np.array(segments.get_segments())[:, :, 1] == pytest.approx(
        np.array([(0.09, 0.12), (0.18, 0.24), (0.27, 0.36)])
    )
    x, y = line_of(panel, "4 D t").get_data()
    assert (y[1] - y[0]) / (x[1] - x[0]) == pytest.approx(0.05)
    assert panel.get_title() == "vacancy\nD = 0.013 (0.01 to 0.02) nm²/s\n7 moves of 9 tracks"


def test_without_a_frame_interval_the_displacement_is_over_frames(shown):
    curve = [("m", "vacancy", lag, NOT_KNOWN, 0.1, 0.1, 0.1, 5) for lag in (1, 2)]
    fits = [("m", "vacancy", 9, 90, 7, *[NOT_KNOWN] * 3)]
    figure = shown(
        "diffusion", pd.DataFrame(curve, columns=DISPLACEMENTS), pd.DataFrame(fits, columns=DIFFUSION), KINDS
    )
    assert figure.get_supxlabel() == "time between, frames"
    assert "4 D t" not in [line.get_label() for line in figure.axes[0].get_lines()]


def test_without_displacements_the_diffusion_says_why(shown, said):
    none, fits = pd.DataFrame(columns=DISPLACEMENTS), pd.DataFrame(columns=DIFFUSION)
    assert said(shown("diffusion", none, fits, KINDS)) == "no diffusion: no defect was followed"
    in_pixels = pd.DataFrame([("m", "vacancy", 1, 1.0, *[NOT_KNOWN] * 3, 5)], columns=DISPLACEMENTS)
    assert "--pixel-size" in said(shown("diffusion", in_pixels, fits, KINDS))


def test_the_drift_is_in_nm_and_y_goes_down(shown, said):
    table = pd.DataFrame({"movie": "m", "frame": [0, 1, 3], "dy_px": [0.0, 2.0, 6.0], "dx_px": [0.0, -1.0, -2.0]})
    left, right, _ = shown("drift", table, 0.5).axes
    assert np.asarray(left.collections[0].get_offsets()) == pytest.approx(np.array([(0, 0), (-0.5, 1), (-1, 3)]))
    assert left.get_ylim()[0] > left.get_ylim()[1]
    assert list(line_of(right, "y").get_ydata()) == [0, 1, 3]
    assert list(line_of(right, "x").get_ydata()) == [0, -0.5, -1]
    in_pixels = shown("drift", table, None)
    assert in_pixels.axes[1].get_ylabel().endswith("px")
    assert "one frame only" in said(shown("drift", table[:1], 0.5))
