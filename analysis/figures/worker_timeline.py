"""What each worker did, and when: one bar per evaluation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from analysis.figures.style import BLUE, GREY, VERMILION, save_figure
from search.evaluation import Evaluation, Status
from search.utilisation import Utilisation

STAGES = {"evolution": BLUE, "tuning": VERMILION}


def draw_worker_timeline(
    evaluations: Sequence[Evaluation], crews: Mapping[str, Sequence[tuple[float, int]]], path: Path
) -> Path:
    """Draw a bar per evaluation, from the workers' own clocks, in the colour of its stage.

    `crews` has since when there were how many workers for each stage, see `Journal.crew`.
    """
    from matplotlib import pyplot as plt
    from matplotlib.patches import Patch

    timed = [e for e in evaluations if e.ended > e.started]
    names = sorted({f"{e.host} {e.worker}" for e in timed})
    figure, axes = plt.subplots(figsize=(10, 1.6 + 0.35 * max(2, len(names))), layout="constrained")
    start = min((e.started for e in timed), default=0.0)
    for e in timed:
        colour = STAGES[e.request.stage] if e.status is Status.OK else GREY
        axes.barh(
            names.index(f"{e.host} {e.worker}"), e.ended - e.started, left=e.started - start, height=0.7,
            color=colour, edgecolor="white", linewidth=0.8,
        )  # fmt: skip
    axes.set_yticks(range(len(names)), [f"worker {name.split()[-1]}" for name in names])
    axes.set_xlabel("seconds since the first evaluation")
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(left=False)
    shares = []
    for stage in STAGES:
        busy = Utilisation()
        for e in timed:
            if e.request.stage == stage:
                busy.add(e)
        shares.append(f"{stage} {100 * busy.share(crews.get(stage, ())):.0f} %")
    axes.set_title(f"{len(timed)} evaluations; workers busy: {', '.join(shares)}", fontsize=10.5)
    patches = [Patch(color=colour, label=stage) for stage, colour in (*STAGES.items(), ("failed", GREY))]
    figure.legend(handles=patches, loc="outside lower center", ncols=3, frameon=False)
    return save_figure(figure, path)
