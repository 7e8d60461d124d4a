"""The figures of a study over time: its progress, how each trial learned, and who trained it when."""

import io
from collections.abc import Mapping, Sequence
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
    "interrupted": "#2b9483",
    "failed": "#c2382e",
    "infeasible": "#8a6fb0",
    "skipped": "#6a7280",
}
"""Drawn with these; on the page each is the CSS variable of its name, so that figures follow light and dark."""

LINES = ("done", "stopped", "running", "failed", "muted", "ink")
"""The colours that tell runs apart."""

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

END = {
    TrialState.DONE: "o",
    TrialState.STOPPED: "o",
    TrialState.RUNNING: ">",
    TrialState.INTERRUPTED: ">",
    TrialState.FAILED: "x",
}
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
    accuracy_axis(axes)
    return figure


@rc_context(STYLE)
def progress_of_several(runs: Mapping[str, Sequence[TrialRecord]]) -> Figure:
    """The best validation accuracy so far over each study's time; at most as many runs as there are `LINES`."""
    frames = {name: epochs_over_time(trials) for name, trials in runs.items()}
    unit, label = _time_unit(max((frame["seconds"].max() for frame in frames.values() if len(frame)), default=0.0))
    figure, axes = blank(10.4, 3.6)
    for (name, frame), own in zip(frames.items(), LINES, strict=False):
        axes.step(frame["seconds"] / unit, frame["best"], where="post", color=COLOURS[own], linewidth=1.8, label=name)
    axes.set_xlim(left=0)
    axes.set_xlabel(f"{label} since each study's start")
    accuracy_axis(axes)
    return figure


@rc_context(STYLE)
def learning_curves(trials: Sequence[TrialRecord], best: int, rungs: Sequence[int]) -> Figure:
    """Validation accuracy against the epoch, a line a trial with a marker where it ended; `best` stands out.

    A dotted line stands at each of the `rungs`.
    """
    figure, axes = blank(5.0, 3.1)
    for rung in rungs:
        axes.axvline(rung, color=COLOURS["muted"], linestyle=":", linewidth=1, zorder=1)
    for trial in trials:
        if trial.epochs:
            _curve(axes, trial, highlighted=trial.trial == best)
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    accuracy_axis(axes)
    return figure


@rc_context(STYLE)
def timeline(trials: Sequence[TrialRecord]) -> Figure:
    """When each worker trained which trials: a bar a trial, in the row of its worker.

    Trials of which the worker is not known, because they ended before their first epoch, have the row below.
    """
    workers = list(dict.fromkeys(trial.worker or "" for trial in sorted(trials, key=lambda trial: trial.started)))
    rows = {worker: row for row, worker in enumerate(sorted(workers, key=lambda worker: worker == ""))}
    unit, label = _time_unit(max((trial.started + trial.seconds for trial in trials), default=0.0))
    height = max(0.12, min(0.3, 3.0 / len(rows)))
    figure, axes = blank(10.4, 0.7 + height * len(rows))
    for state in dict.fromkeys(trial.state for trial in trials):
        own = [trial for trial in trials if trial.state is state]
        axes.barh(
            [rows[trial.worker or ""] for trial in own],
            [max(trial.seconds, 0.1) / unit for trial in own],
            left=[trial.started / unit for trial in own],
            height=0.8, color=colour(state), edgecolor="none", alpha=0.85, linewidth=0,
        )  # fmt: skip
    axes.invert_yaxis()
    axes.set_xlim(left=0)
    axes.set_xlabel(f"{label} since the study's start")
    axes.set_yticks(range(len(rows)), [str(row + 1) if worker else "none" for worker, row in rows.items()])
    axes.set_ylabel("worker")
    axes.grid(visible=False, axis="y")
    return figure


@rc_context(STYLE)
def training_curves(runs: Sequence[TrialRecord]) -> Figure:
    """Loss and accuracy of a few runs of one configuration: training dashed, validation solid."""
    figure = Figure(figsize=(10.4, 3.1), layout="constrained")
    left, right = figure.subplots(1, 2)
    for axes, name in ((left, "loss"), (right, "accuracy")):
        for run in runs:
            epochs = [epoch.epoch for epoch in run.epochs]
            for prefix, line, own in (("", "--", "stopped"), ("val_", "-", "done")):
                values = [getattr(epoch, prefix + name) for epoch in run.epochs]
                axes.plot(
                    epochs, values, line, color=COLOURS[own], linewidth=1.4, marker="." if len(epochs) < 3 else ""
                )
        axes.set_xlabel("epoch")
        axes.set_ylabel(name)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    right.yaxis.set_major_formatter(PercentFormatter(1.0))
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


def accuracy_axis(axes: Axes) -> None:
    """Name the upright axis and write percent."""
    axes.set_ylabel("validation accuracy")
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))


def _time_unit(longest: float) -> tuple[int, str]:
    if longest > 3 * 3600:
        return 3600, "hours"
    return (60, "minutes") if longest > 180 else (1, "seconds")
