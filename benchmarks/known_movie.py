"""How right libraries and histories are: a simulated movie whose truth is known, through a whole run.

    python -m benchmarks.known_movie [--seed 1] [--dose 8000] [--frames 60] [--runs runs]

Simulates the movie, learns from its first frame with the true labels, and compares the run's tables with the truth:
how many identities are kept, transition probabilities, diffusion coefficients, kinds and species, counts and hole area.
Given again, it compares what is there.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.optimize import linear_sum_assignment
from scipy.spatial import cKDTree

from analysis.run_results import RunResults
from data_prep.simulate import MovieSettings, simulate_movie
from data_prep.simulate.settings import HOSTS, NAMES, dopant_transitions, vacancy_transitions
from workflow.run import start

MATCH_PX = 3.0
EDGE_PERIODS = 2.0  # what is nearer to the frame's edge is not compared
EVENTS = 50
SEARCH = {"population": 12, "evaluations": 24}
TUNING = {"random_sets": 6, "chosen_sets": 6}


def matched(truth: pd.DataFrame, found: pd.DataFrame) -> pd.DataFrame:
    """Rows of the truth (points alone) with the kind, track and finder of what was found there, one to one."""
    parts = []
    for frame, true in truth.groupby("frame"):
        here = found[found["frame"] == frame]
        if len(here):
            places, true_places = here[["y_px", "x_px"]].to_numpy(), true[["y_px", "x_px"]].to_numpy()
            distance, nearest = cKDTree(places).query(true_places)
            back = cKDTree(true_places).query(places)[1]
            near = (distance <= MATCH_PX) & (back[nearest] == np.arange(len(true)))
            columns = here[["kind", "track", "found_by"]].iloc[nearest[near]].reset_index(drop=True)
            parts.append(pd.concat([true[near].reset_index(drop=True), columns], axis=1))
    return pd.concat(parts, ignore_index=True)


def unmatched(found: pd.DataFrame, truth: pd.DataFrame) -> int:
    """How many rows found are at nothing in the truth."""
    count = 0
    for frame, here in found.groupby("frame"):
        true = truth[truth["frame"] == frame]
        distance, _ = cKDTree(true[["y_px", "x_px"]]).query(here[["y_px", "x_px"]])
        count += int((distance > MATCH_PX).sum())
    return count


def central(table: pd.DataFrame, settings: MovieSettings) -> pd.DataFrame:
    """Rows away from the frame's edge."""
    edge = EDGE_PERIODS * settings.constant_px * np.sqrt(3) / 2
    last = np.array(settings.size_px) - 1 - edge
    places = table[["y_px", "x_px"]].to_numpy()
    return table[((places >= edge) & (places <= last)).all(axis=1)]


def identities(pairs: pd.DataFrame, true: int, extra: int) -> dict[str, float]:
    """How well tracks keep identities: steps, whole identities, and IDF1 (Ristani et al., ECCV 2016 workshops)."""
    shared = pd.crosstab(pairs["identity"], pairs["track"]).to_numpy()
    right = shared[linear_sum_assignment(-shared)].sum()
    ordered = pairs.sort_values(["identity", "frame"])
    step = (ordered["identity"].diff() == 0) & (ordered["frame"].diff() == 1)
    lengths = pairs.groupby("identity")["frame"].size()
    whole = pairs.groupby("identity")["track"].nunique()[lengths > 1] == 1
    return {
        "steps in the same track": float((ordered["track"].diff() == 0)[step].mean()),
        "identities in one track": float(whole.mean()),
        "IDF1": float(2 * right / (true + len(pairs) + extra)),
    }


def true_transitions(settings: MovieSettings) -> dict[tuple[str, str, str], float]:
    """Probabilities per frame by which the movie was made, by process and sites."""
    _, pair, dopant, vacancy, none, _ = settings.sites
    states = (pair, vacancy, none)
    table = {
        ("column", a, b): p
        for a, row in zip(states, vacancy_transitions(settings), strict=True)
        for b, p in zip(states, row, strict=True)
    }
    bound = [dopant, *(f"{dopant} + {arm}" for arm in (1, 2, 3))]
    table |= {
        ("complex", a, b): p
        for a, row in zip(bound, dopant_transitions(settings), strict=True)
        for b, p in zip(bound, row, strict=True)
    }
    metal = settings.sites[0]
    return table | {("column", dopant, dopant): 1.0, ("column", metal, metal): 1.0}


def compare_transitions(told: pd.DataFrame, site_of: dict[str, str], settings: MovieSettings) -> pd.DataFrame:
    """Transitions of at least `EVENTS` events with the probability by which the movie was made."""
    known = true_transitions(settings)

    def site(name: str) -> str:
        kind, plus, arm = name.partition(" + ")
        return site_of.get(kind, kind) + plus + arm

    rows = told[told["events"] >= EVENTS].copy()
    rows["truth"] = [known.get((p, site(a), site(b))) for p, a, b in rows[["process", "from", "to"]].to_numpy()]
    rows["within"] = (rows["low"] <= rows["truth"]) & (rows["truth"] <= rows["high"])
    return rows[["from", "to", "events", "probability", "low", "high", "truth", "within"]]


def true_diffusion(truth: pd.DataFrame, settings: MovieSettings) -> float:
    """Diffusion coefficient of free single vacancies in nm2/s: from how many of them change their column.

    A vacancy in one of a dopant's own columns is bound and left out.
    """
    vacancy = settings.sites[3]
    host = HOSTS[settings.host]
    rows = truth.sort_values(["identity", "frame"])
    dopants = rows[rows["state"].notna()]
    beside = np.zeros(len(rows), bool)
    for frame, here in dopants.groupby("frame"):
        mine = np.flatnonzero((rows["frame"] == frame).to_numpy())
        distance, _ = cKDTree(here[["y_px", "x_px"]]).query(rows.iloc[mine][["y_px", "x_px"]])
        beside[mine] = distance < 0.8 * settings.constant_px
    free = rows[(rows["site"] == vacancy) & ~beside]
    step = (free["identity"].diff() == 0) & (free["frame"].diff() == 1)
    moved = (free["object"] != free["object"].shift()) & step
    return float(moved.sum() / step.sum() * host.constant_nm**2 / (4 * settings.frame_interval_s))


def main() -> None:
    """Make the movie and the run if they are not there, and compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--dose", type=float, default=8000)
    parser.add_argument("--frames", type=int, default=60)
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    asked = parser.parse_args()
    settings = MovieSettings(frames=asked.frames, dose=asked.dose, seed=asked.seed, hole_from_frame=asked.frames // 2)
    name = f"known_{asked.frames}_{asked.dose:g}_{asked.seed}"
    movie, truth = asked.runs / f"{name}.tif", asked.runs / f"{name}_truth.csv"
    if not movie.exists():
        simulate_movie(movie, truth, settings)
    options = {
        "movie": str(movie), "truth": [str(truth)], "seed": asked.seed, "search": SEARCH, "tuning": TUNING,
        "labels": {"file": str(truth), "defects": list(settings.sites[2:])},
    }  # fmt: skip
    if start(None, options, asked.runs / name):
        raise SystemExit(1)
    report(RunResults(asked.runs / name), pd.read_csv(truth), settings)


def report(results: RunResults, truth: pd.DataFrame, settings: MovieSettings) -> None:
    """Print how a run's tables compare with the truth."""
    from sklearn.metrics import adjusted_rand_score

    found = results.table("defects")
    everywhere = truth[(truth["site"] != "hole") & truth["frame"].isin(found["frame"])]
    points = central(everywhere, settings)
    pairs = matched(points, found[~found["extended"]])
    extra = unmatched(central(found[~found["extended"] & (found["track"] >= 0)], settings), everywhere)
    by_network = pairs[pairs["found_by"] == "network"]
    print(
        f"\ndefects: {len(points)} true, {len(pairs)} found ({len(by_network)} by the network), {extra} that are none"
    )
    print(f"kinds and species: adjusted Rand index {adjusted_rand_score(by_network['site'], by_network['kind']):.3f}")
    print(pd.crosstab(by_network["site"], by_network["kind"]).to_string())
    linked = pairs[pairs["track"] >= 0]
    for what, value in identities(linked, len(points), extra).items():
        print(f"{what}: {value:.4f}")
    site_of = {str(kind): str(rows["site"].mode()[0]) for kind, rows in by_network.groupby("kind")}
    metal, pair = settings.sites[:2]
    brighter = pair if pair.startswith(NAMES["Se"]) else metal  # see docs/simulation.md
    site_of |= {"perfect A": brighter, "perfect B": pair if brighter == metal else metal}
    print(f"\ntransitions of at least {EVENTS} events, and the probabilities by which the movie was made")
    told = compare_transitions(results.table("transitions"), site_of, settings)
    print(told.to_string(index=False, float_format=lambda value: f"{value:.5g}"))
    print(f"{int(told['within'].sum())} of {len(told)} within their intervals")
    vacancy = settings.sites[3]
    diffusion = results.table("diffusion")
    for row in diffusion[diffusion["kind"].map(site_of) == vacancy].itertuples():
        true = true_diffusion(truth, settings)
        print(
            f"\ndiffusion of {row.kind}: {row.coefficient_nm2_s:.3g} nm2/s "
            f"({row.low_nm2_s:.3g} to {row.high_nm2_s:.3g}), "
            f"in truth {true:.3g}: {100 * (row.coefficient_nm2_s / true - 1):+.0f} %"
        )
    counts = results.table("counts")
    holes = counts[(counts["kind"] == "hole") & (counts["count"] > 0)]
    if len(holes):
        last = holes.iloc[-1]
        true_area = np.pi * settings.hole_radius_nm**2 * settings.holes
        print(f"hole area in the last frame: {last['area_nm2']:.2f} nm2, in truth about {true_area:.2f} nm2")


if __name__ == "__main__":
    main()
