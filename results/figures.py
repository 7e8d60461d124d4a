"""The figures of a study over time: its progress, and how each trial learned."""

import io
from collections.abc import Sequence
from typing import Any

import pandas as pd
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from results.records import TrialRecord, TrialState

COLOURS = {
    "ink": "#1d2430",
    "muted": "#6a7280",
    "grid": "#e3e6ea",
    "done": "#2f6db5",
    "stopped": "#d4812a",
    "running": "#2b9483",
    "failed": "#c2382e",
}
"""Drawn with these; on the page each is the CSS variable of its name, so that figures follow light and dark."""

STYLE: dict[Any, object] = {
    "font.size": 9,
    "text.parse_math": False,  # a hyperparameter may be named or valued `a$b$`
    "svg.fonttype": "none",
    "text.color": COLOURS["ink"],
    "axes.edgecolor": COLOURS["muted"],
    "axes.labelcolor": COLOURS["muted"],
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": COLOURS["grid"],
    "grid.linewidth": 0.6,
    "xtick.color": COLOURS["muted"],
    "ytick.color": COLOURS["muted"],
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
}

END = {TrialState.DONE: "o", TrialState.STOPPED: "o", TrialState.RUNNING: ">", TrialState.FAILED: "x"}
"""The marker at the end of a trial's curve; that of a stopped one is hollow."""


def colour(state: TrialState | str) -> str:
    """The colour of trials in this state."""
    return COLOURS[state.lower()]


def blank(width: float, height: float) -> tuple[Figure, Axes]:
    """An empty figure of that size in inches, and its axes; call it, and draw, inside `rc_context(STYLE)`."""
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.add_subplot()


def svg(figure: Figure, name: str) -> str:
    """The figure as an `<svg>` element to stand in a page; `name` keeps its ids apart from those of other figures."""
    text = io.StringIO()
    nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    with rc_context({**STYLE, "svg.hashsalt": name}):
        figure.savefig(text, format="svg", metadata=nothing)
    element = text.getvalue()
    element = element[element.index("<svg") :]
    for variable, value in COLOURS.items():
        element = element.replace(f": {value}", f": var(--{variable})")
    return element


def epochs_over_time(trials: Sequence[TrialRecord]) -> pd.DataFrame:
    """A row a finished epoch, in the order in which they ended: seconds, val_accuracy, state, and best so far."""
    rows = [(epoch.ended, epoch.val_accuracy, trial.state) for trial in trials for epoch in trial.epochs]
    frame = pd.DataFrame(rows, columns=["seconds", "val_accuracy", "state"]).sort_values("seconds", kind="stable")
    return frame.assign(best=frame["val_accuracy"].cummax())


@rc_context(STYLE)
def progress(trials: Sequence[TrialRecord]) -> Figure:
    """Validation accuracy of every epoch over the study's time, and the best so far as a step line."""
    epochs = epochs_over_time(trials)
    unit, label = _time_unit(epochs["seconds"].max())
    figure, axes = blank(5.0, 3.1)
    times = epochs["seconds"] / unit
    axes.scatter(times, epochs["val_accuracy"], s=12, alpha=0.45, linewidths=0, c=epochs["state"].map(colour))
    axes.step(times, epochs["best"], where="post", color=COLOURS["ink"], linewidth=1.8)
    axes.set_xlim(left=0)
    axes.set_xlabel(f"{label} since the study's start")
    _accuracy_axis(axes)
    return figure


@rc_context(STYLE)
def learning_curves(trials: Sequence[TrialRecord], best: int) -> Figure:
    """Validation accuracy against the epoch, a line a trial with a marker where it ended; `best` stands out."""
    figure, axes = blank(5.0, 3.1)
    for trial in trials:
        if trial.epochs:
            _curve(axes, trial, highlighted=trial.trial == best)
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    _accuracy_axis(axes)
    return figure


def _curve(axes: Axes, trial: TrialRecord, highlighted: bool) -> None:
    own = COLOURS["ink"] if highlighted else colour(trial.state)
    epochs = [epoch.epoch for epoch in trial.epochs]
    accuracies = [epoch.val_accuracy for epoch in trial.epochs]
    order, width, alpha = (3, 2.2, 1.0) if highlighted else (2, 1.1, 0.6)
    axes.plot(epochs, accuracies, color=own, linewidth=width, alpha=alpha, zorder=order)
    filling = "none" if trial.state is TrialState.STOPPED else own
    axes.plot(
        epochs[-1:], accuracies[-1:], END[trial.state], color=own, markerfacecolor=filling, markersize=5, zorder=order
    )
    if highlighted and trial.best_epoch:
        axes.plot(trial.best_epoch.epoch, trial.best_epoch.val_accuracy, "*", color=own, markersize=12, zorder=4)


def _accuracy_axis(axes: Axes) -> None:
    axes.set_ylabel("validation accuracy")
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))


def _time_unit(longest: float) -> tuple[int, str]:
    if longest > 3 * 3600:
        return 3600, "hours"
    return (60, "minutes") if longest > 180 else (1, "seconds")
