"""What accuracy costs: thawed layers for each backbone, parameters, and the time for an image."""

from collections.abc import Sequence

import pandas as pd
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from results.description import BACKBONE, THAWED
from results.figures import COLOURS, STYLE, accuracy_axis, colour
from results.hyperparameter_figures import log_axis

MEASURES = {"parameters": "parameters", "latency_ms": "milliseconds for an image"}
COLUMNS = 3
"""Backbones side by side."""


def pareto_front(costs: Sequence[float], accuracies: Sequence[float]) -> list[int]:
    """Positions of those that no other beats in both, cheapest first: accuracy rises along them."""
    found: list[int] = []
    for place in sorted(range(len(costs)), key=lambda place: (costs[place], -accuracies[place])):
        if not found or accuracies[place] > accuracies[found[-1]]:
            found.append(place)
    return found


@rc_context(STYLE)
def cost_of_accuracy(frame: pd.DataFrame) -> Figure | None:
    """Validation accuracy against parameters and against latency, the Pareto front as a line, from a leaderboard.

    None without two trials that differ in one of them.
    """
    ranked = frame[frame["val_accuracy"].notna()]
    measures = [name for name in MEASURES if ranked[name].nunique() > 1]
    if not measures:
        return None
    figure = Figure(figsize=(5.2 * len(measures), 3.1), layout="constrained")
    for axes, name in zip(figure.subplots(1, len(measures), squeeze=False)[0], measures, strict=True):
        known = ranked[ranked[name].notna()]
        costs, accuracies = known[name].astype(float).tolist(), known["val_accuracy"].astype(float).tolist()
        colours = known["state"].map(colour).tolist()
        axes.scatter(costs, accuracies, s=20, alpha=0.6, linewidths=0, c=colours)
        front = pareto_front(costs, accuracies)
        axes.step(
            [costs[place] for place in front], [accuracies[place] for place in front],
            where="post", color=COLOURS["ink"], linewidth=1.4, marker="o", markersize=4,
        )  # fmt: skip
        log_axis(axes, costs)
        axes.set_xlabel(MEASURES[name])
        accuracy_axis(axes)
    return figure


@rc_context(STYLE)
def thawed_layers(frame: pd.DataFrame) -> Figure | None:
    """Validation accuracy against the thawed layers, a panel a backbone, from a leaderboard; None without any."""
    if not {BACKBONE, THAWED} <= set(frame.columns):
        return None
    ranked = frame[frame["val_accuracy"].notna() & frame[THAWED].notna()]
    groups = list(ranked.groupby(BACKBONE, sort=True))
    if not groups:
        return None
    columns = min(COLUMNS, len(groups))
    rows = -(-len(groups) // columns)
    figure = Figure(figsize=(10.4 if columns > 1 else 5.2, 0.4 + 2.3 * rows), layout="constrained")
    panels: list[Axes] = list(figure.subplots(rows, columns, sharey=True, squeeze=False).flat)
    for panel, (name, trials) in zip(panels, groups, strict=False):
        colours = trials["state"].map(colour).tolist()
        panel.scatter(trials[THAWED].astype(float), trials["val_accuracy"].astype(float), s=20, alpha=0.75,
                      linewidths=0, c=colours)  # fmt: skip
        panel.set_title(str(name), fontsize=9, loc="left", color=COLOURS["ink"])
        panel.set_xlabel("thawed layers")
        panel.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        panel.yaxis.set_major_formatter(PercentFormatter(1.0))
    for panel in panels[len(groups) :]:
        panel.set_visible(False)
    return figure
