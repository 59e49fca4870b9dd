"""What can be shown of a run: what each figure shows, and why it or a table may not be there."""

from __future__ import annotations

from dataclasses import dataclass

NO_HISTORY = "This run has no histories: they need several frames of one movie, and defects in them."
NO_TIME = "Not known here: it needs the pixel size and the time between frames (--pixel-size, --frame-interval)."


@dataclass(frozen=True)
class Shown:
    """A figure: what it shows (its caption and its text for those who do not see it), and why there may be none."""

    caption: str
    nothing: str


FIGURES = {
    "defect_maps": Shown(
        "Frames as recorded, what is known of them, what the Fourier filter finds and what the network finds. White: "
        "rightly found; purple: found, but not there; orange: missed. Without truth all that was found is white.",
        "No frame could be drawn.",
    ),
    "confusion_matrix": Shown(
        "Rows: what each defect truly is. Columns: what it was taken for. The more lies on the diagonal, the better.",
        "No truth was given (--truth), so it is not known which defects were mistaken for which.",
    ),
    "defect_library": Shown(
        "The mean picture of each kind, its spread and some examples, all to the same scale of grey.",
        "No defects were found that could be grouped into kinds.",
    ),
    "surroundings": Shown(
        "Arrows: how far the neighbouring columns are displaced from their places in the perfect lattice, on average.",
        "No kind of defect was seen often enough to tell how its neighbours are displaced.",
    ),
    "counts_over_time": Shown(
        "How many defects of each kind there are in each frame, and the area of holes.", NO_HISTORY
    ),
    "drift": Shown("How far the sample has moved since the first frame, measured from the lattice itself.", NO_HISTORY),
    "transition_matrix": Shown(
        "How probable it is that what is in a row becomes, from one frame to the next, what is in a column.", NO_HISTORY
    ),
    "pathways": Shown(
        "The same as ways from kind to kind, with the probability of each step; what was seen rarely is left out.",
        NO_HISTORY,
    ),
    "dwell_times": Shown(
        "How long defects stay what they are: the share that is still the same after a time.", NO_HISTORY
    ),
    "diffusion": Shown(
        "How far defects get in a time: the mean square of their displacement, whose slope gives the diffusion "
        "coefficient.",
        NO_TIME,
    ),
    "search_history": Shown(
        "Each dot is a network that was trained and tested, the lower the better. The black line is the best so far.",
        "No network was evaluated.",
    ),
    "network": Shown(
        "The network that was chosen, from the frame on the left to the map of defects.", "No network was chosen."
    ),
    "genealogy": Shown(
        "The ancestors of the best network, and what changed from each to the next.", "Nothing was bred."
    ),
    "gene_importance": Shown("How much worse networks get where a gene is changed at random.", "It was not looked at."),
    "pareto_front": Shown(
        "How good networks are against how long they take for a frame. Those on the line are beaten by none in both.",
        "It was not looked at.",
    ),
    "predictor_payoff": Shown(
        "Whether the networks that were proposed by a predictor were better than those that were drawn at random.",
        "It was not looked at.",
    ),
    "worker_timeline": Shown("What each worker did when: gaps are time in which it waited.", "It was not recorded."),
}

TABLES = {
    "scores": "No truth was given (--truth), so it is not known how many defects were missed.",
    "kinds": FIGURES["defect_library"].nothing,
    "transitions": NO_HISTORY,
    "dwell_times": NO_HISTORY,
    "diffusion": NO_TIME,
}
FOLDERS = {"kinds": "library", "transitions": "histories", "dwell_times": "histories", "diffusion": "histories"}

# What lies beside the report, by pattern.
FILES = {
    "defects.csv": "every defect: frame, time, place, kind, probability, track",
    "scores.csv": "how many were found, missed and mistaken, frame by frame",
    "confusion.csv": "which class was taken for which",
    "maps.h5": "the network's map of probability for each frame",
    "maps*.tif": "the same for ImageJ, with its scale",
    "library/*.csv": "the kinds of defects",
    "library/*.h5": "the pictures of the kinds",
    "histories/*.csv": "drift, counts, transitions, times and diffusion",
    "figures/*.mp4": "the movie with its tracks",
    "figures/*.gif": "the same as a GIF",
    "detector.safetensors": "the network, to be used on other movies",
    "config.toml": "all settings of this run",
    "environment.json": "the versions of all that it was computed with",
    "evostem.log": "what the run said",
}
