"""All drawings of a run's report, as they stand on the page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd
from markupsafe import Markup
from matplotlib.figure import Figure

from results.evaluation_figures import calibration
from results.figures import learning_curves, progress, svg, timeline, training_curves
from results.finalists import Finalist
from results.hyperparameter_figures import against_accuracy
from results.importance import FEWEST, importance_bars, importances
from results.parallel_coordinates import parallel_coordinates
from results.records import TestRecord, TrialRecord
from results.tradeoffs import cost_of_accuracy, thawed_layers


@dataclass(frozen=True)
class Drawings:
    """The drawings of a run in which at least one epoch was finished; None where there is nothing to draw."""

    progress: Markup
    curves: Markup
    timeline: Markup
    winner: Markup
    calibration: Markup | None
    hyperparameters: Mapping[str, Markup]
    parallel: Markup | None
    importance: Markup | None
    thawed: Markup | None
    costs: Markup | None
    fewest: int = FEWEST


def draw(
    trials: Sequence[TrialRecord],
    frame: pd.DataFrame,
    rungs: Sequence[int],
    winner: TrialRecord,
    finalists: Sequence[Finalist],
    test: TestRecord | None,
) -> Drawings:
    """The `winner` is the trial of the search that stands out; drawn are its runs as a finalist, if it was one."""
    shares = importances(frame)
    panels = against_accuracy(frame).items()
    parallel, thawed, costs = parallel_coordinates(frame, shares), thawed_layers(frame), cost_of_accuracy(frame)
    runs = next((list(one.runs.values()) for one in finalists if one.trial == winner.trial), [winner])
    return Drawings(
        progress=_element(progress(trials), "progress"),
        curves=_element(learning_curves(trials, winner.trial, rungs), "curves"),
        timeline=_element(timeline(trials), "timeline"),
        winner=_element(training_curves(runs), "winner"),
        calibration=_optional(None if test is None else calibration(test.evaluation), "calibration"),
        hyperparameters={name: _element(panel, f"hyperparameter {name}") for name, panel in panels},
        parallel=_optional(parallel, "parallel"),
        importance=_optional(None if shares is None else importance_bars(shares), "importance"),
        thawed=_optional(thawed, "thawed"),
        costs=_optional(costs, "costs"),
    )


def _element(figure: Figure, name: str) -> Markup:
    return Markup(svg(figure, name))


def _optional(figure: Figure | None, name: str) -> Markup | None:
    return None if figure is None else _element(figure, name)
