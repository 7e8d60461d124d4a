"""All trials at once: a line a trial across the hyperparameters that mattered, to its accuracy."""

import math
import textwrap
from collections.abc import Sequence

import pandas as pd
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from results.figures import COLOURS, STYLE, WIDE, blank
from results.hyperparameter_figures import choices_of, in_strips, on_log_axis, short
from results.leaderboard import hyperparameter_columns
from search_spaces.configuration import shown

MOST, MOST_NARROW = 7, 3
"""Hyperparameters side by side; more would be a thicket, on a phone sooner."""
INACTIVE = -0.12
"""Where a hyperparameter that a trial does not have is drawn, below its scale of 0 to 1."""
BEST = 0.1
"""The share of the trials that stand out."""
LINES = 500
"""Trials drawn, the best ones."""


@rc_context(STYLE)
def parallel_coordinates(
    frame: pd.DataFrame, shares: pd.Series | None, width: float = WIDE, most: int = MOST
) -> Figure | None:
    """From a leaderboard; of more than `most` hyperparameters the most important, by their `shares`.

    None unless two trials and two hyperparameters differ.
    """
    ranked = frame[frame["val_accuracy"].notna()].head(LINES)
    varied = [name for name in hyperparameter_columns(frame) if ranked[name].nunique(dropna=False) > 1]
    if shares is not None:
        varied = [str(name) for name in shares.index if name in varied]
    names = varied[:most]
    if len(ranked) < 2 or len(names) < 2:
        return None
    figure, axes = blank(width, 3.6)
    places = [_scale(axes, number, ranked[name]) for number, name in enumerate(names)]
    places.append(_scale(axes, len(names), ranked["val_accuracy"], percent=True))
    lines = list(zip(*places, strict=True))
    count = max(1, round(BEST * len(lines)))
    for rank, heights in reversed(list(enumerate(lines))):
        best = rank < count
        axes.plot(
            range(len(heights)), heights, color=COLOURS["done" if best else "muted"], zorder=3 if best else 2,
            alpha=0.9 if best else 0.25, linewidth=1.5 if best else 0.7,
        )  # fmt: skip
    axes.set_xticks(range(len(places)), [*map(_broken, names), "val accuracy"])
    axes.tick_params(axis="x", length=0, labelcolor=COLOURS["ink"], labelsize=8.5)
    axes.set_xlim(-0.3, len(places) - 0.4)
    axes.set_ylim(INACTIVE - 0.06, 1.06)
    axes.yaxis.set_visible(False)
    axes.grid(visible=False)
    for spine in axes.spines.values():
        spine.set_visible(False)
    return figure


def _broken(name: str) -> str:
    """A long name in several lines, so that it does not run into the next one."""
    return "\n".join(textwrap.wrap(name.replace("_", "_ "), 14)).replace("_ ", "_")


def _scale(axes: Axes, number: int, values: pd.Series, percent: bool = False) -> Sequence[float]:
    """Draw the hyperparameter's axis with its marks; where each trial crosses it."""
    active = values.dropna()
    if not percent and in_strips(active):
        choices = choices_of(active)
        heights = {choice: place / max(1, len(choices) - 1) for place, choice in enumerate(choices)}
        found = [INACTIVE if pd.isna(value) else heights[value] for value in values]
        marks = [(height, short(shown(choice))) for choice, height in heights.items()]
    else:
        numbers = active.astype(float)
        low, high, log = numbers.min(), numbers.max(), on_log_axis(numbers)
        found = [INACTIVE if pd.isna(value) else _share(float(value), low, high, log) for value in values]
        marks = [(0.0, _mark(low, percent)), (1.0, _mark(high, percent))]
    axes.axvline(number, ymin=0.14, ymax=0.96, color=COLOURS["grid"], linewidth=1, zorder=1)
    if values.isna().any():
        marks.append((INACTIVE, "not active"))
    for height, text in marks:
        axes.annotate(
            text, (number, height), xytext=(4, 0), textcoords="offset points", va="center", fontsize=7.5,
            color=COLOURS["muted"], zorder=4,
        )  # fmt: skip
    return found


def _share(value: float, low: float, high: float, log: bool) -> float:
    if low == high:
        return 0.5
    return math.log(value / low) / math.log(high / low) if log else (value - low) / (high - low)


def _mark(value: float, percent: bool) -> str:
    return f"{value:.1%}" if percent else shown(int(value) if value == int(value) else float(value))
