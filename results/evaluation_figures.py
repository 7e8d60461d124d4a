"""What the test split said, drawn: calibration, and the confusion matrix as cells to colour."""

from dataclasses import dataclass

from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from results.evaluation import BINS, Evaluation
from results.figures import COLOURS, HALF, STYLE, blank

MOST_CLASSES = 20
"""A larger confusion matrix is no longer read; the worst pairs say what matters."""


@rc_context(STYLE)
def calibration(found: Evaluation) -> Figure:
    """How often it was right against how sure it was, a bar for each tenth with its images above it.

    On the diagonal it knows what it knows.
    """
    figure, axes = blank(*HALF)
    centres = [(min(int(one.confidence * BINS), BINS - 1) + 0.5) / BINS for one in found.bins]
    bars = axes.bar(centres, [one.accuracy for one in found.bins], width=0.9 / BINS, color=COLOURS["done"], alpha=0.8)
    axes.plot([0, 1], [0, 1], "--", color=COLOURS["muted"], linewidth=1)
    axes.set_xlim(0, 1)
    axes.bar_label(bars, [f"{one.images:,}" for one in found.bins], padding=2, fontsize=8)
    axes.set_ylim(0, 1.08)
    axes.set_xlabel("probability of the class that it was called")
    axes.set_ylabel("share that was right")
    axes.xaxis.set_major_formatter(PercentFormatter(1.0))
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    return figure


@dataclass(frozen=True)
class Cell:
    """One count of the confusion matrix."""

    count: int
    share: int
    """Of its row, in percent: how strongly it is coloured."""
    is_right: bool


def confusion_rows(found: Evaluation) -> list[list[Cell]] | None:
    """A row a class that images are of; None with more than `MOST_CLASSES`."""
    if len(found.confusion) > MOST_CLASSES:
        return None
    return [
        [Cell(count, round(100 * count / max(1, sum(row))), place == number) for place, count in enumerate(row)]
        for number, row in enumerate(found.confusion)
    ]
