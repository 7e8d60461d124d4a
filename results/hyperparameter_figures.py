"""Each hyperparameter against the best validation accuracy: a small figure a hyperparameter, all with one scale."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, MaxNLocator, NullLocator, PercentFormatter
from pandas.api.types import is_bool_dtype, is_integer_dtype, is_numeric_dtype

from results.figures import STYLE, blank, colour
from results.leaderboard import hyperparameter_columns
from search_spaces.configuration import shown

WIDE = 30.0
"""Values that span more than this factor go on a log axis."""

POINTS = 4
"""Fewer trials that have a hyperparameter say nothing of it."""

FEW = 6
"""So many different numbers, at most, can stand side by side."""


def against_accuracy(frame: pd.DataFrame) -> dict[str, Figure]:
    """A figure for each hyperparameter of the leaderboard that took at least two values, in `POINTS` trials or more.

    A trial in which the hyperparameter is not active, or without an accuracy, has no point.
    """
    ranked = frame[frame["val_accuracy"].notna()]
    limits = accuracy_limits(ranked)
    varied = [name for name in varied_columns(frame) if ranked[name].notna().sum() >= POINTS]
    return {name: _panel(ranked[ranked[name].notna()], name, limits) for name in varied}


def varied_columns(frame: pd.DataFrame) -> list[str]:
    """The hyperparameters that took at least two values among the ranked trials of a leaderboard."""
    ranked = frame[frame["val_accuracy"].notna()]
    return [name for name in hyperparameter_columns(frame) if ranked[name].nunique() > 1]


def in_strips(values: pd.Series) -> bool:
    """Whether the values stand side by side rather than on a number line: words, switches, and a few numbers.

    Few numbers are some that come again and again, such as 16, 32 and 64, or a zero and some that would need a log
    axis, which has no place for zero.
    """
    if is_bool_dtype(values) or not is_numeric_dtype(values):
        return True
    repeated = 2 * values.nunique() <= len(values)
    zero_and_wide = bool(values.min() == 0) and on_log_axis(values[values > 0])
    return values.nunique() <= FEW and (repeated or zero_and_wide)


def on_log_axis(values: pd.Series) -> bool:
    """Whether numbers are all positive and span more than `WIDE`."""
    return len(values) > 0 and bool(values.min() > 0 and values.max() > WIDE * values.min())


def log_axis(axes: Axes, values: Sequence[float]) -> None:
    """Make the x axis logarithmic, with marks for these values as a person writes numbers."""
    axes.set_xscale("log")
    between = (1.0,) if max(values) > 100 * min(values) else (1.0, 2.0, 5.0)
    axes.xaxis.set_major_locator(LogLocator(subs=between, numticks=5))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: shown(value) if value < 1000 else f"{value:,.0f}"))


@rc_context(STYLE)
def _panel(trials: pd.DataFrame, name: str, limits: tuple[float, float]) -> Figure:
    figure, axes = blank(2.3, 1.7)
    values = trials[name]
    places = _strips(axes, values) if in_strips(values) else _number_line(axes, values)
    colours = trials["state"].map(colour).tolist()
    axes.scatter(places, trials["val_accuracy"].astype(float), s=20, alpha=0.75, linewidths=0, c=colours)
    axes.set_ylim(*limits)
    axes.tick_params(labelsize=8)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    axes.yaxis.set_major_locator(MaxNLocator(4))
    return figure


def _number_line(axes: Axes, values: pd.Series) -> Sequence[float]:
    if on_log_axis(values):
        log_axis(axes, values.astype(float).tolist())
    else:
        axes.xaxis.set_major_locator(MaxNLocator(4, integer=is_integer_dtype(values)))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    return values.astype(float).tolist()


def _strips(axes: Axes, values: pd.Series) -> Sequence[float]:
    """Where each trial's point goes: a little beside its value's place, so that equal points do not hide each other."""
    choices = choices_of(values)
    labels = [short(shown(choice)) for choice in choices]
    crowded = sum(map(len, labels)) > 18
    turned = 0 if not crowded else 25 if len(labels) <= FEW else 90
    axes.xaxis.set_major_locator(FixedLocator(range(len(choices))))
    axes.set_xticks(range(len(choices)), labels, rotation=turned, ha="right" if turned == 25 else "center")
    axes.set_xlim(-0.5, len(choices) - 0.5)
    jitter = np.random.default_rng(0).uniform(-0.16, 0.16, len(values))
    return [choices.index(value) + shift for value, shift in zip(values, jitter, strict=True)]


def choices_of(values: pd.Series) -> list[Any]:
    """The different values in order, numbers before words."""
    return sorted(values.unique(), key=lambda value: (isinstance(value, str), value))


def short(label: str) -> str:
    """At most 14 signs of it."""
    return label if len(label) <= 14 else f"{label[:13]}…"


def accuracy_limits(ranked: pd.DataFrame) -> tuple[float, float]:
    """Of an axis that several figures of ranked trials share."""
    accuracies = ranked["val_accuracy"].astype(float)
    margin = max(0.05 * (accuracies.max() - accuracies.min()), 0.005)
    return accuracies.min() - margin, accuracies.max() + margin
