"""What accuracy costs: thawed layers for each backbone, parameters, and the time for an image."""

from collections.abc import Sequence

import pandas as pd
from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from results.description import BACKBONE, THAWED
from results.figures import COLOURS, HALF, STYLE, accuracy_axis, blank, colour
from results.hyperparameter_figures import accuracy_limits, log_axis

MEASURES = {"parameters": "parameters", "latency_ms": "milliseconds for an image"}


def pareto_front(costs: Sequence[float], accuracies: Sequence[float]) -> list[int]:
    """Positions of those that no other beats in both, cheapest first: accuracy rises along them."""
    found: list[int] = []
    for place in sorted(range(len(costs)), key=lambda place: (costs[place], -accuracies[place])):
        if not found or accuracies[place] > accuracies[found[-1]]:
            found.append(place)
    return found


@rc_context(STYLE)
def cost_of_accuracy(frame: pd.DataFrame) -> dict[str, Figure]:
    """Validation accuracy against parameters and against latency, the Pareto front as a line, from a leaderboard.

    Nothing of a measure in which no two trials differ.
    """
    ranked = frame[frame["val_accuracy"].notna()]
    return {
        MEASURES[name]: _cost(ranked[ranked[name].notna()], name) for name in MEASURES if ranked[name].nunique() > 1
    }


def _cost(known: pd.DataFrame, name: str) -> Figure:
    figure, axes = blank(*HALF)
    costs, accuracies = known[name].astype(float).tolist(), known["val_accuracy"].astype(float).tolist()
    axes.scatter(costs, accuracies, s=20, alpha=0.6, linewidths=0, c=known["state"].map(colour).tolist())
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
def thawed_layers(frame: pd.DataFrame) -> dict[str, Figure]:
    """Validation accuracy against the thawed layers, a figure a backbone, from a leaderboard; all with one scale."""
    if not {BACKBONE, THAWED} <= set(frame.columns):
        return {}
    ranked = frame[frame["val_accuracy"].notna() & frame[THAWED].notna()]
    if ranked.empty:
        return {}
    limits = accuracy_limits(ranked)
    return {str(name): _thawed(trials, limits) for name, trials in ranked.groupby(BACKBONE, sort=True)}


def _thawed(trials: pd.DataFrame, limits: tuple[float, float]) -> Figure:
    figure, axes = blank(3.3, 2.3)
    axes.scatter(trials[THAWED].astype(float), trials["val_accuracy"].astype(float), s=20, alpha=0.75,
                 linewidths=0, c=trials["state"].map(colour).tolist())  # fmt: skip
    axes.set_ylim(*limits)
    axes.set_xlabel("thawed layers")
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    return figure
